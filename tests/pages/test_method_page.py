"""docs/method.md, docs/metric.md and docs/library.md, followed as printed: a method out of what exists; a new loss, objective and metric in
a copy of the package; and the library's example, on a tiny model and a handful of rows."""

from __future__ import annotations

import csv
import dataclasses
import inspect
import json
import re

import datasets
import numpy as np
import pytest
import torch
from peft import PeftModel
from ruamel.yaml import YAML
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, Trainer

from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, write_jsonl
from polychromic.method.sets import SetObjectiveConfig
from polychromic.params import read_yaml
from polychromic.pipeline.stages import stages
from polychromic.score import metrics
from polychromic.train import trainer
from tests import page_tools as pages
from tests import run_tools
from tests.tiny import make_tiny_model
from tests.workspace import make_models, small_params, small_values, write_params

PAGE, METRIC, LIBRARY = (pages.read(f"{name}.md") for name in ("method", "metric", "library"))
(PARAMS,) = (YAML(typ="safe").load(text) for text in pages.blocks(PAGE, "yaml"))
_, _, TWO, THREE = PAGE.split("\n## ")
(FUNCTION,), (EXAMPLE,) = pages.blocks(METRIC, "python"), pages.blocks(LIBRARY, "python")
KINDS = ("fruit", "tree", "fish")
ROWS = [{"prompt": f"Name one kind of {kind}:", "completion": f" {kind} a", "answers": ["apple", "", "n"]} for kind in KINDS]
MINE = set(inspect.signature(trainer.PolychromicTrainer.__init__).parameters) - set(inspect.signature(Trainer.__init__).parameters)
FIELDS = {field.name for field in dataclasses.fields(SetObjectiveConfig)}


def entry(section: str) -> dict:
    """The method that a section ends with."""
    return YAML(typ="safe").load(re.findall(r"a method: `(\{.*\})`", section)[0])


# 1: out of what exists


def test_the_pipeline_has_the_method(tmp_path):
    values = read_yaml(pages.REPOSITORY / "params.yaml")
    values["methods"] |= PARAMS["methods"]
    write_params(tmp_path, values)
    for name in ("paper", "polychromic"):
        (tmp_path / name).symlink_to(pages.REPOSITORY / name)
    found, before = stages(tmp_path), stages(pages.REPOSITORY)
    new = {name: stage for name, stage in found.items() if name not in before}
    assert new and all("gem_coverage" in name for name in new) and not set(before) - set(found)
    assert {path.rsplit("/", 1)[-1] for stage in new.values() for path in stage.outs} == {"samples.jsonl.gz", "history.jsonl"}
    changed = {name for name, stage in before.items() if stage.deps != found[name].deps}
    assert {"score-dev-listqa", "compare-dev-listqa"} <= changed and not any(" sample " in before[name].cmd for name in changed)


def test_both_parts_of_the_method_are_in_effect(tmp_path, monkeypatch):
    make_models(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    used, token_loss = set(), trainer.token_loss
    monkeypatch.setattr(trainer, "token_loss", lambda name, *rest: (used.add((name, *rest[2].items())), token_loss(name, *rest))[1])
    found = run_tools.train("gem_coverage", PARAMS["methods"]["gem_coverage"]["lam"], methods=PARAMS["methods"])
    assert ("gem", ("beta", 0.7)) in used
    assert all("objective" in row for row in found.history if "loss" in row)


# 2 and 3: in a copy of the package

TRAINING = """
import json
import numpy as np
from polychromic.data.domains.listqa import DOMAIN, ListQA
from polychromic.params import load_params
from polychromic.train.adapter import train_adapter
from tests.run_tools import DEV, TRAIN, embed

seen = []

def quality(self, record, replies, embed):
    seen.append([len(reply) % 5 / 4 for reply in replies])
    return np.array(seen[-1])

ListQA.training_quality = quality
params = load_params()
for name in ("lora", "poly1", "best"):
    method = params.methods[name]
    seen.clear()
    history = train_adapter(params, DOMAIN, method, method.lam, 0, TRAIN, DEV, embed).history
    print(json.dumps([[row for row in history if "ce" in row], seen]))
"""


@pytest.mark.slow
def test_the_new_loss_is_what_is_trained_and_the_new_objective_is_what_d_is(tmp_path):
    """At the first step the adapter is the base model, which says each token with a probability p of about 0: epsilon is added to the loss,
    whose gradient is 1 + epsilon p times as long. D of a step is the mean over its prompts of the best quality of three.
    """
    folder = pages.copy_package(tmp_path)
    (loss, formula), (function, objective) = (pages.blocks(section, "python") for section in (TWO, THREE))
    losses, objectives = (folder / "polychromic" / "method" / name for name in ("losses.py", "objective.py"))
    pages.insert(losses, loss, before="}\n# what a setting is called")
    pages.insert(losses, formula, before='    return F.cross_entropy(logits, target, reduction="none")\n\n\ndef _focal')
    pages.insert(objectives, function + "\n\n", before="OBJECTIVES: dict[str, SetObjective] = {\n")
    pages.insert(objectives, objective, after='    "reward": mean_reward,\n')
    make_models(folder)
    values = small_values()
    values["methods"] |= {"poly1": entry(TWO), "best": entry(THREE)}
    write_params(folder, values)
    (folder / "tests").symlink_to(pages.REPOSITORY / "tests")
    done = pages.bash(folder, f"python - <<'END'\n{TRAINING}END", package=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    (plain, _), (other, _), (best, seen) = map(json.loads, done.stdout.splitlines()[-3:])
    assert len(plain) == len(other) == len(best) == 6
    assert 0.9 * 0.5 < other[0]["loss"] - plain[0]["loss"] < 0.5
    assert 1 < other[0]["grad_norm"] / plain[0]["grad_norm"] < 1.1
    sets = np.array([values for values in seen if len(values) == 3][1:]).reshape(6, -1, 3)  # the first one is the check before training
    d, quality = ([row[key] for row in best] for key in ("objective", "quality"))
    assert sets.shape[1] >= 2 and d == pytest.approx(sets.max(-1).mean(-1)) and np.all(np.array(d) >= quality) and max(d) > max(quality)


# a metric


def test_the_function_is_a_metric_that_params_yaml_takes(monkeypatch):
    monkeypatch.setitem(metrics.FAMILIES, "openings", None)  # so that it is gone after this test
    exec(FUNCTION, dict(vars(metrics)))
    assert metrics.compute("openings", metrics.Prompt(["Green, from a pot.", "green!", "Black.", "The red one."])) == 3 / 4
    with pytest.raises(PolychromicError, match=r"openings: no reply has a word\."):
        metrics.compute("openings", metrics.Prompt(["", " "]))
    metrics.check_metrics(small_params(listqa={"metrics": [*small_values()["listqa"]["metrics"], "openings"]}))


@pytest.mark.slow
def test_the_page_of_metrics_as_printed(tmp_path):
    copy = pages.copy_package(tmp_path)
    pages.insert(copy / "polychromic" / "score" / "metrics.py", FUNCTION + "\n\n", before='@declare("pass@k"')
    (script,) = pages.blocks(METRIC, "bash")
    done = pages.bash(copy, script, package=copy)
    assert done.returncode == 0, done.stderr[-2000:]
    with (copy / "my-evaluation" / "table.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["metric"] == "openings" and float(row["mean"]) == pytest.approx(3 / 4), "green, black, the"


# the library


def test_the_example_is_short_and_trains_an_adapter(tmp_path, monkeypatch):
    assert len(list(filter(str.strip, EXAMPLE.splitlines()))) <= 20
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    make_tiny_model("my-model")
    write_jsonl("my-rows.jsonl", ROWS)
    names: dict = {}
    exec(compile(EXAMPLE, "docs/library.md", "exec"), names)  # noqa: S102
    history = names["trainer"].history
    assert [row["step"] for row in history] == [10, 20, 30, 40, 50, 60]
    assert all({"ce", "objective", "quality", "rollout_tokens"} <= set(row) for row in history)
    assert history[-1]["ce"] < history[0]["ce"]
    assert 0 < max(row["quality"] for row in history) <= 1  # the user's function was asked, and saw the column `answers`
    assert read_json("my-adapter/adapter_config.json")["r"] == 16
    moved = [bool(value.any()) for name, value in load_file("my-adapter/adapter_model.safetensors").items() if "lora_B" in name]
    assert moved and all(moved)
    loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("my-model"), "my-adapter")
    ids = torch.arange(3, 9)[None]
    assert torch.allclose(loaded(ids).logits, names["model"].eval()(ids).logits, atol=1e-5)


@pytest.mark.parametrize(("owner", "arguments"), [("PolychromicTrainer", MINE - {"args", "kwargs"}), ("SetObjectiveConfig", FIELDS)])
def test_the_tables_name_every_argument(owner, arguments):
    table = LIBRARY.partition(f"Of `{owner}`")[2].split("\n\n")[1]
    assert {name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[1])} == arguments
    assert all((pages.REPOSITORY / path).is_file() for path in re.findall(r"`(polychromic/[\w/.]+)`", LIBRARY))
