"""Training to a budget of FLOPs: where it ends, that its beginnings are shared with the same bytes, and what is counted.
And the gradient of D, clipped apart from that of L_quality."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from polychromic.base.io import sha256_file
from polychromic.models.flops import Flops, of_rows, prompts, replies
from polychromic.models.load import attach_lora
from tests import symbols as toy
from tests.run_tools import THREE, count_steps, train
from tests.workspace import make_models, small_values

METHODS = {
    f"{name}_{cost}": {**{"prompt": "zero_shot", "adapter": "lora", "cost": float(cost), "domains": []}, **about}
    for cost in (1, 2)
    for name, about in {
        "lora": {},
        "coverage": {"objective": "coverage", "lam": 3.0, "after": 0.5, "clip": 0.1},
        "slower": {"objective": "coverage", "lam": 3.0, "after": 0.5, "clip": 0.1, "rate": 0.25},
        "rft": {"self_training": {"after": 0.5}},
        "paid": {"self_training": {"after": 0.5, "rounds": 2, "spend": 0.4}},
    }.items()
}  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_models(folder)
    return folder


@pytest.fixture
def run(models, tmp_path, monkeypatch):
    """Trains a method of METHODS; (sha256 of the adapter, history, steps that were computed). The cache is named by the test."""

    def run(name: str, cache: str):
        monkeypatch.chdir(models)
        monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / cache))
        with pytest.MonkeyPatch.context() as patch:
            steps = count_steps(patch)
            lam = METHODS[name].get("lam")
            trained = train(name, lam, records=THREE, methods=small_values()["methods"] | METHODS)
        return sha256_file(trained.adapter / "adapter_model.safetensors"), trained.history, steps

    return run


def test_a_budget_ends_where_its_flops_are_spent(run):
    spent = {}
    for name in METHODS:
        _, history, steps = run(name, name)
        logged = [row for row in history if "flops" in row]
        flops = [row["flops"] for row in logged]
        assert flops == sorted(flops) and len(logged) == len(steps) == logged[-1]["step"]
        assert [row["step"] for row in history if "eval_loss" in row][-1] == logged[-1]["step"], "what was trained is validated"
        assert logged[0]["learning_rate"] > 0 and logged[-1]["learning_rate"] < logged[len(logged) // 2]["learning_rate"]
        spent[name] = flops[-1], max(b - a for a, b in zip([0, *flops], flops))
    unit = spent["lora_1"][0] / 1.0
    for name, (flops, step) in spent.items():
        assert flops >= METHODS[name]["cost"] * unit - 2 * step and flops <= METHODS[name]["cost"] * unit + 2 * step


@pytest.mark.parametrize("name", ["lora", "coverage", "slower", "rft", "paid"])
def test_runs_share_their_beginnings_and_end_with_the_same_bytes(name, run):
    alone = {cost: run(f"{name}_{cost}", f"alone {cost}") for cost in (1, 2)}
    run("lora_2", "shared")
    for cost in (2, 1):
        sha, history, steps = run(f"{name}_{cost}", "shared")
        assert (sha, history) == alone[cost][:2]
        # the LoRA part of a method that draws, and all until the rate falls of a smaller budget, were there
        assert len(steps) < len(alone[cost][2]) or (name, cost) == ("lora", 2)
    assert alone[1][0] != alone[2][0]


def test_the_rate_falls_with_the_first_rollout(run):
    (_, plain, _), (_, slower, _) = run("coverage_2", "a"), run("slower_2", "b")
    plain, slower = ([row for row in history if "flops" in row] for history in (plain, slower))
    first = next(row["step"] for row in plain if "objective" in row)
    budget = plain[-1]["flops"]
    before_it_falls = lambda *rows: max(row["flops"] for row in rows) < 0.7 * budget
    compared = [(a, b) for a, b in zip(plain, slower, strict=False) if before_it_falls(a, b)]
    assert {a["step"] < first for a, _ in compared} == {True, False}
    for a, b in compared:
        assert b["learning_rate"] == pytest.approx(a["learning_rate"] * (1.0 if b["step"] <= first - 1 else 0.25)), b["step"]


def test_flops_of_a_model_counted_by_hand():
    config = LlamaConfig(
        vocab_size=10, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=4
    )
    model = attach_lora(LlamaForCausalLM(config), 3, 6, ["q_proj", "down_proj"], 0)
    flops = Flops.of(model)
    assert flops.frozen == 2 * (8 * 8 + 2 * 8 * 4 + 8 * 8 + 3 * 8 * 12)
    assert flops.trained == 2 * (3 * (8 + 8) + 3 * (12 + 8)) and flops.head == 80 and flops.attention == 4 * 2 * 8
    mask = torch.tensor([[0, 1, 1], [1, 1, 1]])
    assert prompts(mask) == (5.0, 3.0 + 6.0)
    assert replies(torch.tensor([[1, 1, 0]]), torch.tensor([4])) == (2.0, 5.0 + 6.0)
    # forth: 2 per parameter and token, attention per position, 2 per logit; back: frozen matrices once, the rest twice
    assert flops.forward(2, 11, 2) == 2 * 2 * (flops.frozen + flops.trained) + 11 * 64 + 2 * 2 * 80
    assert flops.backward(2, 11, 2) == 2 * (2 * flops.frozen + 4 * flops.trained) + 2 * 11 * 64 + 2 * 2 * 80
    row = {"prompt": [1, 2, 3, 4], "completion": [5, 6]}
    assert of_rows(model, [row, row]) == flops.training(6, 10 + 11, 2)


# the gradient of D, clipped apart


def gradient(folder: Path, objective, layout: str = "shared") -> torch.Tensor:
    return toy.gradients_of_a_run(folder, objective, max_steps=1, layout=layout)[0]


@pytest.mark.parametrize("layout", ["shared", "packed", "repeated"])
def test_the_gradient_of_d_is_clipped_apart_and_then_weighed(tmp_path, layout):
    alone = gradient(tmp_path, None, layout)
    joint = gradient(tmp_path, toy.config(name="plain", baseline="marginal", lam=1.0), layout) - alone  # - grad D
    norm = float(joint.norm())
    assert norm > 0.01
    for lam in (1.0, 30.0):
        for bound, factor in ((2 * norm, 1.0), (norm / 4, 0.25)):
            found = gradient(tmp_path, toy.config(name="plain", baseline="marginal", lam=lam, max_grad_norm=bound), layout)
            torch.testing.assert_close(found, alone + lam * factor * joint, rtol=1e-3, atol=1e-5)


def test_the_clip_of_l_quality_is_its_own(tmp_path):
    """max_grad_norm of the arguments bounds L_quality alone; the log has both norms and whether D's was clipped."""
    noted, trainers = [], []
    for objective in (None, toy.config(name="plain", baseline="marginal", lam=50.0, max_grad_norm=1e-4)):
        callback = toy.Gradients()
        model = toy.make_adapted_model("llama", toy.V)
        trainer = toy.make_trainer(tmp_path, objective, model, callbacks=[callback], max_grad_norm=0.01, max_steps=1)
        trainer.train()
        noted.append(callback.steps[0])
        trainers.append(trainer)
    assert float(noted[0].norm()) == pytest.approx(0.01, rel=1e-3)
    assert float((noted[1] - noted[0]).norm()) == pytest.approx(50 * 1e-4, rel=1e-3)
    row = trainers[1].history[0]
    assert row["objective_clipped"] == 1.0 and row["objective_grad_norm"] > 1e-4 and row["grad_norm"] == trainers[0].history[0]["grad_norm"]


def test_lambda_zero_apart_gives_the_bytes_of_plain_lora(tmp_path):
    plain, _ = toy.trained(tmp_path / "a", max_steps=4)
    zero, _ = toy.trained(tmp_path / "b", toy.config(lam=0.0, max_grad_norm=1.0), max_steps=4)
    assert zero == plain


def test_rollouts_start_after_the_warm_up(tmp_path):
    plain, lora = toy.trained(tmp_path / "a", max_steps=6)
    late, drawn = toy.trained(tmp_path / "b", toy.config(after=4), max_steps=6)
    assert [row["step"] for row in drawn.history if "objective" in row] == [5, 6] and late != plain
    assert [row["ce"] for row in drawn.history[:4]] == [row["ce"] for row in lora.history[:4]]
