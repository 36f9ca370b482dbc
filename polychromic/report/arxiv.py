"""One archive with what the PDF is compiled from, as arXiv takes it: it compiles alone, by pdflatex, without bibtex.

What goes in is what LaTeX itself recorded as read, so no file is forgotten and none is left over. The bundle is tried in an empty
folder before it is handed out. The same sources give the same bytes.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from polychromic.base.errors import PolychromicError
from polychromic.base.io import atomic_open
from polychromic.report.latex import OPTIONS, compiled, error_lines, leads_nowhere, run_latex

NAME = "arxiv.tar.gz"
GENERATED = {".aux", ".out", ".log", ".toc"}  # by the run itself
# In the first five lines, it tells arXiv to use pdflatex.
HEAD = "\\pdfoutput=1\n"
RUNS = 3  # as arXiv does: references, then page numbers of longtables


def bundle(root: Path, records: Sequence[Path] | None = None) -> Path:
    """Write root/release/arxiv.tar.gz: main.tex, main.bbl, the records' hash, and the numbers, tables and figures that they read.

    Args:
        records: the files of records whose hash the PDF carries; default: all of results/.

    Raises:
        PolychromicError: LaTeX is missing, the paper does not compile, or the bundle does not compile alone.
    """
    with compiled(root / "paper", records, root / "release" / NAME) as build:
        files = {name: (build / name).read_bytes() for name in read_by_latex((build / "main.fls").read_text(encoding="utf-8"))}
    files["main.tex"] = HEAD.encode() + files["main.tex"]
    compile_alone(files)
    out = root / "release" / NAME
    with atomic_open(out) as file:
        file.write(packed(files))
    return out


def read_by_latex(record: str) -> list[str]:
    """The files that a .fls record names as read and that are no part of the installation, sorted; relative to where LaTeX ran."""
    names = {Path(name).as_posix() for name in re.findall(r"^INPUT (.+)$", record, flags=re.MULTILINE) if not Path(name).is_absolute()}
    return sorted(name for name in names if Path(name).suffix not in GENERATED)


def packed(files: Mapping[str, bytes]) -> bytes:
    """A .tar.gz without clock, owner or order of the folder."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0, compresslevel=9) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(files[name]), 0o644
            tar.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def compile_alone(files: Mapping[str, bytes]) -> bytes:
    """The PDF that pdflatex makes of these files in an empty folder.

    Raises:
        PolychromicError: it stops, or a reference leads nowhere.
    """
    with tempfile.TemporaryDirectory(prefix="polychromic-arxiv-") as name:
        folder = Path(name)
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        for _ in range(RUNS):
            done = run_latex(["pdflatex", *OPTIONS, "main.tex"], folder)
            log_file = folder / "main.log"
            log = log_file.read_text(encoding="utf-8", errors="replace") if log_file.exists() else done.stdout.decode(errors="replace")
            if done.returncode:
                break
        if done.returncode or (lost := leads_nowhere(log)):
            lines = error_lines(log) if done.returncode else lost[:3]
            raise PolychromicError(
                f"the bundle of {', '.join(sorted(files)[:5])}, … does not compile alone:\n  "
                + "\n  ".join(lines)
                + "\nCompile paper/main.tex with `make paper` first; if that works, a file is read in a way that main.fls does not record."
            )
        return (folder / "main.pdf").read_bytes()
