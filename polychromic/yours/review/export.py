"""The reviewed set as a data file: what the reviewer accepted, in the order of the ids; the same log gives the same bytes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from polychromic.base.errors import PolychromicError
from polychromic.base.io import write_json, write_jsonl
from polychromic.base.visible import visible
from polychromic.yours.review.log import Candidates, Log
from polychromic.yours.review.state import accepted

DATA, SUMMARY = "replies.jsonl", "replies-review.json"


def export(candidates: Candidates, log: Log, out: Path) -> dict:
    """Write `out`/replies.jsonl (the schema of data.records) and `out`/replies-review.json: how much of it a person has read.

    Undecided candidates stay out. An edited record keeps its id, group and stratum.

    Returns:
        The summary: the counts of state.Review.counts, "exported" records, "reasons" {reason: n}, "strata" {stratum: n exported},
        "reviewer", "made_from" {file: sha256} (of the log: its whole lines).

    Raises:
        PolychromicError: nothing is accepted.
    """
    counts = log.review.counts()
    records = accepted(list(candidates.records.values()), log.review)
    if not records:
        raise PolychromicError(
            f"{log.path}: none of {counts['reviewed']} reviewed candidates is accepted. Allowed: one or more. Review on, and export then."
        )
    rejected = Counter(decision.reason for decision in log.review.decisions.values() if decision.verdict == "reject")
    summary = {
        **counts,
        "exported": len(records),
        "reasons": dict(sorted(rejected.items())),
        "strata": dict(sorted(Counter(record.stratum for record in records).items())),
        "reviewer": log.reviewer,
        "made_from": {candidates.path.name: candidates.sha256, log.path.name: log.sha256},
    }
    write_jsonl(out / DATA, (record.model_dump() for record in records))
    write_json(out / SUMMARY, summary)
    return summary


def render(summary: dict) -> Group:
    title = Text(f"{DATA}: {summary['exported']:,} records, reviewed by {visible(summary['reviewer'])}")
    table = Table("candidates")
    table.add_column(f"{summary['candidates']:,}", justify="right")
    for name in ("reviewed", "accepted", "edited", "rejected", "undecided"):
        table.add_row("  of them edited" if name == "edited" else name, f"{summary[name]:,}")
        if name == "rejected":
            for reason, count in summary["reasons"].items():
                table.add_row(f"  {reason}", f"{count:,}")
    return Group(title, table)
