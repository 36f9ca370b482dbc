"""Which commit this is, in a repository, an unpacked `git archive` or neither; since which one a text is in a file; the release copy.

A repository around the folder does not count: an unpacked archive inside one has no commit of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from polychromic.base.errors import PolychromicError
from polychromic.base.io import atomic_open, sha256_file, write_json
from polychromic.provenance.lock import LOCK
from polychromic.report.paper import records_hash

ARCHIVAL = ".git_archival.txt"  # `git archive` writes the commit into it, see .gitattributes
FIELDS = "--format=%H%x00%cI%x00%P%x00%s"
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


@dataclass(frozen=True)
class Introduced:
    """The commit since which a text has been where it is; None where the text is not committed, or nothing is known."""

    commit: str | None
    date: str = ""
    subject: str = ""
    exact: bool = True  # False where the history ends at this commit, so that the text may be older
    note: str = ""  # what a reader must know beside the commit


def current(folder: Path = Path(".")) -> Commit:
    """The commit of the repository whose top is `folder`, else the one of the archive that it was unpacked from."""
    if not is_repository(folder):
        return Commit(_archival(folder).get("commit"), None)
    found = git(folder, "rev-parse", "--verify", "--quiet", "HEAD", allowed=(0, 1)).strip()
    return Commit(found, bool(git(folder, "status", "--porcelain").strip())) if found else Commit(None, None)


def is_repository(folder: Path) -> bool:
    """Whether `folder` is the top of a Git working tree, and git is installed."""
    return (folder / ".git").exists() and shutil.which("git") is not None


def git(folder: Path, *arguments: str, allowed: tuple[int, ...] = (0,)) -> str:
    """What `git arguments` prints in `folder`. Raises PolychromicError where it ends with another code than the allowed ones."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    done = subprocess.run(["git", *arguments], cwd=folder, env=env, capture_output=True, check=False, encoding="utf-8", errors="replace")
    if done.returncode not in allowed:
        what = f"git {' '.join(arguments)[:200]} failed in {folder}: {done.stderr.strip()}."
        raise PolychromicError(f"{what} Mend the repository and run the command again.")
    return done.stdout


def resolve(folder: Path, name: str) -> str | None:
    """The commit of a revision, else of the newest DVC experiment of this name (refs/exps/<baseline>/<name>), None without either."""
    if name.startswith("-"):
        return None
    experiments = ("for-each-ref", "--sort=-committerdate", "--format=%(objectname)", f"refs/exps/*/*/{name}")
    found = git(folder, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", allowed=(0, 1, 128)) or git(folder, *experiments)
    return next(iter(found.split()), None)


def show(folder: Path, commit: str, path: str) -> str:
    """A file's text at a commit, "" where the commit has no such file."""
    return git(folder, "show", f"{commit}:{path}", allowed=(0, 128))


def introduced(folder: Path, path: str, text: str = "", past: bool = False) -> Introduced:
    """The commit since which `path` (a file, relative to `folder`) has held `text` without a break, of a merge the commit it brought;
    without a text the commit that last changed the file.

    Without Git the archive's commit is the latest possible; in a shallow clone so is the first one that is there.

    Args:
        past: the last commit need not hold it any more.
    """
    if not is_repository(folder):
        known = _archival(folder)
        note = "archive without history" if known else "no Git history here"
        return Introduced(known.get("commit"), known.get("date", ""), exact=False, note=note)
    uncommitted = text not in show(folder, "HEAD", path) if text else git(folder, "status", "--porcelain", "--", path)
    if uncommitted and not past:
        return Introduced(None, note=f"not committed: {path} {'lacks it in' if text else 'differs from'} the last commit")
    # -S finds where the number of occurrences changes; only a change from none is an introduction
    for line in git(folder, "log", FIELDS, *([f"-S{text}"] if text else ["-1"]), "--", path).splitlines():
        commit, date, parents, subject = line.split("\x00", 3)
        if not text or (text in show(folder, commit, path) and not (parents and text in show(folder, parents.split()[0], path))):
            boundary = folder / git(folder, "rev-parse", "--git-path", "shallow").strip()  # whose first commit may not be the first one
            shallow = boundary.exists() and commit in boundary.read_text().split()
            return Introduced(commit, date, subject, exact=not shallow, note="shallow history" if shallow else "")
    return Introduced(None, exact=False, note="not found in Git's history of its file" if text else "not tracked by Git")


def of_records(folder: Path, wanted: str) -> Introduced | None:
    """The commit that first had the records with the hash that a PDF carries; None where store/ has no such file, or no commit it.

    dvc.lock of a commit names the md5 of results/numbers.json.gz. Without Git the present ones count.
    """
    objects = (path for path in (folder / "store" / "files" / "md5").glob("??/*") if records_hash(path) == wanted)
    md5 = next((f"md5: {path.parent.name}{path.name}" for path in objects), None)
    if md5 is None or (not is_repository(folder) and md5 not in (folder / LOCK).read_text(encoding="utf-8")):
        return None
    found = introduced(folder, LOCK, md5, past=True)
    return found if found.commit else None


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
    """The fields of the archival file that `git archive` filled in, else none."""
    path = folder / ARCHIVAL
    fields = dict(re.findall(r"^(\w+): (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)) if path.exists() else {}
    return fields if re.fullmatch(r"[0-9a-f]{40}", fields.get("commit", "")) else {}


def release(root: Path) -> Path:
    """Copy root/paper/main.pdf to root/release/polychromic-<commit7>[-dirty].pdf, and its facts to the same name with .json.

    main.pdf itself cannot hold them: dvc.lock records it, so its hash would have to contain itself. The JSON holds {"commit", "dirty",
    "dvc_lock_sha256", "pdf_sha256"}; where no commit is known it is "unknown", and dirty is null without Git.

    Raises:
        PolychromicError: paper/main.pdf or dvc.lock is missing, or git refuses to answer.
    """
    pdf, lock = root / "paper" / "main.pdf", root / LOCK
    for path in (pdf, lock):
        if not path.exists():
            raise PolychromicError(f"{path}: file not found. A release needs it; run `dvc repro` first.")
    found = current(root)
    out = root / "release" / f"polychromic-{found.name}.pdf"
    with atomic_open(out) as file:
        file.write(pdf.read_bytes())
    facts = {"commit": found.hash or "unknown", "dirty": found.dirty, "dvc_lock_sha256": sha256_file(lock), "pdf_sha256": sha256_file(out)}
    write_json(out.with_suffix(".json"), facts)
    return out
