"""The Trainer's step: what is in the loss, what is not, what a rollout may touch, and what survives a kill. On models of twelve symbols."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polychromic.method.objective import effective_coverage, evaluate
from polychromic.method.sets import equal_text
from polychromic.models import decode as rollout
from polychromic.models.decode import pad_sequences, prefill, sample, uniforms
from polychromic.train import rollouts
from polychromic.train.trainer import PolychromicTrainer
from tests.symbols import (
    END,
    PAD,
    ROWS,
    KillAt,
    KilledError,
    Symbols,
    V,
    config,
    holds_d,
    make_adapted_model,
    make_trainer,
    plain_log_probs,
    step_gradient,
    trained,
)

ROLLOUT_LOGS = ("objective", "quality", "rollout_tokens", "ess")


def history_without(trainer, *names: str) -> list[dict]:
    return [{k: v for k, v in row.items() if k not in names} for row in trainer.history]


# cross-entropy


def token_mean_ce(model, rows) -> float:
    """By hand: over the reply tokens, the end included, of full texts through the plain model."""
    parts = torch.cat([-plain_log_probs(model, row["prompt"], row["completion"]) for row in rows])
    return float(parts.detach().double().mean())


def test_loss_is_the_token_mean_over_the_reply_alone(tmp_path):
    trainer = make_trainer(tmp_path, model=make_adapted_model("qwen3", V))
    trainer.model.train()
    loss = trainer.compute_loss(trainer.model, trainer.data_collator(ROWS[:6]))
    assert loss.item() == pytest.approx(token_mean_ce(trainer.model, ROWS[:6]), abs=1e-5)
    everything = [{"prompt": row["prompt"][:1], "completion": row["prompt"][1:] + row["completion"]} for row in ROWS[:6]]
    without_end = [{"prompt": row["prompt"], "completion": row["completion"][:-1]} for row in ROWS[:6]]
    assert abs(loss.item() - token_mean_ce(trainer.model, everything)) > 1e-2
    assert abs(loss.item() - token_mean_ce(trainer.model, without_end)) > 1e-2


@pytest.mark.parametrize("layout", ["shared", "packed", "repeated"])
def test_evaluation_loss_is_cross_entropy_alone(tmp_path, layout):
    def never(row, replies):
        pytest.fail("evaluation scored a rollout")

    for settings in ({}, {"objective": config(lam=50.0, quality=never)}, {"loss": "gem", "loss_settings": {"beta": 0.7}}):
        trainer = make_trainer(tmp_path, model=make_adapted_model("llama", V), per_device_eval_batch_size=5, layout=layout, **settings)
        assert trainer.evaluate()["eval_loss"] == pytest.approx(token_mean_ce(trainer.model, ROWS[:5]), abs=1e-5)


# lambda = 0


@pytest.mark.parametrize(
    ("layout", "changes"),
    [
        ("shared", {}),
        ("packed", {}),
        ("shared", {"share": 0.5, "every": 2}),
        ("shared", {"reuse": 4}),
        ("packed", {"reuse": 4, "correction": "none"}),
    ],
    ids=str,
)
def test_lambda_zero_with_rollouts_gives_the_bytes_of_plain_lora(tmp_path, changes, layout):
    settings = dict(layout=layout, max_steps=4, eval_strategy="steps", eval_steps=2)
    plain, lora = trained(tmp_path / "a", **settings)
    zero, drawn = trained(tmp_path / "b", config(lam=0.0, name="plain", max_new_tokens=7, **changes), **settings)
    one, _ = trained(tmp_path / "c", config(lam=1.0, name="plain", **changes), **settings)
    assert zero == plain
    assert one != plain
    assert not any(set(row) & set(ROLLOUT_LOGS) for row in lora.history)
    assert any("objective" in row for row in drawn.history)
    assert history_without(drawn, *ROLLOUT_LOGS) == lora.history


class WatchedTrainer(PolychromicTrainer):
    """Notes the state of the global generator after each loss."""

    def compute_loss(self, *args, **kwargs):
        loss = super().compute_loss(*args, **kwargs)
        self.__dict__.setdefault("states", []).append(torch.random.get_rng_state())
        return loss


def global_draw(logits, row, *others):
    """The mutant: tokens from the global generator."""
    token = torch.multinomial(torch.softmax(logits, -1)[row], 1).squeeze(-1)
    return token, torch.log_softmax(logits, -1)[row, token]


def test_a_sampler_that_draws_from_the_global_generator_is_caught(tmp_path, monkeypatch):
    """Nothing else of a step reads that generator today, so what must stay equal beside the bytes is its state after every loss."""

    def states(name, objective):
        _, trainer = trained(tmp_path / name, objective, trainer_class=WatchedTrainer)
        return torch.stack(trainer.states)

    plain = states("a", None)
    assert torch.equal(states("b", config(lam=0.0)), plain)
    monkeypatch.setattr(rollout, "draw", global_draw)
    assert not torch.equal(states("c", config(lam=0.0)), plain)


class NoisyTrainer(PolychromicTrainer):
    """A trainer whose loss reads the global generator, as dropout would."""

    def compute_loss(self, *args, **kwargs):
        noise = torch.randn(())
        return super().compute_loss(*args, **kwargs) * (1 + 0.1 * noise)


def test_that_mutant_changes_the_adapter_where_a_step_reads_the_global_generator(tmp_path, monkeypatch):
    plain, _ = trained(tmp_path / "a", None, trainer_class=NoisyTrainer)
    assert trained(tmp_path / "b", config(lam=0.0), trainer_class=NoisyTrainer)[0] == plain
    monkeypatch.setattr(rollout, "draw", global_draw)
    assert trained(tmp_path / "c", config(lam=0.0), trainer_class=NoisyTrainer)[0] != plain


def test_training_repeats_and_depends_on_the_rollout_seed(tmp_path):
    first, _ = trained(tmp_path / "a", config())
    torch.manual_seed(77)
    assert trained(tmp_path / "b", config())[0] == first
    assert trained(tmp_path / "c", config(seed=1))[0] != first
    assert trained(tmp_path / "d", config(lam=2.0))[0] != first


# share and every


def count_rollouts(monkeypatch) -> list[torch.Tensor]:
    """The prompt numbers of each call to `sample` from now on."""
    calls = []

    def watched(model, start, index, uniform, **settings):
        calls.append(index)
        return sample(model, start, index, uniform, **settings)

    monkeypatch.setattr(rollouts, "sample", watched)
    return calls


def test_rollouts_at_every_second_step_only(tmp_path, monkeypatch):
    calls = count_rollouts(monkeypatch)
    _, trainer = trained(tmp_path, config(every=2), max_steps=5)
    assert len(calls) == 3
    assert [row["step"] for row in trainer.history if "objective" in row] == [1, 3, 5]


def test_the_gradient_of_d_is_scaled_by_lambda_and_by_every(tmp_path):
    def of_d(**changes) -> torch.Tensor:
        both = [
            make_trainer(tmp_path, o, make_adapted_model("llama", V)) for o in (config(name="plain", baseline="marginal", **changes), None)
        ]
        return step_gradient(both[0], ROWS[:4]) - step_gradient(both[1], ROWS[:4])

    once = of_d(every=1, lam=1.0)
    assert once.abs().max() > 1e-3
    torch.testing.assert_close(of_d(every=3, lam=1.0), 3 * once, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(of_d(every=1, lam=5.0), 5 * once, rtol=1e-3, atol=1e-5)


def test_share_chooses_that_many_prompts_and_scores_their_own_rows(tmp_path, monkeypatch):
    calls, seen = count_rollouts(monkeypatch), []

    def quality(row, replies):
        seen[-1].append(row["row"])
        return holds_d(row, replies)

    trainer = make_trainer(tmp_path, config(share=0.5, quality=quality))
    trainer.model.train()
    for step in range(12):
        seen.append([])
        trainer.state.global_step = step
        trainer.compute_loss(trainer.model, trainer.data_collator(ROWS[4:8]))
        index = calls[-1].view(-1, 3)
        assert index.shape == (2, 3) and (index == index[:, :1]).all()
        assert [4 + place for place in index[:, 0].tolist()] == seen[-1]
    assert {row for rows in seen for row in rows} == {4, 5, 6, 7}, "which prompts are chosen changes with the step"


def test_a_small_share_still_rolls_out_one_prompt(tmp_path, monkeypatch):
    calls = count_rollouts(monkeypatch)
    trainer = make_trainer(tmp_path, config(share=0.01))
    trainer.model.train()
    trainer.compute_loss(trainer.model, trainer.data_collator(ROWS[:4]))
    assert len(calls[0]) == 3 and len(set(calls[0].tolist())) == 1


# history, kill and resume


def test_history_holds_the_parts_of_each_step_and_no_clock(tmp_path):
    _, trainer = trained(tmp_path, config(), eval_strategy="steps", eval_steps=3)
    steps = [row for row in trainer.history if "loss" in row]
    assert [row["step"] for row in steps] == [1, 2, 3, 4, 5, 6]
    for row in steps:
        assert set(row) == {"step", "loss", "ce", "objective", "quality", "rollout_tokens", "grad_norm", "learning_rate"}
        assert 0 <= row["objective"] <= 1 and 0 <= row["quality"] <= 1 and 1 <= row["rollout_tokens"] <= 4
        assert row["ce"] > 0 and row["grad_norm"] > 0
    evaluations = [row for row in trainer.history if "eval_loss" in row]
    assert [set(row) for row in evaluations] == [{"step", "eval_loss"}] * 2
    assert [row["step"] for row in evaluations] == [3, 6]
    assert len(trainer.history) == 8


def test_ce_in_the_history_is_that_of_the_step_before_the_update(tmp_path):
    """With all rows in one batch, the first step's ce is known before training."""
    trainer = make_trainer(tmp_path, config(), per_device_train_batch_size=len(ROWS), max_steps=1)
    expected = token_mean_ce(trainer.model, ROWS)
    trainer.train()
    assert trainer.history[0]["ce"] == pytest.approx(expected, abs=1e-5)
    assert trainer.history[0]["loss"] != pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("objective", "restore"),
    [(None, False), (config(baseline="mix", share=0.5), False), (config(baseline="mix", share=0.5), True)],
    ids=["lora", "mix", "mix, callbacks restored"],
)
def test_a_killed_run_resumes_to_the_same_bytes_and_history(tmp_path, objective, restore):
    """Twice: the running mean of the baseline must reach the second checkpoint, too."""
    saved = dict(save_strategy="steps", save_steps=1, restore_callback_states_from_checkpoint=restore)
    whole, expected = trained(tmp_path / "a", objective, **saved)
    resume = None
    for step in (2, 4):
        with pytest.raises(KilledError):
            trained(tmp_path / "b", objective, resume, callbacks=[KillAt(step)], **saved)
        resume = str(tmp_path / "b" / "checkpoints" / f"checkpoint-{step}")
    found, trainer = trained(tmp_path / "b", objective, resume, **saved)
    assert found == whole
    assert trainer.history == expected.history


# does it learn?


def expected_objective(model, sets: int = 100) -> float:
    """D by fresh samples with a stream of their own, mean over the training prompts."""
    ids, mask = pad_sequences([row["prompt"] for row in ROWS], PAD, left=True)
    with torch.no_grad():
        start = prefill(model, ids, mask)
    index = torch.arange(len(ROWS)).repeat_interleave(3 * sets)
    drawn = sample(model, start, index, uniforms(len(index), 4, 2024, "fresh"), end_token=END, pad_token=PAD)
    texts = Symbols(V).batch_decode(drawn.tokens, skip_special_tokens=True)
    groups = [texts[i : i + 3] for i in range(0, len(texts), 3)]
    q, s = np.stack([holds_d({}, group) for group in groups]), np.stack([equal_text({}, group) for group in groups])
    return float(evaluate(effective_coverage, q, s).mean())


@pytest.mark.parametrize("changes", [{"baseline": "others"}, {"baseline": "marginal", "reuse": 4}], ids=str)
def test_sixty_steps_raise_the_expected_objective(tmp_path, changes):
    """Diverse good replies become likelier, beyond what cross-entropy does and beyond sampling error."""
    after = {}
    for name, objective in (("ce", None), ("d", config(lam=30.0, n=4, **changes))):
        trainer = make_trainer(tmp_path, objective, max_steps=60, learning_rate=5e-3, max_grad_norm=1.0)
        before = expected_objective(trainer.model)
        trainer.train()
        after[name] = expected_objective(trainer.model)
    assert before < 0.35
    assert after["d"] > before + 0.3
    assert after["d"] > after["ce"] + 0.3
