"""A workspace in miniature: params.yaml with tiny models and small sizes, and data files of a few records."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from polychromic.base.io import write_jsonl
from polychromic.data import split as splitting
from polychromic.data.records import Record
from polychromic.params import Params, read_yaml
from polychromic.score.norms import write_norms
from tests.tiny import make_tiny_encoder, make_tiny_model

REPOSITORY = Path(__file__).resolve().parents[1]
KINDS = ("zorb", "flim", "quave", "drosk", "plent", "varn", "miltow", "gabbro", "sedge", "torque", "umbel", "wicket", "yarrow", "krell")

PEOPLE = ("zero_shot", "few_shot", "lora", "rft", "polychromic")
_LORA = {"prompt": "zero_shot", "adapter": "lora", "domains": []}
_OURS = _LORA | {"objective": "coverage", "lam": 3.0}
# Kinds of method that the code has and the grid of params.yaml has not: each prompt, loss, objective, target and similarity has one.
FURTHER: dict[str, dict[str, Any]] = {
    "list_prompt": {"prompt": "list", "adapter": "none", "domains": []},
    "lora_long": _LORA | {"budget": 1.4},
    "lora_scaled": _LORA | {"scale": 0.7},
    "lora_all": _LORA | {"targets": "valid"},
    "label_smoothing": _LORA | {"loss": "label_smoothing", "settings": {"epsilon": 0.1}},
    "entropy": _LORA | {"loss": "entropy", "settings": {"beta": 0.1}},
    "gem": _LORA | {"loss": "gem", "settings": {"beta": 0.7}},
    "tofu": _LORA | {"loss": "tofu", "settings": {"beta": 0.8, "gamma": 3.0}},
    "deviation": _LORA | {"loss": "deviation"},
    "polychromic_plain": _OURS | {"objective": "plain", "baseline": "leave_one_out", "similarity": "semantic", "lam": 0.5},
    "gated": _OURS | {"objective": "gated", "baseline": "leave_one_out", "lam": 10.0},
    "polychromic_full": _OURS | {"rollouts": {"share": 1.0}},
}
# Methods of the grid without what a budget in FLOPs brings: the domain's steps, and rollouts from the first one on.
STEPS: dict[str, dict[str, Any]] = {
    "lora": {"prompt": "zero_shot", "adapter": "lora"},
    "polychromic": {"prompt": "zero_shot", "adapter": "lora", "objective": "coverage", "lam": "lambda"},
    "lora_min_p": _LORA | {"min_p": 0.1},
    "rft": {"prompt": "zero_shot", "adapter": "lora", "self_training": {"after": 0.5}},
    "reward": _OURS | {"objective": "reward", "baseline": "leave_one_out"},
    "passk": _OURS | {"objective": "passk", "subset": 2, "baseline": "others"},
    "poly_epo": _OURS | {"objective": "poly_epo", "subset": 2, "baseline": "leave_one_out"},
}


def listqa_record(number: int, **changes: Any) -> Record:
    kind = KINDS[number]
    values = dict(
        id=f"listqa-{kind}",
        domain="listqa",
        prompt=f"Name one kind of {kind}.",
        references=[f"red {kind}", f"blue {kind}"],
        group=kind,
        stratum="kind",
        checker="set",
        valid=[f"red {kind}", f"blue {kind}", f"green {kind}"],
        source="made for tests",
        licence="MIT",
    )
    return Record(**(values | changes))


def declared_values() -> dict[str, Any]:
    """The values of params.yaml with FURTHER methods, three seeds, systems beside PEOPLE and `small_plan` for test in each domain, whatever
    its grid has."""
    values = read_yaml(REPOSITORY / "params.yaml")
    values["replies"]["people"] = list(PEOPLE)
    values["methods"] = {**values["methods"], **copy.deepcopy(FURTHER)}
    values["seeds"] = [0, 1, 2]
    values["analysis"]["test"] = {domain: small_plan() for domain in values["domains"]}
    return values


def small_values() -> dict[str, Any]:
    """`declared_values` with the tiny models of `make_models`, sizes that take a second, and STEPS."""
    values = declared_values()
    values["methods"] |= copy.deepcopy(STEPS)
    values["model"], values["encoder"] = {"source": "folder", "path": "model"}, {"source": "folder", "path": "encoder"}
    values["seeds"] = [0, 1]
    values["listqa"] |= {"sizes": {"train": 6, "dev": 4, "test": 4}, "steps": 6, "max_new_tokens": 4, "temperatures": [0.5, 1.0]}
    values["listqa"]["rollouts"] = {"share": 1.0, "every": 1}
    values["train"] |= {"batch_size": 4, "eval_every": 3, "checkpoint_every": 2, "warmup_steps": 1, "precision": "float32"}
    values["sampling"] |= {"n": 10, "rows": 20, "precision": "float32"}
    values["lora"] |= {"rank": 2, "alpha": 4}
    values["objective"] |= {"n": 3}
    values["few_shot"] |= {"exemplars": 2}
    sizes = {"bootstrap": 200, "resamples": 200, "permutations": 200, "clusters": []}
    values["analysis"] |= sizes
    values["judge"] |= {"sets": 3, "repeats": 1, "pairs": {"listqa": ["polychromic - lora", "lora - zero_shot"]}}
    return values


def small_plan() -> dict[str, Any]:
    """What test is opened for: the four baselines, of which polychromic has a seed that dev has not."""
    return {
        "seeds": [0, 1, 2],
        "systems": {
            "zero_shot": {"seeds": 2, "temperatures": [1.0]},
            "few_shot": {"seeds": 1, "temperatures": [0.5]},
            "lora": {"seeds": 2, "temperatures": [1.0, 0.5, 0.6, 0.7, 0.8, 0.9]},
            "polychromic": {"lam": 3.0, "seeds": 3, "temperatures": [0.7, 0.5, 0.6, 0.8, 0.9, 1.0]},
        },
        "contrasts": [
            {"a": "polychromic", "b": "lora", "family": "primary"},
            {"a": "polychromic", "b": "zero_shot", "family": "primary", "rule": "chosen"},
            {"a": "lora", "b": "zero_shot", "family": "secondary", "rule": "chosen"},
        ],
    }


def small_params(**changes: Any) -> Params:
    """`small_values` with sections changed: small_params(lora={"rank": 4}, seeds=[3])."""
    values = small_values()
    for key, value in changes.items():
        values[key] = values[key] | value if isinstance(value, dict) else value
    return Params.model_validate(values)


def make_models(folder: Path) -> None:
    make_tiny_model(folder / "model")
    make_tiny_encoder(folder / "encoder")


def write_params(folder: Path, values: dict[str, Any], name: str = "params.yaml") -> Path:
    path = folder / name
    with path.open("w", encoding="utf-8") as file:
        YAML().dump(values, file)  # the safe dumper would sort the methods
    return path


def split_listqa(params: Params) -> None:
    """Stages `split` and `norms` in the working directory, which has models and data."""
    splitting.run("listqa", params.listqa.sizes.model_dump(), 0, 1.0)
    write_norms(params, "listqa")


def write_listqa(folder: Path) -> Path:
    path = folder / "data" / "listqa.jsonl"
    write_jsonl(path, [listqa_record(number).model_dump() for number in range(len(KINDS))])
    return path
