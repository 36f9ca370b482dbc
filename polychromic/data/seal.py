"""The declared analysis is sealed before test is looked at: Git's history decides, by the order of its commits.

`analysis:` of params.yaml names systems, contrasts, family, margins and levels. What ran on test stands in dvc.lock. What was never
committed leaves no trace, so this finds a changed mind, not a hidden one. It computes nothing and changes no file.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from polychromic.base import paths
from polychromic.base.errors import PolychromicError

LOCK = Path("dvc.lock")
SECTION = "analysis"
OPENED = re.compile(
    r"^ +- path: ['\"]?(results/[^/\s]+/test/.*)((?:\n +\w+: .*)*)", re.MULTILINE
)  # a file of test in dvc.lock, and its hash


def check_sealed(root: Path) -> None:
    """Refuse an analysis that was declared after test was opened. What samples test, compares it or verifies the paper calls it.

    The section must be committed as it stands, and be what it was before the first commit whose dvc.lock records a file of test
    (OPENED; under a later opening, a new one) and whose params.yaml has the same `opening`; a change that was taken back does no harm.
    Each opening, of new prompts, has a declaration of its own; none goes back to an earlier one; without a number it is the first. Once an
    opening was declared, a look under a lower number counts for it, too: else one could be taken back for the time of a look.
    Without Git, or where the history begins with such a file, a notice on stderr says that nothing could be checked. root: the top of
    the repository. The PolychromicError names both commits.
    """
    if not (shutil.which("git") and (root / ".git").exists()):
        return _notice("no Git repository here" if shutil.which("git") else "git is not installed")
    _git(root, "rev-parse", "--git-dir")  # a repository that Git refuses to read is an error, and no missing file
    now = _section((root / paths.PARAMS).read_text(encoding="utf-8")) if (root / paths.PARAMS).exists() else None
    committed = _section(_text(root, "HEAD", paths.PARAMS))
    if now != committed:
        raise PolychromicError(
            f"{paths.PARAMS}: {SECTION} differs from the last commit ({_differing(now, committed)}). "
            f"Allowed: test is analysed as committed beforehand. Commit the section or take the change back: `git diff {paths.PARAMS}`."
        )
    number = _opening(now)
    named = _commits(root, "HEAD", paths.PARAMS, "-Gopening") if number > 1 else []
    began = next((commit for commit in named if _opening(_section(_text(root, commit, paths.PARAMS))) == number), None)
    older = _commits(root, f"{began}^@", LOCK) if began else None
    firsts: dict[int, str] = {}  # opening -> the first look at test under it
    seen: dict[int, set[tuple[str, str]]] = {}  # what was looked at; what dvc.lock still holds of an earlier opening is no look
    for commit in _commits(root, "HEAD", LOCK):
        if files := set(OPENED.findall(_text(root, commit, LOCK))):
            opening = _opening(_section(_text(root, commit, paths.PARAMS)))
            if older is not None and commit not in older:
                opening = max(opening, number)
            if not files <= set().union(*(before for other, before in seen.items() if other < opening)):
                firsts.setdefault(opening, commit)
                seen[opening] = seen.get(opening, set()) | files
    if number < (last := max(firsts, default=number)):
        raise PolychromicError(
            f"{paths.PARAMS}: {SECTION}.opening is {(now or {}).get('opening', 'left out')}, but test was opened under {last} in commit "
            f"{_name(root, firsts[last])}. Allowed: {last}, or more for other prompts. Restore the number."
        )
    if (first := firsts.get(number)) is None:
        return None
    before = _git(root, "rev-parse", "--verify", "--quiet", f"{first}^", allowed=(0, 1))
    if not before:
        return _notice(f"the history begins with test opened, in commit {_name(root, first)}")
    declared = _section(_text(root, before, paths.PARAMS))
    if now != declared:
        differs = lambda commit: _section(_text(root, commit, paths.PARAMS)) != declared
        since = ["HEAD", *takewhile(differs, reversed(_commits(root, f"{before}..HEAD", paths.PARAMS)))][-1]
        raise PolychromicError(
            f"{paths.PARAMS}: {SECTION} was changed ({_differing(now, declared)}) in commit {_name(root, since)}, but test "
            f"is open since commit {_name(root, first)}. Allowed after that: no change of it. "
            f"Restore the section (`git show {before[:7]}:{paths.PARAMS}`); what was not declared can be said of dev."
        )
    return None


def _section(text: str) -> dict[str, Any] | None:
    """`analysis:` of params.yaml's text, without comments; None where it has none or is no YAML: such a revision declares nothing."""
    try:
        return dict(YAML(typ="safe").load(text)[SECTION])
    except (YAMLError, KeyError, TypeError, ValueError):
        return None


def _opening(section: dict[str, Any] | None) -> int:
    """Which look at test the section is about; the first where it does not say."""
    found = (section or {}).get("opening", 1)
    return found if isinstance(found, int) else 1


def _differing(one: dict[str, Any] | None, other: dict[str, Any] | None) -> str:
    """The keys in which two sections differ."""
    one, other = one or {}, other or {}
    return ", ".join(key for key in sorted({*one, *other}) if one.get(key, ...) != other.get(key, ...))


def _commits(root: Path, revisions: str, path: Path, *only: str) -> list[str]:
    """The commits that touched `path` on any branch merged, parents before children."""
    return _git(root, "log", "--topo-order", "--reverse", "--full-history", "--format=%H", *only, revisions, "--", str(path)).split()


def _text(root: Path, commit: str, path: Path) -> str:
    """The file at a commit; empty where the commit does not hold it, or there is none yet."""
    return _git(root, "show", f"{commit}:./{path}", allowed=(0, 128))


def _name(root: Path, commit: str) -> str:
    """Short hash and day."""
    return _git(root, "show", "--no-patch", "--format=%h (%cs)", commit)


def _git(root: Path, *arguments: str, allowed: tuple[int, ...] = (0,)) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}  # of a hook or a command around us
    done = subprocess.run(["git", *arguments], cwd=root, env=environment, capture_output=True, encoding="utf-8", check=False)
    if done.returncode not in allowed:
        remedy = "Test is analysed only where its history can be read; mend the repository."
        raise PolychromicError(f"git {' '.join(arguments)} failed in {root}: {done.stderr.strip()}. {remedy}")
    return done.stdout.strip()


def _notice(reason: str) -> None:
    print(f"{paths.PARAMS}: {reason}; whether {SECTION} was committed before test was opened could not be checked.", file=sys.stderr)
