"""The one record schema that every domain shares, and the only reader of data files."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from polychromic.base.errors import DataError
from polychromic.base.io import read_jsonl

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Record(BaseModel):
    """A prompt with what is known about good replies to it.

    Attributes:
        id: unique within its file.
        domain: the name of a domain (polychromic/data/domains).
        prompt: what the user says, without any template.
        references: human or curated replies, at least one; what cross-entropy trains on.
        group: records of one group never stand in two splits (near-duplicates share a group).
        stratum: a class whose share is kept equal in all splits (difficulty or engagement).
        checker: "set" (a reply is good when it is in `valid` after normalisation) or
            "person" (a reply is good when it matches a held-out human reply).
        valid: the full set of valid answers for checker "set", else empty.
        source: package and version the record was made from.
        licence: SPDX identifier, or the licence's name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Text
    domain: Text
    prompt: Text
    references: Annotated[list[Text], "at least one"]
    group: Text
    stratum: Text
    checker: Literal["set", "person"]
    valid: list[Text] = []
    source: Text
    licence: Text

    @model_validator(mode="after")
    def _complete(self) -> Record:
        if not self.references:
            raise ValueError("references is empty; at least one reference reply is needed")
        if self.checker == "set" and not self.valid:
            raise ValueError('valid is empty; checker "set" needs the valid answers')
        return self


def parse_record(where: str, row: dict) -> Record:
    """Validate one row; a DataError names all that is wrong with it."""
    try:
        return Record.model_validate(row)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'record'}: {e['msg']}"
            + ("" if e["type"] == "missing" else f" (got {str(e['input'])[:80]!r})")
            for e in error.errors(include_url=False)
        )
        raise DataError(where, problems, "fields " + ", ".join(Record.model_fields)) from None


def read_records(path: str | os.PathLike) -> list[Record]:
    """Read a data file.

    Raises:
        PolychromicError: no such file.
        DataError: a malformed record, a duplicate id, or no record at all (with file and line).
    """
    records: list[Record] = []
    seen: dict[str, str] = {}
    for where, row in read_jsonl(path):
        record = parse_record(where, row)
        if record.id in seen:
            raise DataError(where, f"id {record.id!r} was already used at {seen[record.id]}", "each id once per file")
        seen[record.id] = where
        records.append(record)
    if not records:
        raise DataError(f"{path}:1", "the file holds no record", "at least one JSON object")
    return records
