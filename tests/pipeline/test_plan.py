"""What cells will cost: counts against the model's own, budgets, devices and memory."""

from __future__ import annotations

import json

import pytest
import torch

from polychromic.base.errors import UsageError
from polychromic.models.flops import Flops
from polychromic.models.load import attach_lora, load_causal_lm
from polychromic.params import Params
from polychromic.pipeline import plan as plans
from polychromic.pipeline.devices import DEVICES, device
from tests.workspace import declared_values, make_models, small_values, write_listqa, write_params

COSTED = ("lora", "polychromic", "lora_min_p", "lora_1c", "lora_4c")  # as params.yaml has them, with budgets in FLOPs


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    make_models(tmp_path)
    write_listqa(tmp_path)
    values = small_values()
    values["methods"] |= {name: {**declared_values()["methods"][name], "domains": None} for name in COSTED}
    write_params(tmp_path, values)
    monkeypatch.chdir(tmp_path)
    return Params.model_validate(values)


def test_the_shape_is_that_of_the_loaded_model(workspace):
    form, _ = plans.shape(workspace)
    model, _ = load_causal_lm("model", "float32", "cpu")
    total = sum(p.numel() for p in model.parameters())
    assert form.linear + form.other == total
    adapted = attach_lora(model, workspace.lora.rank, workspace.lora.alpha, workspace.lora.target_modules, 0)
    assert form.flops == Flops.of(adapted)
    assert form.adapter == sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert form.weights(workspace) == 4 * total


def test_a_budget_is_what_a_method_costs_and_an_adapter_is_counted_once(workspace):
    made = plans.make(workspace, ["listqa"], DEVICES["h100"])
    found = {cost.cell: cost for cost in made.costs("listqa", "dev")}
    assert found.keys() == {cell.name for cell in workspace.cells("listqa", "dev")}
    zero, lora, ours = (found[name] for name in ("zero_shot", "lora", "polychromic-3.0"))
    assert zero.training_tokens == 0 and zero.sampled_tokens == 4 * 2 * 10 * 4  # prompts, temperatures, replies, tokens
    assert ours.flops == pytest.approx(lora.flops), "cost 2.0, both"
    assert ours.hours > zero.hours and lora.hours > zero.hours
    assert found["lora_min_p"].training_tokens == 0, "the adapter of lora, which came before"
    four = found["lora_4c"].flops - found["lora_1c"].flops
    assert four == pytest.approx(3 * (found["lora_1c"].flops - zero.flops * 2), rel=0.05)


def test_memory_says_what_to_change_where_it_does_not_fit(workspace):
    small = DEVICES["l4"].__class__("tiny", 1e12, 1e11, 1.6 * 2**30, "test")
    made = plans.make(workspace, ["listqa"], small)
    document = plans.document(made, ["listqa"], "dev", 2.0)
    assert made.memory(workspace, 100, True) > made.memory(workspace, 100, False) > 1.5 * 2**30
    assert document["total"]["dollars"] == pytest.approx(2 * document["total"]["hours"])
    assert document["does_not_fit"] == {} or document["does_not_fit"]["listqa"][0].startswith("sampling.rows")
    none = plans.Plan(workspace, small.__class__("none", 1e12, 1e11, 1.0, "test"), made.shape, made.tokenizer)
    assert none.remedies(workspace, "listqa")[-1] == "or take a device with more memory"
    assert json.dumps(document) and plans.render(document).row_count == len(document["domains"]["listqa"]) + 1


def test_a_device_that_is_not_known_is_refused():
    with pytest.raises(UsageError, match="--device abacus. Allowed: l4, rtx4090, l40s"):
        device("abacus")


def test_calibration_measures_this_machine(workspace, monkeypatch, tmp_path):
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    made = plans.make(workspace, ["listqa"], None)
    assert made.device.source == "measured here" and made.device.flops > 0 and made.device.bandwidth > 0
    assert torch.cuda.is_available() or made.device.memory > 2**30
