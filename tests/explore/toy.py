"""A workspace in miniature with drafts, scores and compare.json of dev and test, made by the stages' own code from drafts that are written
here: LoRA says nearly one thing, the headline many, and some are wrong. No model."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from polychromic.base import paths
from polychromic.base.io import write_json, write_jsonl
from polychromic.compare import compare as stage
from polychromic.compare.systems import label_of
from polychromic.data.domains import get_domain
from polychromic.data.records import Record, load_split
from polychromic.explore.drafts import write_drafts
from polychromic.params import Cell, Params
from polychromic.score.metrics import Prompt, compute
from tests.workspace import KINDS, REPOSITORY, listqa_record, small_plan, small_values, write_params

METHODS = {
    "zero_shot": {"prompt": "zero_shot", "adapter": "none"},
    "few_shot": {"prompt": "few_shot", "adapter": "none"},
    "lora": {"prompt": "zero_shot", "adapter": "lora", "cost": 1.0},
    "lora_2c": {"prompt": "zero_shot", "adapter": "lora", "cost": 2.0},
    "rft": {"prompt": "zero_shot", "adapter": "lora", "self_training": {"after": 0.5}, "cost": 2.0},
    "polychromic_1c": {"prompt": "zero_shot", "adapter": "lora", "objective": "coverage", "lam": 3.0, "cost": 1.0},
    "polychromic": {"prompt": "zero_shot", "adapter": "lora", "objective": "coverage", "lam": "lambda", "cost": 2.0},
}
# How many different right answers a system has for a prompt, and the share of its drafts that are wrong.
MANNERS = {"zero_shot": (2, 0.6), "few_shot": (2, 0.5), "lora": (2, 0.25), "lora_2c": (2, 0.2), "rft": (3, 0.15),
           "polychromic_1c": (5, 0.25), "polychromic": (8, 0.2), "polychromic@0.3": (3, 0.25)}  # fmt: skip
NAMES = ["pass@1", "pass@10", "valid_distinct@10", "distinct@10", "self_bleu"]
HOSTILE = "</script><img src=x onerror=alert(1)>\u202egnp.exe"
Right = Callable[[Record], list[str]]  # a record's right answers, of which systems draw
TONES = ("red", "blue", "green", "grey", "small", "wild", "sweet", "old", "northern", "common")


def toy_values(domains: Sequence[str] = ("listqa",)) -> dict[str, Any]:
    values = small_values() | {"domains": list(domains), "methods": METHODS, "seeds": [0, 1]}
    temperatures = [0.4, 0.6, 0.8, 1.0, 1.2, 1.4]
    for domain in domains:
        values[domain] |= {"lambdas": [0.3, 3.0], "temperatures": temperatures, "metrics": NAMES, "people": []}
    values["listqa"] |= {"sizes": {"train": 2, "dev": 8, "test": 4}}
    plan = small_plan()
    for one in plan["systems"].values():
        one["temperatures"] = temperatures[: 1 if one["seeds"] == 1 else 6]
    values["analysis"] |= {"test": dict.fromkeys(domains, plan)}
    values["analysis"]["contrasts"] = [{"a": "polychromic", "b": "lora", "family": "primary", "rule": "chosen"}]
    values["analysis"]["endpoints"] = {domain: {"primary": "valid_distinct@10", "quality": "pass@1"} for domain in domains}
    return values


def records() -> list[Record]:
    right = lambda kind: [f"{tone} {kind}" for tone in TONES]
    return [listqa_record(i, references=right(kind)[:2], valid=right(kind)) for i, kind in enumerate(KINDS)]


def right_ones(record: Record) -> list[str]:
    return record.right


def replies(record: Record, label: str, temperature: float, draws: random.Random, n: int, right: Right) -> list[str]:
    """n drafts in the manner of a system: hotter is more different and more often wrong."""
    many, wrong = MANNERS.get(label, (3, 0.3))
    pool = right(record)[: max(1, round(many * (0.4 + 0.6 * temperature)))]
    said = [draws.choice(pool) if draws.random() > wrong * (0.5 + temperature) else draws.choice((HOSTILE, "stone", "")) for _ in range(n)]
    return [text if draws.random() > 0.3 else text.capitalize() for text in said]


def make_cell(params: Params, domain: str, split: str, cell: Cell, label: str, right: Right) -> list[dict]:
    """Write the samples and the history of a cell; returns its rows of scores."""
    rules, n, rows, scores = get_domain(domain), params.sampling.n, [], []
    for seed in cell.seeds:
        for temperature in cell.temperatures:
            for record in load_split(domain)[split]:
                draws = random.Random(f"{label} {seed} {temperature} {record.id}")
                samples = replies(record, label, temperature, draws, n, right)
                about = {"seed": seed, "temperature": temperature, "split": split, "id": record.id}
                rows.append(about | {"samples": samples, "tokens": [3] * n, "finished": [True] * n})
                prompt = Prompt(samples, [rules.answer(record, text) for text in samples], [rules.key(record, text) for text in samples])
                metrics = {name: compute(name, prompt) for name in params.domain(domain).metrics}
                metrics["objective"] = metrics["valid_distinct@10"] / 10
                scores.append({"method": cell.method, "lambda": cell.lam, **about, "metrics": metrics})
    folder = paths.cell_dir(domain, split, cell.name)
    write_jsonl(folder / paths.SAMPLES, rows)
    if params.methods[cell.method].adapter == "lora":
        write_jsonl(folder / paths.HISTORY, [row for seed in cell.seeds for row in _history(params, cell, seed)])
    return scores


def _history(params: Params, cell: Cell, seed: int) -> list[dict]:
    method, steps = params.methods[cell.method], int(4 * (params.methods[cell.method].cost or 1))
    sets = {"objective": 0.2, "objective_clipped": 0.0} if method.objective != "none" else {}
    rows = [{"seed": seed, "step": step, "ce": 2.0 / step, "grad_norm": 1.0, "flops": 1e12 * step, "checked": 8 * step}
            | sets for step in range(1, steps + 1)]  # fmt: skip
    return [*rows, {"seed": seed, "step": steps, "eval_loss": 2.0 + 0.1 * len(sets), "kl_to_base": 6.0, "reply_tokens": 3.0}]


def make_results(params: Params, domain: str, right: Right = right_ones, splits: Sequence[str] = ("dev", "test")) -> None:
    """What the stages before `explore` leave of a domain, in the current folder."""
    for split in splits:
        scores = []
        for cell in params.cells(domain, split):
            label = label_of(cell.method, cell.lam, params.lam if split == "dev" else cell.lam)
            scores += make_cell(params, domain, split, cell, label, right)
        write_jsonl(paths.scores_file(domain, split), scores)
        for name, content in (("calibration", None), ("signatures", {}), ("machines", {"a processor": ["lora"]})):
            write_json(paths.scores_file(domain, split).with_name(f"{name}.json"), content)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stage, "check_sealed", lambda root: None)
            stage.compare(params, domain, split)
        write_drafts(params, domain, split)


def make_workspace(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """`folder`, the current one from then on: params.yaml, data, the code and the text by links, results of list questions."""
    monkeypatch.chdir(folder)
    for name in ("polychromic", "paper", "benchmarks", "requirements.lock"):
        (folder / name).symlink_to(REPOSITORY / name)
    values = toy_values()
    write_params(folder, values)
    params = Params.model_validate(values)
    write_jsonl(paths.data_file("listqa"), [record.model_dump() for record in records()])
    names = [record.id for record in records()]
    write_json(paths.split_file("listqa"), {"splits": {"train": names[:2], "dev": names[2:10], "test": names[10:], "calibration": []}})
    write_json(paths.norms_file("listqa"), {"training": {"cosine": 0.0}, "held_out": {}})
    make_results(params, "listqa")
    return params


__all__ = ["HOSTILE", "make_results", "make_workspace", "toy_values"]
