"""Which commit this is, in a repository, an unpacked `git archive` (also inside another repository) or neither; since which one a text
is in a file; the release copy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import atomic_open, sha256_file, together, write_json
from polychromic.provenance.lock import LOCK
from polychromic.report.paper import records_hash

ARCHIVAL = ".git_archival.txt"  # `git archive` writes the commit into it, see .gitattributes
UNKNOWN = b'data-commit=""'  # in the page that the pipeline makes (polychromic/explore/page.html)
DIGITS = 12  # of the records' hash in the PDF


@dataclass(frozen=True)
class Commit:
    """hash: 40 digits, None where it is not known. dirty: whether files differ from it; None where nobody can say."""

    hash: str | None
    dirty: bool | None

    @property
    def name(self) -> str:
        """As files are named by it: "858f1a2", "858f1a2-dirty" or "unknown"."""
        return f"{(self.hash or 'unknown')[:7]}{'-dirty' if self.dirty else ''}"


def current(folder: Path = Path(".")) -> Commit:
    """The commit of the repository whose top is `folder`, else the one of the archive that it was unpacked from."""
    if not is_repository(folder):
        return Commit(_archival(folder).get("commit"), None)
    found = git(folder, "rev-parse", "--verify", "--quiet", "HEAD", allowed=(0, 1)).strip()
    return Commit(found, bool(git(folder, "status", "--porcelain").strip())) if found else Commit(None, None)


def is_repository(folder: Path) -> bool:
    """Whether `folder` is the top of a Git working tree, and git is installed."""
    return (folder / ".git").exists() and shutil.which("git") is not None


def without_history(folder: Path) -> str:
    """Why Git's whole history is not here, "" where it is."""
    if not is_repository(folder):
        return "archive without history" if _archival(folder) else "no Git history here"
    return "shallow history" if git(folder, "rev-parse", "--is-shallow-repository").strip() == "true" else ""


def git(folder: Path, *arguments: str, allowed: tuple[int, ...] = (0,)) -> str:
    """What `git arguments` prints in `folder`. Raises PolychromicError where it ends with another code than the allowed ones."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    done = subprocess.run(["git", *arguments], cwd=folder, env=env, capture_output=True, check=False, encoding="utf-8", errors="replace")
    if done.returncode not in allowed:
        what = f"git {' '.join(arguments)[:200]} failed in {folder}: {done.stderr.strip()}."
        raise PolychromicError(f"{what} Mend the repository and run the command again.")
    return done.stdout


def show(folder: Path, commit: str, path: str) -> str:
    """A file's text at a commit, "" where the commit has no such file."""
    return git(folder, "show", f"{commit}:{path}", allowed=(0, 128))


def introduced(folder: Path, path: str, text: str = "", past: bool = False) -> dict[str, Any]:
    """The commit since which `path` (a file, relative to `folder`) has held `text` without a break, of a merge the commit it brought;
    without a text the commit that last changed the file. past: the last commit need not hold it any more.

    Returns "commit" (None where it is not committed, or nothing is known), "date", "subject", "exact" (False where the history ends there,
    in an archive or a shallow clone, so that it may be older) and "note", what a reader must know beside it.
    """
    about = {"commit": None, "date": "", "subject": "", "exact": False, "note": without_history(folder)}
    if not is_repository(folder):
        return about | _archival(folder)
    uncommitted = text not in show(folder, "HEAD", path) if text else git(folder, "status", "--porcelain", "--", path)
    if uncommitted and not past:
        return about | {"note": f"not committed: {path} {'lacks it in' if text else 'differs from'} the last commit"}
    # -S finds where the number of occurrences changes; only a change from none is an introduction
    which = [f"-S{text}"] if text else ["-1"]
    for line in git(folder, "log", "--format=%H%x00%cI%x00%P%x00%s", *which, "--", path).splitlines():
        commit, date, parents, subject = line.split("\x00", 3)
        if not text or (text in show(folder, commit, path) and not (parents and text in show(folder, parents.split()[0], path))):
            return about | {"commit": commit, "date": date, "subject": subject, "exact": not about["note"]}
    return about | {"note": "not found in Git's history of its file" if text else "not tracked by Git"}


def of_records(folder: Path, wanted: str) -> dict[str, Any] | None:
    """The commit that first had the records with the hash that a PDF carries: whose dvc.lock names the md5 of such an object of store/.
    None where there is no such object. Without Git the present dvc.lock counts."""
    objects = (path for path in (folder / "store" / "files" / "md5").glob("??/*") if records_hash(path) == wanted)
    md5 = next((f"md5: {path.parent.name}{path.name}" for path in objects), None)
    if md5 is None or (not is_repository(folder) and md5 not in (folder / LOCK).read_text(encoding="utf-8")):
        return None
    return introduced(folder, LOCK, md5, past=True)


def carried_hash(pdf_file: Path) -> str | None:
    """The records' hash on the first page of a PDF that pdfTeX wrote; None where none is found."""
    content = pdf_file.read_bytes()
    for start in re.finditer(rb"stream\r?\n", content):
        with suppress(zlib.error):  # an image or a font
            page = zlib.decompressobj().decompress(content[start.end() :])
            if found := re.search(rb"\(Records\)\]?TJ.{0,80}?\(([0-9a-f]{%d})\)" % DIGITS, page, re.DOTALL):
                return found[1].decode()
    return None


def _archival(folder: Path) -> dict[str, str]:
    """commit and date of the archival file that `git archive` filled in, else nothing."""
    path = folder / ARCHIVAL
    fields = dict(re.findall(r"^(commit|date): (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)) if path.exists() else {}
    return fields if re.fullmatch(r"[0-9a-f]{40}", fields.get("commit", "")) else {}


def release(root: Path) -> Path:
    """Copy root/paper/main.pdf to root/release/polychromic-<commit7>[-dirty].pdf, and its facts to the same name with .json; the page to
    explore, where it was made, to the same name with .html, the commit filled in.

    main.pdf itself cannot hold them: dvc.lock records it, so its hash would have to contain itself. The JSON holds {"commit", "dirty",
    "dvc_lock_sha256", "pdf_sha256"}; where no commit is known it is "unknown", and dirty is null without Git.

    Raises PolychromicError: paper/main.pdf or dvc.lock is missing, or git refuses to answer.
    """
    pdf, lock = root / "paper" / "main.pdf", root / LOCK
    if missing := [path for path in (pdf, lock) if not path.exists()]:
        raise PolychromicError(f"{missing[0]}: file not found. A release needs it; run `dvc repro` first.")
    found = current(root)
    out = root / "release" / f"polychromic-{found.name}.pdf"
    facts = {"commit": found.hash or "unknown", "dirty": found.dirty, "dvc_lock_sha256": sha256_file(lock), "pdf_sha256": sha256_file(pdf)}
    with together():
        with atomic_open(out) as file:
            file.write(pdf.read_bytes())
        if (page := root / paths.EXPLORER).exists():
            with atomic_open(out.with_suffix(".html")) as file:
                file.write(page.read_bytes().replace(UNKNOWN, f'data-commit="{found.name}"'.encode(), 1))
        write_json(out.with_suffix(".json"), facts)
    return out
