"""Which commit this is, in a repository, in an unpacked `git archive`, or in neither; and since which commit a text is in a file.

A repository around the folder does not count: an unpacked archive inside one has no commit of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from polychromic.base.errors import PolychromicError

ARCHIVAL = ".git_archival.txt"  # `git archive` writes the commit into it, see .gitattributes
FIELDS = "%H%x00%cI%x00%P%x00%s"


@dataclass(frozen=True)
class Commit:
    """hash: 40 digits, None where it is not known. dirty: whether files differ from it; None where nobody can say."""

    hash: str | None
    dirty: bool | None
    source: Literal["git", "archive", "unknown"]


@dataclass(frozen=True)
class Introduced:
    """The commit since which a text has been where it is.

    Attributes:
        commit: None where the text is not committed, or nothing is known.
        exact: False where the history ends at this commit, so that the text may be older.
        note: what a reader must know beside the commit, "" if nothing.
    """

    commit: str | None
    date: str = ""
    subject: str = ""
    exact: bool = True
    note: str = ""


def current(folder: Path = Path(".")) -> Commit:
    """The commit of the repository whose top is `folder`, else the one of the archive that it was unpacked from.

    Raises:
        PolychromicError: git refuses to answer.
    """
    if is_repository(folder):
        found = git(folder, "rev-parse", "--verify", "--quiet", "HEAD", allowed=(0, 1)).strip()
        return Commit(found, bool(git(folder, "status", "--porcelain").strip()), "git") if found else Commit(None, None, "unknown")
    archival = _archival(folder)
    return Commit(archival["commit"], None, "archive") if "commit" in archival else Commit(None, None, "unknown")


def is_repository(folder: Path) -> bool:
    """Whether `folder` is the top of a Git working tree, and git is installed."""
    return (folder / ".git").exists() and shutil.which("git") is not None


def git(folder: Path, *arguments: str, allowed: tuple[int, ...] = (0,)) -> str:
    """What `git arguments` prints in `folder`.

    Raises:
        PolychromicError: it ends with another code than the allowed ones.
    """
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    done = subprocess.run(["git", *arguments], cwd=folder, env=env, capture_output=True, check=False)
    if done.returncode not in allowed:
        said = done.stderr.decode(errors="replace").strip()
        raise PolychromicError(
            f"git {' '.join(arguments)[:200]} failed in {folder}: {said}. Mend the repository and run the command again."
        )
    return done.stdout.decode(errors="replace")


def resolve(folder: Path, name: str) -> str | None:
    """The commit of a revision or of a DVC experiment of this name, None where there is neither.

    Raises:
        PolychromicError: several experiments have this name.
    """
    if not name.startswith("-") and (found := git(folder, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", allowed=(0, 1, 128))):
        return found.strip()
    found = {ref: commit for commit, ref in (line.split() for line in experiments(folder)) if ref.rpartition("/")[2] == name}
    if len(set(found.values())) > 1:
        raise PolychromicError(f"experiment {name!r} exists {len(found)} times: {', '.join(found)}. Name one of these in full.")
    return next(iter(found.values()), None)


def experiments(folder: Path) -> list[str]:
    """ "<commit> <ref>" of each DVC experiment, the newest first; DVC keeps them as refs/exps/<baseline>/<name>."""
    lines = git(folder, "for-each-ref", "--sort=-committerdate", "--format=%(objectname) %(refname)", "refs/exps").splitlines()
    return [line for line in lines if not line.split()[1].startswith(("refs/exps/exec/", "refs/exps/stash", "refs/exps/celery/"))]


def show(folder: Path, commit: str, path: str) -> str | None:
    """A file's text at a commit, None where the commit has no such file."""
    if not git(folder, "ls-tree", "--name-only", commit, "--", path).strip():
        return None
    return git(folder, "show", f"{commit}:{path}")


def introduced(folder: Path, text: str, path: str) -> Introduced:
    """The commit since which `path` (a file, relative to `folder`) has held `text` without a break; of a merge, the commit it brought.

    Without Git the archive's commit is the latest possible; in a shallow clone so is the first one that is there.
    """
    if not is_repository(folder):
        known = _archival(folder)
        if "commit" not in known:
            return Introduced(None, exact=False, note="no Git history here")
        return Introduced(known["commit"], known.get("date", ""), exact=False, note="archive without history")
    if text not in (show(folder, "HEAD", path) or ""):
        return Introduced(None, note=f"not committed: {path} of the last commit does not have it")
    entry = _first(folder, text, path, ("--first-parent", "-m", "HEAD"))
    if entry is None:  # the file came under its name without a change of its own
        return Introduced(None, exact=False, note="not found in the history of its file")
    if len(entry[2].split()) > 1:  # a merge: who wrote it, on the side that it merged?
        entry = _first(folder, text, path, (f"{entry[0]}^1..{entry[0]}",)) or entry
    shallow = entry[0] in _boundary(folder)
    return Introduced(entry[0], entry[1], entry[3], exact=not shallow, note="shallow history" if shallow else "")


def last_change(folder: Path, path: str) -> Introduced:
    """The commit that last changed a file that Git tracks; what `introduced` says of archives and shallow clones holds here, too."""
    if not is_repository(folder):
        return introduced(folder, "", path)
    if git(folder, "status", "--porcelain", "--", path).strip():
        return Introduced(None, note=f"not committed: {path} differs from the last commit")
    lines = git(folder, "log", "-1", f"--format={FIELDS}", "--", path).splitlines()
    if not lines:
        return Introduced(None, exact=False, note="not tracked by Git")
    entry = lines[0].split("\x00", 3)
    shallow = entry[0] in _boundary(folder)
    return Introduced(entry[0], entry[1], entry[3], exact=not shallow, note="shallow history" if shallow else "")


def _first(folder: Path, text: str, path: str, revisions: Sequence[str]) -> list[str] | None:
    """The newest commit whose change brought the text into the file: [hash, date, parents, subject]."""
    # -S finds where the number of occurrences changes; only a change from none is an introduction
    for line in git(folder, "log", f"--format={FIELDS}", f"-S{text}", *revisions, "--", path).splitlines():
        entry = line.split("\x00", 3)
        parents = entry[2].split()
        if text in (show(folder, entry[0], path) or "") and not (parents and text in (show(folder, parents[0], path) or "")):
            return entry
    return None


def _boundary(folder: Path) -> set[str]:
    """Commits whose parents a shallow clone does not have."""
    path = folder / git(folder, "rev-parse", "--git-path", "shallow").strip()
    return set(path.read_text().split()) if path.exists() else set()


def _archival(folder: Path) -> dict[str, str]:
    """The fields of the archival file that `git archive` filled in."""
    path = folder / ARCHIVAL
    if not path.exists():
        return {}
    fields = dict(line.split(": ", 1) for line in path.read_text(encoding="utf-8").splitlines() if ": " in line)
    if not re.fullmatch(r"[0-9a-f]{40}", fields.get("commit", "")):
        return {}
    return fields
