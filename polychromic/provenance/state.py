"""What `verify` looks at and how it answers: a workspace with its lock, its declared stages and hashes, and rows of findings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from polychromic.base import paths
from polychromic.params import Params, load_params
from polychromic.provenance.commit import git, is_repository
from polychromic.provenance.declared import Declared, counting, declared
from polychromic.provenance.lock import File, Stage, stored
from polychromic.provenance.pipeline import md5_file
from polychromic.provenance.trace import Workspace

SHOWN = 3  # findings of one check that are named; --json has them all
SHORT = 8  # digits of a hash


@dataclass(frozen=True)
class Row:
    """One check. ok: True, False, or None where it could not be made here; `findings` are what it found wrong, `remedy` is "" when ok."""

    check: str
    ok: bool | None
    expected: str
    got: str
    remedy: str = ""
    findings: tuple[str, ...] = ()


def row(check: str, expected: str, good: str, findings: Iterable[str], remedy: str) -> Row:
    """A row that is ok without findings.

    Args:
        good: what was got then, such as "412 files".
    """
    found = tuple(findings)
    if not found:
        return Row(check, True, expected, good)
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return Row(check, False, expected, "; ".join(found[:SHOWN]) + more, remedy, found)


def not_checked(check: str, expected: str, why: str) -> Row:
    return Row(check, None, expected, f"not checked: {why}")


def count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def briefly(md5: str | None) -> str:
    return (md5 or "none")[:SHORT]


class State(Workspace):
    """A workspace as `trace` reads it, and the stages that dvc.yaml declares."""

    @cached_property
    def declared(self) -> Mapping[str, Declared]:
        return declared(self.folder)

    @cached_property
    def params(self) -> Params:
        return load_params(self.folder / paths.PARAMS)

    @cached_property
    def stages(self) -> Mapping[str, Stage]:
        """The entries of dvc.lock that count."""
        return counting(self.lock, self.declared)

    @cached_property
    def made(self) -> Mapping[str, File]:
        """Every out of these, by path."""
        return {out.path: out for stage in self.stages.values() for out in stage.outs}

    @cached_property
    def cached(self) -> Mapping[str, File]:
        """The outs that DVC keeps, and so the store: those that dvc.yaml does not exempt. A cell of an ablation keeps all."""
        exempt = {path for stage in self.declared.values() for path, kept in stage.outs.items() if not kept}
        return {path: out for path, out in self.made.items() if path not in exempt}

    @cached_property
    def _md5s(self) -> dict[Path, str]:
        return {}

    def md5(self, path: Path) -> str:
        """The hash of a file that is here, computed once."""
        if path not in self._md5s:
            self._md5s[path] = md5_file(path)
        return self._md5s[path]

    @cached_property
    def history(self) -> str:
        """ "" where Git's whole history is here, else why it is not."""
        if not is_repository(self.folder):
            return "no history (no Git repository)"
        return "no history (shallow clone)" if git(self.folder, "rev-parse", "--is-shallow-repository").strip() == "true" else ""

    def differing(self, files: Iterable[File]) -> list[str]:
        """What is wrong with files that were recorded: not here and not kept, or other bytes than were recorded."""
        found = []
        for file in files:
            path = self.folder / file.path
            place = path if path.is_file() else stored(self.folder, file.md5) if file.md5 else None
            if place is None:
                found.append(f"{file.path}: neither here nor in store/")
            elif self.md5(place) != file.md5:
                where = "" if place == path else f" (of {place.relative_to(self.folder)})"
                found.append(f"{file.path}: md5 {briefly(self.md5(place))}{where}, recorded {briefly(file.md5)}")
            elif file.size is not None and place.stat().st_size != file.size:
                found.append(f"{file.path}: {place.stat().st_size} bytes, recorded {file.size}")
        return found


def md5_of_text(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def failed(rows: Sequence[Row]) -> bool:
    return any(one.ok is False for one in rows)
