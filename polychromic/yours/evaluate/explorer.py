"""The page of an evaluation: the same that `polychromic explore` makes of the pipeline's results, of one's own replies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polychromic import __version__
from polychromic.explore.drafts import LONGEST
from polychromic.explore.duplicates import described as same
from polychromic.explore.duplicates import grouped
from polychromic.explore.views import described, shown, values
from polychromic.provenance.lock import md5_of
from polychromic.score.metrics import metric
from polychromic.score.text import answer_key, said
from polychromic.yours.evaluate.inputs import EVALUATION, System

MOST = 200  # prompts, the first ones by id
QUALITIES = ("pass@1", "rouge_l", "chrf")  # of single replies; the first that there is
SETS = ("semantic_diversity", "vendi")  # where no distinct replies were counted


def page(document: dict, systems: Sequence[System]) -> dict[str, Any]:
    """What polychromic.explore.page renders, of the document of an evaluation and the systems it is about."""
    names = list(document["signatures"])
    sources = {Path(row.where.rpartition(":")[0]) for system in systems for row in system.rows.values()}
    data = {path.name: md5_of(path) for path in sorted(sources) if path.is_file()}
    origin = {"file": EVALUATION, "md5": None, "stage": None, "command": None, "data": data, "stages": 0, "params": ""}
    quality, primary = axes(names)
    points = [_point(found, system, names) for found, system in zip(document["systems"], systems, strict=True)]
    places = {(point["label"], point["t"]): place for place, point in enumerate(points)}
    view = {
        "name": "your replies",
        "domain": "",
        "split": "",
        "primary": primary,
        "quality": quality,
        "metrics": {name: described(name) | {"source": document["signatures"][name]} for name in names},
        "points": points,
        "fronts": {},
        "lambdas": [],
        "doses": [],
        "origin": origin,
        "cells": {},
        "shared": {},
        **shown(_drafts(systems), places),
    }
    return {"title": "Polychromic: your replies", "made": {"by": "polychromic evaluate", "version": __version__}, "views": [view]}


def axes(names: Sequence[str]) -> tuple[str, str]:
    """The metrics across and upright: quality of single replies, and how much a set holds, at the largest k."""
    counted = [sorted((name for name in names if name.startswith(kind)), key=lambda name: -metric(name).at)
               for kind in ("valid_distinct@", "distinct@")]  # fmt: skip
    quality = next((name for name in QUALITIES if name in names), names[0])
    sets = [name for found in counted for name in found[:1]] + [name for name in (*SETS, *names) if name in names]
    return quality, next((name for name in sets if name != quality), quality)


def _point(found: dict, system: System, names: Sequence[str]) -> dict[str, Any]:
    counts = [row.answers and sum(answer is not None for answer in row.answers) for row in system.rows.values()]
    often = Counter(counts)
    return {
        "label": system.label,
        "name": system.label,
        "group": "without",
        "main": True,
        "t": system.temperature,
        "chosen": False,
        "lam": None,
        "cost": None,
        "seeds": system.seeds,
        "over": "prompts",
        "prompts": len(system.prompts),
        "drafts": system.n,
        "row": f"systems/{system.name}",
        "values": {name: values(found["metrics"][name], 1) for name in names},
        "passed": None if None in often else [often[count] for count in range(max(often) + 1)],
    }


def _drafts(systems: Sequence[System]) -> dict[str, Any]:
    """As polychromic.explore.drafts has them, of each system's lowest seed."""
    ids = list(dict.fromkeys(name for system in systems for name in system.prompts))
    prompts = []
    for name in ids[:MOST]:
        places: dict[tuple[str, str], int] = {}  # a text with its mark: who gives booleans may judge one text in two ways
        rows, prompt = [], ""
        for system in systems:
            if (row := system.rows.get((system.seeds[0], name))) is not None:
                marks = ["" if row.answers is None else str(int(answer is not None)) for answer in row.answers or row.samples]
                mine = [places.setdefault((said(text), mark), len(places)) for text, mark in zip(row.samples, marks, strict=True)]
                rows.append([system.label, system.temperature, mine, marks.count("1") if row.answers else None])
                prompt = row.prompt
        texts = [text for text, _ in places]
        prompts.append({
            "id": name, "prompt": prompt, "texts": [text if len(text) <= LONGEST else f"{text[:LONGEST]}…" for text in texts],
            "valid": [mark for _, mark in places], "group": grouped([answer_key(text) for text in texts], near=True), "rows": rows,
        })  # fmt: skip
    known = any(row.answers is not None for system in systems for row in system.rows.values())
    return {
        "n": max(system.n for system in systems),
        "valid": "as the column `valid` says" if known else "",
        "alike": same(True, "the same answer but for case, blanks and a final stop"),
        "chosen": f"the first {len(prompts)} of {len(ids)} prompts, and each system's lowest seed",
        "prompts": prompts,
    }
