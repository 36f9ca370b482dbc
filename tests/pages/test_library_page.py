"""docs/library.md: its example runs as printed, on a tiny model and a handful of rows, and its tables name every argument."""

from __future__ import annotations

import dataclasses
import inspect
import re

import datasets
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, Trainer

from polychromic.base.io import read_json, write_jsonl
from polychromic.method.sets import SetObjectiveConfig
from polychromic.train.trainer import PolychromicTrainer
from tests import page_tools as pages
from tests.tiny import make_tiny_model

PAGE = pages.read("library.md")
(EXAMPLE,) = pages.blocks(PAGE, "python")
KINDS = ("fruit", "tree", "fish")
ROWS = [{"prompt": f"Name one kind of {kind}:", "completion": f" {kind} a", "answers": ["apple", "", "n"]} for kind in KINDS]
MINE = set(inspect.signature(PolychromicTrainer.__init__).parameters) - set(inspect.signature(Trainer.__init__).parameters)
FIELDS = {field.name for field in dataclasses.fields(SetObjectiveConfig)}


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
    table = PAGE.partition(f"Of `{owner}`")[2].split("\n\n")[1]
    assert {name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[1])} == arguments
    assert all((pages.REPOSITORY / path).is_file() for path in re.findall(r"`(polychromic/[\w/.]+)`", PAGE))
