"""Checks that no lock can make: splits that do not overlap, and an analysis that was declared before test was opened."""

from __future__ import annotations

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json
from polychromic.data.records import read_records
from polychromic.data.seal import check_sealed
from polychromic.data.split import check_split, is_seen
from polychromic.provenance.lock import File
from polychromic.provenance.state import Row, State, not_checked, row


def splits(here: State) -> Row:
    """Train, dev and test of each domain share no group and no prompt, also after normalisation; the stage's own check, once more."""
    params = here.params
    wrong, seen = [], 0
    for domain in params.domains:
        data, split = paths.data_file(domain).as_posix(), paths.split_file(domain).as_posix()
        places = [here.place(File(data, here.data.get(data), None)), here.place(here.made.get(split) or File(split, None, None))]
        if missing := [path for path, place in zip((data, split), places, strict=True) if place is None]:
            wrong += [f"{path}: neither here nor in store/" for path in missing]
            continue
        records, document = read_records(places[0]), read_json(places[1])
        barred = frozenset(record.id for record in records if is_seen(record))
        seen += len(records)
        try:
            check_split(records, document["splits"], params.domain(domain).sizes.model_dump(), params.split.tolerance, barred)
        except PolychromicError as error:
            wrong.append(f"{domain}: {error}")
    remedy = "Run `dvc repro split@DOMAIN`: results of an overlapping split are void."
    return row("splits", "no prompt in two splits", f"{len(params.domains)} domains, {seen} records", wrong, remedy)


def sealed(here: State) -> Row:
    """`analysis:` of params.yaml is older than the first sample of test, as far as Git's history says."""
    expected = "declared before test was opened"
    if not any("/test/" in path for path in here.made):
        return row("analysis", expected, "test is not open", [], "")
    if here.history:
        return not_checked("analysis", expected, here.history)
    try:
        check_sealed(here.folder)
    except PolychromicError as error:
        return row("analysis", expected, "", [str(error)], "Restore the section: what was not declared can be said of dev.")
    return row("analysis", expected, "in this order in Git's history", [], "")
