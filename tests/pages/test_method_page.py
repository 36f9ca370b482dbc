"""docs/method.md, followed as printed: a method out of what exists; a new loss and a new objective in a copy of the package."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from ruamel.yaml import YAML

from polychromic.params import read_yaml
from polychromic.pipeline.stages import stages
from polychromic.train import adapter as run
from polychromic.train import trainer
from tests import page_tools as pages
from tests import run_tools
from tests.workspace import make_models, small_params, small_values, write_params

PAGE = pages.read("method.md")
(PARAMS,) = (YAML(typ="safe").load(text) for text in pages.blocks(PAGE, "yaml"))
ONE, TWO, THREE = (PAGE.split("\n## ")[number] for number in (1, 2, 3))


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
    made = {out for stage in new.values() for out in stage.outs}
    assert {path.rsplit("/", 1)[-1] for path in made} >= {"samples.jsonl.gz", "history.jsonl"}
    changed = {name for name, stage in before.items() if set(stage.deps) != set(found[name].deps)}
    assert "score-dev@listqa" in changed or any("score" in name and "listqa" in name for name in changed)


def test_both_parts_of_the_method_are_in_effect(tmp_path, monkeypatch):
    make_models(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    used, token_loss = set(), trainer.token_loss
    monkeypatch.setattr(trainer, "token_loss", lambda name, *rest: (used.add((name, *rest[2].items())), token_loss(name, *rest))[1])
    params = small_params(methods=PARAMS["methods"])
    method = params.methods["gem_coverage"]
    found = run.train_adapter(
        params, run_tools.get_domain("listqa"), method, method.lam, 0, run_tools.TRAIN, run_tools.DEV, run_tools.embed
    )
    assert ("gem", ("beta", 0.7)) in used
    assert all("objective" in row for row in found.history if "loss" in row)


# 2 and 3: in a copy of the package

TRAINING = """
import json, sys
import numpy as np
from polychromic.data.domains.listqa import ListQA
from polychromic.params import load_params
from polychromic.train.adapter import train_adapter
from polychromic.data.domains import get_domain
from tests.run_tools import DEV, TRAIN, embed

seen = []

def quality(self, record, replies, embed):
    seen.append([len(reply) % 5 / 4 for reply in replies])
    return np.array(seen[-1])

ListQA.training_quality = quality
params, found = load_params(), {}
for name in ("lora", "poly1", "best"):
    method = params.methods[name]
    seen.clear()
    history = train_adapter(params, get_domain("listqa"), method, method.lam, 0, TRAIN, DEV, embed).history
    found[name] = {"history": history, "seen": list(seen)}
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> dict:
    folder = pages.copy_package(tmp_path_factory.mktemp("method"))
    (loss, formula), (function, objective) = (pages.blocks(section, "python") for section in (TWO, THREE))
    method = folder / "polychromic" / "method"
    pages.insert(method / "losses.py", loss, before="}\n# what a setting is called")
    pages.insert(method / "losses.py", formula, before='    return F.cross_entropy(logits, target, reduction="none")\n\n\ndef _focal')
    pages.insert(method / "objective.py", function + "\n\n", before="OBJECTIVES: dict[str, SetObjective] = {\n")
    pages.insert(method / "objective.py", objective, after='    "reward": mean_reward,\n')
    make_models(folder)
    values = small_values()
    values["methods"] |= {"poly1": entry(TWO), "best": entry(THREE)}
    write_params(folder, values)
    (folder / "tests").symlink_to(pages.REPOSITORY / "tests")
    environment = pages.environment(folder, folder)
    done = subprocess.run([sys.executable, "-c", TRAINING], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def steps(run: dict, key: str) -> list[float]:
    return [row[key] for row in run["history"] if "ce" in row]


@pytest.mark.slow
def test_the_new_loss_is_what_is_trained(trained):
    """At the first step both adapters are the base model, which says each token with a probability of about 0: epsilon is added."""
    plain, other = trained["lora"], trained["poly1"]
    assert len(steps(other, "loss")) == 6
    assert 0.9 * 0.5 < steps(other, "loss")[0] - steps(plain, "loss")[0] < 0.5
    first = [steps(run, "grad_norm")[0] for run in (plain, other)]
    assert 1 < first[1] / first[0] < 1.1, "the gradient of cross-entropy times 1 + epsilon p"


@pytest.mark.slow
def test_the_new_objective_is_what_d_is(trained):
    """D of a step is the mean over its prompts of the best quality of a set of three."""
    run = trained["best"]
    sets = [values for values in run["seen"] if len(values) == 3][1:]  # the first one is the check before training
    objective, quality = steps(run, "objective"), steps(run, "quality")
    size = len(sets) // len(objective)
    assert len(objective) == 6 and size >= 2
    batches = [sets[i : i + size] for i in range(0, len(sets), size)]
    assert objective == pytest.approx([sum(map(max, batch)) / size for batch in batches])
    assert all(best >= mean for best, mean in zip(objective, quality, strict=True)) and max(objective) > max(quality)


def test_the_page_is_a_page():
    pages.check(PAGE)
