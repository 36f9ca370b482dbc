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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from polychromic.base import paths
from polychromic.base.errors import PolychromicError

LOCK = Path("dvc.lock")
SECTION = "analysis"
OPENED = ("sample_test", "sample_test_others", "sample_test_code", "score_test", "compare_test")  # stages of dvc.yaml


def check_sealed(root: Path) -> None:
    """Refuse an analysis that was declared after test was opened. Whatever samples, scores or compares test calls it.

    The section must be committed as it stands, and be what it was before the first commit whose dvc.lock records a stage about test
    (OPENED); a change that was taken back does no harm. Without Git, or where the history begins with such a stage, a notice on
    stderr says that nothing could be checked.

    Args:
        root: the top of the repository, which holds params.yaml and dvc.lock.

    Raises:
        PolychromicError: the section has changes that are not committed, or was changed after the scores; both commits are named.
    """
    if not (root / ".git").exists() or shutil.which("git") is None:
        _notice("no Git repository here" if shutil.which("git") else "git is not installed")
        return
    _git(root, "rev-parse", "--git-dir")  # a repository that Git refuses to read is an error, and no missing file
    now = _section((root / paths.PARAMS).read_text(encoding="utf-8")) if (root / paths.PARAMS).exists() else None
    committed = _section(_text(root, "HEAD", paths.PARAMS))
    if now != committed:
        raise PolychromicError(
            f"{paths.PARAMS}: {SECTION} differs from the last commit ({_differing(now, committed)}). "
            f"Allowed: test is analysed as committed beforehand. Commit the section or take the change back: `git diff {paths.PARAMS}`."
        )
    first = next((commit for commit in _commits(root, "HEAD", LOCK) if _opened(_text(root, commit, LOCK))), None)
    if first is None:
        return
    before = _git(root, "rev-parse", "--verify", "--quiet", f"{first}^", allowed=(0, 1))
    if not before:
        _notice(f"the history begins with test opened, in commit {_name(root, first)}")
        return
    declared = _section(_text(root, before, paths.PARAMS))
    if now != declared:
        changed = _last_departure(root, before, declared)
        raise PolychromicError(
            f"{paths.PARAMS}: {SECTION} was changed ({_differing(now, declared)}) in commit {_name(root, changed)}, but test "
            f"is open since commit {_name(root, first)}. Allowed after that: no change of it. "
            f"Restore the section (`git show {before[:7]}:{paths.PARAMS}`); what was not declared can be said of dev."
        )


def _last_departure(root: Path, before: str, declared: dict[str, Any] | None) -> str:
    """The commit after `before` since which the section is not the declared one."""
    departure = None
    for commit in _commits(root, f"{before}..HEAD", paths.PARAMS):
        same = _section(_text(root, commit, paths.PARAMS)) == declared
        departure = None if same else departure or commit
    return departure or "HEAD"


def _section(text: str | None) -> dict[str, Any] | None:
    """`analysis:` of params.yaml's text, without comments; None where there is no such file or section."""
    values = _parsed(text)
    section = values.get(SECTION) if isinstance(values, dict) else None
    return section if isinstance(section, dict) else None


def _differing(one: dict[str, Any] | None, other: dict[str, Any] | None) -> str:
    """The keys in which two sections differ."""
    if one is None or other is None:
        return "the whole section"
    return ", ".join(key for key in sorted({*one, *other}) if key not in one or key not in other or one[key] != other[key])


def _opened(lock: str | None) -> bool:
    """Whether dvc.lock holds a stage about test."""
    if lock is None or not re.search(rf"^ +['\"]?({'|'.join(OPENED)})@", lock, re.MULTILINE):
        return False  # dvc.lock has thousands of lines, and most revisions end here
    values = _parsed(lock)
    stages = values.get("stages", {}) if isinstance(values, dict) else {}
    return any(name.partition("@")[0] in OPENED for name in stages)


def _parsed(text: str | None) -> Any:
    """None for a revision that is no YAML: it declares nothing."""
    if text is None:
        return None
    try:
        return YAML(typ="safe").load(text)
    except YAMLError:
        return None


def _commits(root: Path, revisions: str, path: Path) -> Iterator[str]:
    """The commits that touched `path` on any branch merged, parents before children; none before the first commit."""
    if _git(root, "rev-parse", "--verify", "--quiet", "HEAD", allowed=(0, 1)):
        yield from _git(root, "log", "--topo-order", "--reverse", "--full-history", "--format=%H", revisions, "--", str(path)).split()


def _text(root: Path, commit: str, path: Path) -> str | None:
    """The file at a commit; None where the commit does not hold it, or there is none yet."""
    return _git(root, "show", f"{commit}:./{path}", allowed=(0, 128)) or None


def _name(root: Path, commit: str) -> str:
    """Short hash and day."""
    return _git(root, "show", "--no-patch", "--format=%h (%cs)", commit)


def _git(root: Path, *arguments: str, allowed: tuple[int, ...] = (0,)) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}  # of a hook or a command around us
    done = subprocess.run(["git", *arguments], cwd=root, env=environment, capture_output=True, encoding="utf-8", check=False)
    if done.returncode not in allowed:
        raise PolychromicError(
            f"git {' '.join(arguments)} failed in {root}: {done.stderr.strip()}. Test is analysed only where its history can be read; "
            "mend the repository."
        )
    return done.stdout.strip()


def _notice(reason: str) -> None:
    print(f"{paths.PARAMS}: {reason}; whether {SECTION} was committed before test was opened could not be checked.", file=sys.stderr)
