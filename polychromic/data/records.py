"""The one record schema that every domain shares, and the only reader of data files."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from polychromic.base import paths
from polychromic.base.errors import DataError, PolychromicError, problems
from polychromic.base.io import read_json, read_jsonl

FORMS = " | "  # between the forms of one right answer, the canonical one first
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Record(BaseModel):
    """A prompt with what is known about good replies to it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Text  # unique within its file
    domain: Text  # the name of a domain (polychromic/data/domains)
    prompt: Text  # what the user says, without any template
    references: Annotated[list[Text], Field(min_length=1)]  # human or curated replies; what cross-entropy trains on
    group: Text  # records of one group never stand in two splits (near-duplicates share a group)
    stratum: Text  # a class whose share is kept equal in all splits (difficulty or engagement)
    checker: Literal["set", "person"]  # a good reply passes the domain's check by `valid`, or matches a held-out human reply
    valid: list[Text] = []  # what the checker "set" needs: right answers (a line each), forms of keywords or hidden tests; else empty
    source: Text  # package and version the record was made from
    licence: Text  # SPDX identifier, or the licence's name

    @model_validator(mode="after")
    def _complete(self) -> Record:
        if self.checker == "set" and not self.valid:
            raise ValueError('valid is empty; checker "set" needs the valid answers')
        return self

    @property
    def right(self) -> list[str]:
        """The canonical form of each line of `valid`."""
        return [line.partition(FORMS)[0] for line in self.valid]


def read_records(path: str | os.PathLike, domain: str | None = None) -> list[Record]:
    """Read a data file. DataError, with file and line: a malformed record (and all that is wrong with it), a duplicate id, no record, or
    one of another domain than `domain`."""
    records: list[Record] = []
    seen: dict[str, str] = {}
    for where, row in read_jsonl(path):
        try:
            records.append(record := Record.model_validate(row))
        except ValidationError as error:
            raise DataError(where, problems(error), "fields " + ", ".join(Record.model_fields)) from None
        if domain not in (None, record.domain):
            raise DataError(where, f"a record of domain {record.domain!r}", f"records of {domain!r}, after which the file is named")
        if seen.setdefault(record.id, where) != where:
            raise DataError(where, f"id {record.id!r} was already used at {seen[record.id]}", "each id once per file")
    if not records:
        raise DataError(f"{path}:1", "the file holds no record", "at least one JSON object")
    return records


def load_split(domain: str) -> dict[str, list[Record]]:
    """Records by split, in the order of the split file. PolychromicError: the data file, of another version, lacks one of them."""
    records = {record.id: record for record in read_records(paths.data_file(domain), domain)}
    where = paths.split_file(domain)
    found = read_json(where)
    splits = found.get("splits") if isinstance(found, dict) else None
    listed = isinstance(splits, dict) and all(isinstance(ids, list) and all(isinstance(i, str) for i in ids) for ids in splits.values())
    if not listed or not set(paths.SPLITS) <= splits.keys():
        raise DataError(str(where), "no ids by split", "what `polychromic split` writes", "Run `dvc repro`.")
    if missing := [i for ids in splits.values() for i in ids if i not in records]:
        raise PolychromicError(f"{where}: {len(missing)} ids, {missing[0]!r} first, are not in {paths.data_file(domain)}. Run `dvc repro`.")
    return {name: [records[i] for i in ids] for name, ids in splits.items()}
