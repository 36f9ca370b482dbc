"""Candidates accepted in bulk, without a reader: those of a source that is trusted. The log says of each that nobody read it."""

from __future__ import annotations

from pathlib import Path

from polychromic.base.errors import UsageError
from polychromic.base.locks import single_writer
from polychromic.base.progress import progress
from polychromic.base.visible import Terminal
from polychromic.yours.review.log import BULK, Action, Candidates, log_path, read_log
from polychromic.yours.review.session import Session
from polychromic.yours.review.session import progress as told


def accept(candidates: Candidates, folder: Path, reviewer: str, wanted: str) -> str:
    """Accepts what is undecided and passes a filter as in a session (strata and texts, with commas between; all must hold); a line that
    says how far the review is. What was decided stays as it was; a session undoes and rejects these like any others.

    Raises UsageError: the filter is empty, or nothing passes it; PolychromicError: as read_log, or somebody reviews under this name.
    """
    path = log_path(folder, reviewer)
    strata = ", ".join(sorted({record.stratum for record in candidates.records.values()})[:20])
    allowed = f"strata ({strata}) and texts that post or reply hold, with commas between; `undecided` takes all"
    if not [term for term in wanted.split(",") if term.strip()]:
        raise UsageError(f"--accept is empty. Allowed: {allowed}.")
    with single_writer(path, wait_seconds=1.0):
        log = read_log(path, candidates, reviewer)
        session = Session(log, Terminal(stderr=True))
        session.filter = wanted
        passing = [name for name in candidates.records if name not in log.decisions and session.passes(name)]
        if not passing:
            raise UsageError(f"--accept {wanted!r}: none of the undecided candidates passes. Allowed: {allowed}.")
        with progress("accept", len(passing)) as tick:
            for done, name in enumerate(passing, start=1):
                log.append(Action("accept", name, note=BULK))
                tick(done)
    return f"{len(passing):,} accepted that nobody read. {told(log.counts())}. Every decision is in {path}."
