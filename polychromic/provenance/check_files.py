"""Checks of bytes: outputs, data and the store against what dvc.lock and data.dvc record, and the hash that the PDF carries."""

from __future__ import annotations

import configparser
import re
import zlib
from pathlib import Path

from polychromic.base import paths
from polychromic.provenance.imprint import DIGITS, files_of, imprint
from polychromic.provenance.lock import File, data_entry, data_files
from polychromic.provenance.state import Row, State, briefly, count, not_checked, row

STORE = "store"
PDF = "paper/main.pdf"


def results(here: State) -> Row:
    """What DVC keeps (results, the PDF): here, or in the store where the workspace lacks it, as dvc.lock records it."""
    wrong = here.differing(here.cached.values())
    remedy = "Fetch them with `dvc checkout` or `dvc pull`; if they were made anew on purpose, run `dvc repro`."
    return row("results", "files as dvc.lock records them", count(len(here.cached), "file"), wrong, remedy)


def paper(here: State) -> Row:
    """Tables, figures and files of numbers in paper/: what Git keeps, as dvc.lock records it."""
    files = [out for path, out in here.made.items() if path not in here.cached]
    remedy = "Nobody edits these by hand: take them back with `git checkout paper`, or make them again with `dvc repro`."
    return row("paper's files", "tables, figures, numbers as recorded", count(len(files), "file"), here.differing(files), remedy)


def data(here: State) -> Row:
    """Every member of data.dvc, and no file beside them."""
    entry, members = data_entry(here.folder), data_files(here.folder)
    wrong = here.differing(File(path, md5, None) for path, md5 in members.items())
    folder = here.folder / entry.path
    present = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    names = [path.relative_to(here.folder).as_posix() for path in present]
    wrong += [f"{name}: not in data.dvc" for name in names if name not in members]
    size = sum(path.stat().st_size for path in present)
    if present and not wrong and entry.size not in (None, size):
        wrong.append(f"{entry.path}: {size} bytes in all, data.dvc has {entry.size}")
    remedy = "Take them back with `dvc checkout data.dvc`; for data of your own, `dvc add data` and `dvc repro`."
    return row("data", "files as data.dvc pins them", count(len(members), "file"), wrong, remedy)


def store(here: State) -> Row:
    """Each object of the store is what its name says, and a clone finds there all that dvc.lock and data.dvc name."""
    expected = "whole, and complete for a clone"
    root = here.folder / STORE / "files" / "md5"
    wrong, objects = [], [path for path in sorted(root.glob("??/*")) if path.is_file()]
    for path in objects:
        name = f"{path.parent.name}{path.name}".removesuffix(".dir")
        if here.md5(path) != name:
            wrong.append(f"{path.relative_to(here.folder)}: its content has md5 {briefly(here.md5(path))}")
    remedy = "Restore store/ with `git checkout store`, or fill it with `dvc push`."
    if elsewhere := _remote_elsewhere(here.folder):
        if wrong:
            return row("store", expected, "", wrong, remedy)
        return not_checked("store", expected, elsewhere)
    entry = data_entry(here.folder)
    wanted = {out.path: out.md5 for out in here.cached.values()} | {entry.path: entry.md5}
    if (root / str(entry.md5)[:2] / str(entry.md5)[2:]).is_file():
        wanted |= data_files(here.folder)
    for path, md5 in wanted.items():
        if md5 and not (root / md5[:2] / md5[2:]).is_file():
            wrong.append(f"{path}: {STORE}/files/md5/{md5[:2]}/{md5[2:]} is missing")
    return row("store", expected, count(len(objects), "object"), wrong, remedy)


def pdf(here: State) -> Row:
    """The PDF says the hash of the records that lie here."""
    expected = "the PDF carries the hash of the records"
    names = [path.as_posix() for path in paths.record_files(here.params.domains)]
    places = {name: here.folder / name for name in names if (here.folder / name).is_file()}
    kept = files_of(here.folder, {name: str(out.md5) for name in names if name not in places and (out := here.made.get(name))})
    file = here.made.get(PDF)
    place = here.place(file or File(PDF, None, None))
    missing = [name for name in names if name not in places | (kept or {})] + ([] if place else [PDF])
    remedy = "Compile it again with `dvc repro paper`."
    if missing or place is None:
        return row("PDF", expected, "", [f"{name}: neither here nor in store/" for name in missing], "Run `dvc pull`, or `dvc repro`.")
    wanted, carried = imprint(places | (kept or {})), carried_hash(place)
    wrong = [] if carried == wanted else [f"{PDF} carries {carried or 'none that can be read'}, the records have {wanted}"]
    return row("PDF", expected, wanted, wrong, remedy)


def carried_hash(pdf_file: Path) -> str | None:
    """The records' hash on the first page of a PDF that pdfTeX wrote; None where none is found."""
    content = pdf_file.read_bytes()
    for start in re.finditer(rb"stream\r?\n", content):
        try:
            page = zlib.decompressobj().decompress(content[start.end() :])
        except zlib.error:
            continue  # an image or a font
        if found := re.search(rb"\(Records\)\]?TJ.{0,80}?\(([0-9a-f]{%d})\)" % DIGITS, page, re.DOTALL):
            return found[1].decode()
    return None


def _remote_elsewhere(folder: Path) -> str:
    """Why store/ is not where outs are pushed to, "" if it is."""
    local = configparser.ConfigParser()
    try:
        local.read(folder / ".dvc" / "config.local", encoding="utf-8")
    except configparser.Error:
        return ".dvc/config.local cannot be read"
    other = any(local.has_option(section, "url") for section in local.sections() if "remote" in section)
    return ".dvc/config.local names another remote" if other or local.has_option("core", "remote") else ""
