"""Bulk mode: while nothing moves the gradient of rollouts at each step, once it does an unbiased one, and the same bytes after a kill."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from polychromic.method.advantages import advantages
from polychromic.method.objective import evaluate
from polychromic.train import trainer as trainer_module
from polychromic.train.bulk import RolloutStore, StoredSet, draw_ahead, importance_weights
from tests.symbols import (
    Gradients,
    KillAt,
    KilledError,
    Symbols,
    config,
    gradient,
    length_share,
    make_adapted_model,
    make_trainer,
    move,
    multisets,
    plain_log_probs,
    step_gradient,
    symbol_rows,
    trained,
    use_float64,
)
from tests.symbols import V as TWELVE

ROWS = symbol_rows(20)  # five batches of four


def noted_windows(monkeypatch) -> list[tuple[int, list[int]]]:
    """(first step, batches of each step) of every large rollout from now on."""
    windows = []

    def watched(trainer, step, steps):
        windows.append((step, [len(batches) for batches in steps]))
        return draw_ahead(trainer, step, steps)

    monkeypatch.setattr(trainer_module, "draw_ahead", watched)
    return windows


# nothing moves


@pytest.mark.parametrize("correction", ["set", "reply", "none"])
@pytest.mark.parametrize("changes", [{}, {"share": 0.5, "baseline": "leave_one_out", "name": "gated"}], ids=["plain", "gated"])
def test_at_learning_rate_zero_it_has_the_gradients_of_rollouts_at_each_step(tmp_path, correction, changes):
    """With two batches a step; each step's own, so their sum as well."""

    def gradients(**bulk) -> tuple[torch.Tensor, list[dict]]:
        noted = Gradients()
        objective = config(**{"lam": 5.0, "baseline": "marginal", "name": "plain", "quality": length_share} | changes | bulk)
        settings = dict(max_steps=3, learning_rate=0.0, max_grad_norm=0.0, gradient_accumulation_steps=2, per_device_train_batch_size=2)
        model = make_adapted_model("qwen3", TWELVE)
        trainer = make_trainer(tmp_path, objective, model, callbacks=[noted], train_dataset=ROWS, **settings)
        trainer.train()
        return torch.stack(noted.steps), trainer.history

    each, _ = gradients()
    bulk, history = gradients(reuse=3, correction=correction)
    assert each.abs().max() > 1e-2 and (each[0] - each[1]).abs().max() > 1e-2
    # float32: rounding is relative to the largest terms that were summed
    torch.testing.assert_close(bulk, each, rtol=1e-5, atol=1e-5 * float(each.abs().max()))
    for row in history:
        assert ("ess" in row) == (correction != "none")
        assert row.get("ess", 1.0) == pytest.approx(1.0, abs=1e-5)


# a policy that moved


def test_importance_weights_by_hand():
    ess = []
    now, old = torch.tensor([-1.0, -2.0, -3.0, -1.0]), torch.tensor([-1.5, -2.0, -3.0, -2.0])
    note = lambda name, value: ess.append((name, value))
    ratio = torch.tensor([0.5, 1.0]).exp()  # of the two sets: exp(.5 + 0), exp(0 + 1)
    torch.testing.assert_close(importance_weights("set", now, old, 2, note), ratio.repeat_interleave(2))
    assert ess == [("ess", pytest.approx(float(ratio.sum() ** 2 / (2 * (ratio**2).sum()))))]
    torch.testing.assert_close(importance_weights("reply", now, old, 2, note), torch.tensor([0.5, 0.0, 0.0, 1.0]).exp())
    assert importance_weights("none", now, old, 2, note).tolist() == [1.0] * 4
    assert len(ess) == 2 and ess[1][1] < 1
    assert importance_weights("set", now[:0], old[:0], 2, note).shape == (0,)


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_set_weights_are_unbiased_and_the_others_are_not(kind, tmp_path, monkeypatch):
    """Every set of three one-token replies, drawn by the old policy, goes through the Trainer's step of the moved one; float64."""
    use_float64(monkeypatch)
    size, n, lam, prompt = 5, 3, 0.7, [1, 3, 2]
    row = {"prompt": prompt, "completion": [2, size - 1]}
    rng = np.random.default_rng(0)
    quality, similarity = rng.uniform(size=size), rng.uniform(size=(size, size))
    similarity = (similarity + similarity.T) / 2
    np.fill_diagonal(similarity, 1.0)
    members, orders = multisets(size, n)
    q, s = quality[members], similarity[members[:, :, None], members[:, None, :]]
    model = make_adapted_model(kind, size).double()
    all_log_probs = lambda: torch.cat([plain_log_probs(model, prompt, [token]) for token in range(size)])
    old = all_log_probs().detach()
    move(model, 0.1, seed=1)
    now = all_log_probs()
    moved = float((old.exp() * (old - now.detach())).sum())
    assert 0.005 < moved < 0.5, "the policy moved, within reason"

    probability = (old[torch.tensor(members)].sum(-1).exp() * torch.tensor(orders)).tolist()
    sizes = {}
    for correction in ("set", "reply", "none"):
        objective = config(name="coverage", lam=lam, n=n, baseline="marginal", max_new_tokens=1, reuse=2, correction=correction)
        trainer = make_trainer(tmp_path, objective, model, train_dataset=[row], processing_class=Symbols(size))
        weight = advantages("marginal", objective.objective, q, s)
        values = torch.tensor(evaluate(objective.objective, q, s) * orders)
        d = gradient((now[torch.tensor(members)].sum(-1).exp() * values).sum(), model)
        ce = gradient(-plain_log_probs(model, prompt, row["completion"]).mean(), model)
        mean = torch.zeros_like(d)
        for chosen, share, advantage in zip(members.tolist(), probability, weight.tolist(), strict=True):
            trainer.store.put(0, 0, 0, StoredSet([[token] for token in chosen], old[chosen].tolist(), advantage))
            mean += share * step_gradient(trainer, [row])
        sizes[correction] = float((mean - (ce - lam * d)).norm() / (lam * d).norm())
    print(f"bias over |lam grad D|, {kind}, KL {moved:.3f}: " + ", ".join(f"{name} {size:.1e}" for name, size in sizes.items()))
    assert sizes["set"] < 1e-10
    assert sizes["reply"] > 1e-2 and sizes["none"] > 1e-2


# windows


def test_a_window_ends_with_the_epoch(tmp_path, monkeypatch):
    windows = noted_windows(monkeypatch)
    settings = dict(train_dataset=ROWS, max_steps=8)
    _, trainer = trained(tmp_path / "a", config(reuse=3), **settings)
    assert windows == [(0, [1, 1, 1]), (3, [1, 1]), (5, [1, 1, 1])]
    assert [row["step"] for row in trainer.history] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [row["step"] for row in trainer.history if "objective" in row] == [1, 4, 6], "drawn at the start of a window"
    windows.clear()
    trained(tmp_path / "b", config(reuse=2), gradient_accumulation_steps=2, **settings)
    assert windows == [(0, [2, 2]), (2, [1]), (3, [2, 2]), (5, [1]), (6, [2, 2])], "five batches an epoch: 2 + 2 + 1"


def test_batches_are_those_of_a_run_without_bulk(tmp_path, monkeypatch):
    """Taking batches ahead of their step changes neither their order nor the learning rate that they meet.

    In float64, since rollouts share the prompt with the reference and without them nothing does: two ways to the same loss, whose
    roundings differ on some processors. Batches in another order would differ in the first digits.
    """
    use_float64(monkeypatch)
    settings = dict(train_dataset=ROWS, max_steps=8, lr_scheduler_type="linear", warmup_steps=2)
    never = lambda row, replies: np.zeros(len(replies))
    _, one = trained(tmp_path / "a", config(quality=never), **settings)
    _, two = trained(tmp_path / "b", config(quality=never, reuse=3), **settings)
    entropy = lambda trainer: [row["ce"] for row in trainer.history]
    assert entropy(two) == pytest.approx(entropy(one), rel=1e-9)
    assert len({round(value, 3) for value in entropy(one)}) == len(entropy(one)), "so that an exchange of two batches shows"
    assert [row["learning_rate"] for row in two.history] == [row["learning_rate"] for row in one.history]


@pytest.mark.parametrize("changes", [{"reuse": 3, "baseline": "mix"}, {"reuse": 3, "correction": "none", "share": 0.5}], ids=str)
def test_a_run_that_is_killed_within_a_window_resumes_to_the_same_bytes(tmp_path, changes, monkeypatch):
    """At 3, where a window ends; at 4, in the middle of one that the epoch cut short; at 6, in the middle of a whole one."""
    settings = dict(train_dataset=ROWS, max_steps=8, save_strategy="steps", save_steps=1)
    whole, expected = trained(tmp_path / "a", config(**changes), **settings)
    resume = None
    for step in (3, 4, 6):
        with pytest.raises(KilledError):
            trained(tmp_path / "b", config(**changes), resume, callbacks=[KillAt(step)], **settings)
        resume = str(tmp_path / "b" / "checkpoints" / f"checkpoint-{step}")
    windows = noted_windows(monkeypatch)
    found, trainer = trained(tmp_path / "b", config(**changes), resume, **settings)
    assert windows == [], "what was drawn before the kill serves the rest of its window"
    assert found == whole
    assert trainer.history == expected.history


def test_the_store_survives_json():
    store = RolloutStore()
    store.until, store.running, store.pool = 5, 0.1 + 0.2, [(3, [1, 2])]
    store.put(4, 1, 0, StoredSet([[1, 2], [3]], [-0.1, -1 / 3], [0.5, -0.25]))
    other = RolloutStore()
    other.restore(json.loads(json.dumps(store.state()))["attributes"])
    assert other.take(4, 1, 2) == [(0, StoredSet([[1, 2], [3]], [-0.1, -1 / 3], [0.5, -0.25]))]
    assert other.take(4, 0, 2) == [] and (other.until, other.running, other.pool) == (5, 0.1 + 0.2, [[3, [1, 2]]])
