"""Stage `drafts`: of one split the drafts of some prompts, with validity and near-duplicates, small enough for a page.

Nobody picks the prompts: they are the first of a shuffle that the split's seed decides, as many as LIMIT holds. The first WHOLE of them
have the drafts of every system at every temperature, the others those at the temperature that was chosen. Drafts are of a cell's lowest
seed. No model is asked, hence the two kinds of "valid" below.

drafts.json.gz:

    domain, split, n        n: drafts per prompt and temperature
    valid, alike, chosen    sentences: what a check mark, a colour and a prompt of this file are
    cells           label -> {"cell", "file", "md5" (of the samples), "seed"}
    passed          label -> temperature -> how many (seed, prompt) pairs have c = 0, 1, ..., n valid drafts, by the scores
    prompts         [{"id", "prompt", "texts" (distinct, at most LONGEST characters), "valid", "group", "rows"}], where
        valid       a letter per text: "1" valid, "0" not, "?" keeps the rules, where the evaluation, which asks a model, passed fewer
        group       a number per text: those of one group are near-duplicates
        rows        [[label, temperature, places of the drafts among the texts, valid ones by the scores or null]]
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import dumps, read_json, read_jsonl, write_json
from polychromic.base.progress import progress
from polychromic.base.seeds import derive_seed
from polychromic.compare.systems import label_of
from polychromic.data.domains import Domain
from polychromic.data.records import Record, load_split
from polychromic.explore.duplicates import described, grouped
from polychromic.params import Cell, Params
from polychromic.provenance.lock import md5_of
from polychromic.score.people import Calibration
from polychromic.score.quality import chrf_matrix
from polychromic.score.score import given
from polychromic.score.text import said

WHOLE, MOST = 3, 60  # prompts with every temperature, and prompts in all
LIMIT = 300_000  # bytes of the prompts as JSON; a page has eight such files
LONGEST = 600  # characters of a draft

Drawn = dict[tuple[str, float], dict[str, list[str]]]  # (label, temperature) -> id -> drafts of the lowest seed


class Scored(NamedTuple):
    """counts: (label, temperature, seed, id) -> valid drafts; empty where the scores do not say. first: label -> lowest seed."""

    counts: dict[tuple[str, float, int, str], int]
    first: dict[str, int]


def write_drafts(params: Params, domain: str, split: str) -> Path:
    """Write results/{domain}/{split}/drafts.json.gz. Raises PolychromicError: samples or scores are missing, or are of other prompts."""
    path = paths.drafts_file(domain, split)
    write_json(path, drafts(params, domain, split))
    return path


def drafts(params: Params, domain: str, split: str) -> dict[str, Any]:
    """The document of the module. Raises as `write_drafts`."""
    rules, calibration = given(params, domain)
    cells = {_label(params, cell, split): cell for cell in params.cells(domain, split)}
    files = {label: paths.cell_dir(domain, split, cell.name) / paths.SAMPLES for label, cell in cells.items()}
    drawn, first = _read(files)
    scored = Scored(_counts(params, domain, split, cells), first)
    chosen = _chosen(domain, split, cells)
    sampled = {name for of in drawn.values() for name in of}  # on test, as many prompts as were declared
    records = [record for record in load_split(domain)[split] if record.id in sampled]
    random.Random(derive_seed(params.split.seed, "explore", domain, split)).shuffle(records)
    found, size = [], 0
    with progress("prompts for the page", min(MOST, len(records))) as tick:
        for number, record in enumerate(records[:MOST]):
            wanted = [point for point in sorted(drawn) if number < WHOLE or chosen.get(point[0]) == point[1]]
            one = _prompt(record, wanted, drawn, scored, rules, calibration)
            size += len(dumps(one).encode())
            if size > LIMIT and found:
                break
            found.append(one)
            tick(number + 1)
    return {
        "domain": domain,
        "split": split,
        "n": max(len(texts) for of in drawn.values() for texts in of.values()),
        "valid": _said(rules, calibration),
        "alike": described(_near(rules), "the same answer by the domain's key"),
        "chosen": f"the first {len(found)} of {len(records)} prompts in an order that a seed decides; the first {min(WHOLE, len(found))} "
        "with every temperature, the others with the chosen one; drafts of each system's lowest seed",
        "cells": {
            label: {"cell": cells[label].name, "file": path.as_posix(), "md5": md5_of(path), "seed": first[label]}
            for label, path in files.items()
        },
        "passed": _histograms(scored.counts),
        "prompts": found,
    }


def _label(params: Params, cell: Cell, split: str) -> str:
    """As compare.json names the cell: on dev the headline is the weight of params.yaml, on test the declared one."""
    return label_of(cell.method, cell.lam, params.lam if split == "dev" else cell.lam)


def _chosen(domain: str, split: str, cells: dict[str, Cell]) -> dict[str, float]:
    if split == "dev":
        return read_json(paths.choices_file(domain))["chosen"]
    return {label: cell.temperatures[0] for label, cell in cells.items()}


def _read(files: dict[str, Path]) -> tuple[Drawn, dict[str, int]]:
    """Drafts of each cell's lowest seed, and that seed. A draft that shows nothing is ""."""
    drawn: Drawn = defaultdict(dict)
    first: dict[str, int] = {}
    for label, path in files.items():
        rows = [row for _, row in read_jsonl(path)]
        if not rows:
            raise PolychromicError(f"{path}: no samples. Run `dvc repro`.")
        first[label] = min(row["seed"] for row in rows)
        for row in (row for row in rows if row["seed"] == first[label]):
            drawn[label, row["temperature"]][row["id"]] = [said(text) for text in row["samples"]]
    return drawn, first


def _counts(params: Params, domain: str, split: str, cells: dict[str, Cell]) -> dict[tuple[str, float, int, str], int]:
    """How many of n drafts are valid, by pass@1 of the scores; nothing where they lack it, or it is no share of n (lists of replies)."""
    names = {(cell.method, cell.lam): label for label, cell in cells.items()}
    n, found = params.sampling.n, {}
    for _, row in read_jsonl(paths.scores_file(domain, split)):
        label, share = names.get((row["method"], row["lambda"])), row["metrics"].get("pass@1")
        if label is not None and share is not None and abs(share * n - round(share * n)) < 1e-6:
            found[label, row["temperature"], row["seed"], row["id"]] = round(share * n)
    return found


def _histograms(counts: dict[tuple[str, float, int, str], int]) -> dict[str, dict[str, list[int]]]:
    found: dict[str, dict[str, Counter]] = defaultdict(lambda: defaultdict(Counter))
    for (label, temperature, _, _), count in counts.items():
        found[label][f"{temperature:g}"][count] += 1
    return {label: {t: [of[c] for c in range(max(of) + 1)] for t, of in by.items()} for label, by in found.items()}


def _prompt(
    record: Record, wanted: Iterable[tuple[str, float]], drawn: Drawn, scored: Scored, rules: Domain, calibration: Calibration | None
) -> dict[str, Any]:
    """One entry of "prompts". Raises PolychromicError where a system has no drafts of the prompt."""
    places: dict[str, int] = {}
    rows = []
    for label, temperature in wanted:
        if record.id not in drawn[label, temperature]:
            raise PolychromicError(f"{label} at temperature {temperature} has no samples of {record.id}. Run `dvc repro`.")
        mine = [places.setdefault(text, len(places)) for text in drawn[label, temperature][record.id]]
        rows.append([label, temperature, mine, scored.counts.get((label, temperature, scored.first[label], record.id))])
    texts = list(places)
    if calibration is None:
        kept = [rules.answer(record, text) is not None for text in texts]
    else:
        kept = (chrf_matrix(texts, record.references) > calibration.threshold).any(axis=1).tolist()
    return {
        "id": record.id,
        "prompt": record.prompt,
        "texts": [text if len(text) <= LONGEST else f"{text[:LONGEST]}…" for text in texts],
        "valid": verdicts(kept, rows) if _asks(rules, calibration) else "".join("1" if good else "0" for good in kept),
        "group": grouped([rules.key(record, text) for text in texts], _near(rules)),
        "rows": rows,
    }


def verdicts(kept: Sequence[bool], rows: Iterable[list]) -> str:
    """ "valid" of the module, where the evaluation passes only some of the drafts that keep the rules (`kept`, one per text): where it
    passed as many of a row as keep them, these are they; where it passed none, none is; what no row decides stays open."""
    marks = ["?" if good else "0" for good in kept]
    for _, _, places, count in rows:
        if count in (0, sum(kept[place] for place in places)):
            for place in (place for place in places if kept[place]):
                marks[place] = "1" if count else "0"
    return "".join(marks)


def _asks(rules: Domain, calibration: Calibration | None) -> bool:
    """Whether the evaluation asks a model beside the rules."""
    return calibration is None and type(rules).answers is not Domain.answers


def _near(rules: Domain) -> bool:
    return rules.similarity != "exact"


def _said(rules: Domain, calibration: Calibration | None) -> str:
    if calibration is not None:
        return f"matches the held-out human reply (chrF above {calibration.threshold:g})"
    open_ones = "; “?”: keeps its rules, but the evaluation also asks a model, and passed fewer" if _asks(rules, calibration) else ""
    return f"passes the domain's check{open_ones}"
