"""A few candidates, and a folder of them."""

from __future__ import annotations

from pathlib import Path

from polychromic.base.io import write_jsonl
from polychromic.data.records import Record
from polychromic.yours.review.log import Candidates, read_candidates

STRATA = ("long_high", "short_low", "short_high")


def candidate(number: int, prompt: str = "", reply: str = "") -> Record:
    return Record(
        id=f"replies-{number:03}",
        domain="replies",
        prompt=prompt or f"post {number}",
        references=[reply or f"reply {number}"],
        group=f"post-{number}",
        stratum=STRATA[number % 3],
        checker="person",
        source="tests",
        licence="MIT",
    )


def some(n: int) -> dict[str, Record]:
    return {record.id: record for record in map(candidate, range(n))}


def write_candidates(folder: Path, records: list[Record]) -> Candidates:
    write_jsonl(folder / "candidates.jsonl", (record.model_dump() for record in records))
    return read_candidates(folder)
