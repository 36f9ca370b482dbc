"""What one optimiser step adds up: batches of an accumulation, row weights, quality losses, precision; and a second run of one Trainer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polychromic.method.advantages import BASELINES, advantages
from polychromic.method.losses import LOSSES, token_loss
from polychromic.method.sets import score_sets
from polychromic.models.decode import causal_lm, uniforms
from polychromic.train.trainer import PolychromicTrainer
from tests.symbols import ROWS, Gradients, V, config, gradient, length_share, make_adapted_model, make_trainer, step_gradient, symbol_rows

EIGHT = symbol_rows(16)[:8]
SETTINGS = {"label_smoothing": {"epsilon": 0.1}, "entropy": {"beta": 0.05}, "gem": {"beta": 0.7}, "tofu": {"beta": 0.8, "gamma": 3.0}}


class SameRollouts(PolychromicTrainer):
    """Eight examples have the same uniforms and the same share, whether they come as one batch or as two of four."""

    def uniforms_of(self, b, names, here):
        config = self.objective
        return uniforms(8 * config.n, config.max_new_tokens, 0, "test").view(8, config.n, -1)[b * names[1] + here]

    def chosen(self, b, names):
        everyone = torch.tensor([0, 3, 5, 6] if self.objective.share == 0.5 else range(8))
        return everyone[everyone // b == names[1]].numpy() % b


def gradients_of_a_run(tmp_path, objective=None, **changes) -> torch.Tensor:
    """(steps, parameters), as Trainer's own loop has them, unclipped."""
    noted = Gradients()
    model = make_adapted_model("qwen3", V)
    make_trainer(tmp_path, objective, model, callbacks=[noted], max_grad_norm=0.0, **changes).train()
    return torch.stack(noted.steps)


# accumulation


@pytest.mark.parametrize("reuse", [1, 2])
@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("lam", [None, 4.0])
def test_two_accumulated_batches_of_four_are_one_of_eight(lam, share, reuse, tmp_path):
    """Replies of different lengths: a mean of the batches' means would weigh tokens unevenly. lam None: the quality loss alone."""
    objective = None if lam is None else config(name="plain", baseline="marginal", lam=lam, share=share, reuse=reuse)
    lengths = [sum(len(row["completion"]) for row in part) for part in (EIGHT[:4], EIGHT[4:])]
    assert lengths[0] != lengths[1]
    common = dict(train_dataset=EIGHT, trainer_class=SameRollouts, train_sampling_strategy="sequential", learning_rate=0.0, max_steps=2)
    one = gradients_of_a_run(tmp_path, objective, per_device_train_batch_size=8, **common)
    two = gradients_of_a_run(tmp_path, objective, per_device_train_batch_size=4, gradient_accumulation_steps=2, **common)
    assert one.shape == two.shape and one.abs().max() > 1e-2
    torch.testing.assert_close(two, one, rtol=1e-5, atol=1e-5)
    if objective is not None:
        alone = gradients_of_a_run(tmp_path, None, per_device_train_batch_size=8, **common)
        assert (one - alone).abs().max() > 1e-2


def test_batches_of_a_step_have_rollouts_of_their_own(tmp_path):
    """The same rows twice in one step: without a number of its own the second batch would repeat the first one's replies."""
    seen = []
    quality = lambda row, replies: seen.append(tuple(replies)) or [0.0] * len(replies)
    trainer = make_trainer(tmp_path, config(quality=quality, n=8), make_adapted_model("llama", V))
    step_gradient(trainer, ROWS[:2], ROWS[:2])
    assert len(seen) == 4 and len(set(seen)) == 4
    step_gradient(trainer, ROWS[:2], ROWS[:2])
    assert seen[4:] == seen[:4], "a function of step and batch"
    trainer.state.global_step = 1
    step_gradient(trainer, ROWS[:2])
    assert not set(seen[8:]) & set(seen[:8])


@pytest.mark.parametrize("baseline", BASELINES)
def test_advantages_of_a_batch_are_those_of_the_pure_functions(baseline, tmp_path):
    """Three of four prompts have a set; the running mean is that of the steps before."""
    trainer = make_trainer(tmp_path, config(name="gated", quality=length_share, baseline=baseline))
    running = None
    for texts in (["a", "bcd", "bc", "d", "dd", "d", "efg", "", "eg"], ["abc", "b", "bc", "dde", "dd", "e", "", "f", "eg"]):
        scored = score_sets(trainer.objective, [{}] * 3, texts)
        expected = advantages(baseline, trainer.objective.objective, scored.q, scored.s, running=running)
        np.testing.assert_allclose(trainer.advantages(scored, [0, 1, 3], 4), expected, atol=1e-12)
        now = scored.marginals.mean()
        running = now if running is None else 0.9 * running + 0.1 * now
    assert trainer.store.running == pytest.approx(running, abs=1e-12)


# quality losses


@pytest.mark.parametrize("objective", [None, config(quality=lambda row, replies: [0.0] * 3)], ids=["alone", "beside_d"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_quality_loss_has_the_gradient_of_the_loss_on_the_plain_model(name, objective, tmp_path):
    """With weights of rows. Where no reply is good, D = 0 whatever the policy does, and the quality loss is all there is."""
    rows = [row | {"weight": weight} for row, weight in zip(ROWS[:4], (1.0, 0.3, 2.0, 0.7), strict=True)]
    model = make_adapted_model("llama", V)
    trainer = make_trainer(tmp_path, objective, model, loss=name, loss_settings=SETTINGS.get(name), train_dataset=rows)
    total, count = 0.0, 0
    for row in rows:
        text, first = torch.tensor([row["prompt"] + row["completion"]]), len(row["prompt"])
        logits = model(input_ids=text, use_cache=False).logits[0, first - 1 : -1]
        total = total + row["weight"] * token_loss(name, logits, text[0, first:], SETTINGS.get(name, {})).sum()
        count += len(row["completion"])
    expected = gradient(total / count, model)
    torch.testing.assert_close(step_gradient(trainer, rows), expected, rtol=1e-5, atol=1e-5)
    plain = step_gradient(make_trainer(tmp_path, None, model), ROWS[:4])
    assert (expected - plain).abs().max() > 1e-3
    trainer.train()
    assert len(trainer.history) == 6


# precision


def test_mixed_precision_reaches_scoring_and_sampling(tmp_path):
    """accelerate patches the model's forward, which the step does not call: without autocast of its own bf16 would do nothing."""

    def products(**changes) -> set[tuple[bool, torch.dtype]]:
        model, seen = make_adapted_model("llama", V), set()
        trainer = make_trainer(tmp_path, config(), model, max_steps=1, **changes)
        layer = causal_lm(model).model.layers[0].mlp.down_proj
        layer.register_forward_hook(lambda module, inputs, output: seen.add((module.training, output.dtype)))
        trainer.train()
        return seen

    assert products() == {(True, torch.float32), (False, torch.float32)}
    assert products(bf16=True) == {(True, torch.bfloat16), (False, torch.bfloat16)}
    assert products(bf16=True, layout="packed") == {(True, torch.bfloat16), (False, torch.bfloat16)}


# a Trainer that runs twice


@pytest.mark.parametrize("changes", [{"reuse": 4}, {"baseline": "running"}], ids=str)
def test_a_second_run_of_one_trainer_starts_anew(tmp_path, changes):
    """Stopped in the middle of a bulk window, with batches taken ahead; at learning rate 0 both runs see the same gradients."""
    noted = Gradients()
    settings = dict(callbacks=[noted], max_grad_norm=0.0, learning_rate=0.0, max_steps=2)
    trainer = make_trainer(tmp_path, config(name="plain", **changes), make_adapted_model("llama", V), **settings)
    trainer.train()
    trainer.train()
    assert len(noted.steps) == 4
    torch.testing.assert_close(torch.stack(noted.steps[2:]), torch.stack(noted.steps[:2]), rtol=0, atol=0)
