"""Rejection-sampled fine-tuning: what gets into the pool, what a step then trains on, and that a killed run ends the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polychromic.method.sets import equal_text
from polychromic.models.decode import sample
from polychromic.train import rollouts
from polychromic.train.self_training import SelfTraining
from polychromic.train.trainer import PolychromicTrainer
from tests.symbols import END, ROWS, KillAt, KilledError, adapter_sha, config, holds_d, make_trainer, plain_log_probs, trained

AFTER, SAMPLES, HORIZON = 2, 60, 4
GOOD = set("bdfhj")


def pool_of(**changes) -> SelfTraining:
    values = dict(after=AFTER, samples=SAMPLES, quality=holds_d, similarity=equal_text, max_new_tokens=HORIZON, seed=0)
    return SelfTraining(**values | changes)


class Watched(PolychromicTrainer):
    """Notes (prompt, completion, weight) of every row that a step trains on."""

    def compute_loss(self, model, inputs, **others):
        rows = zip(inputs["prompt"], inputs["prompt_mask"], inputs["tokens"], inputs["mask"], inputs["weight"].tolist(), strict=True)
        seen = [(prompt[real.bool()].tolist(), reply[kept.bool()].tolist(), weight) for prompt, real, reply, kept, weight in rows]
        self.__dict__.setdefault("seen", []).append(seen)
        return super().compute_loss(model, inputs, **others)


def test_the_pool_holds_distinct_good_finished_replies_to_every_prompt_once(tmp_path, monkeypatch):
    """Rows 0 and 10 are the same prompt with other references: it is sampled once, with the weight of neither."""
    rows = [*ROWS, ROWS[0] | {"completion": [9, END], "weight": 0.25}]
    asked, drawn = [], []
    monkeypatch.setattr(rollouts, "sample", lambda *args, **settings: drawn.append(sample(*args, **settings)) or drawn[-1])
    quality = lambda row, replies: asked.append((row["row"], list(replies))) or [float(bool(GOOD & set(reply))) for reply in replies]
    settings = dict(train_dataset=rows, self_training=pool_of(quality=quality, rows=130))
    _, trainer = trained(tmp_path, trainer_class=Watched, max_steps=5, **settings)
    asked.pop(0)  # of the check before the first step
    assert sorted(row for row, _ in asked) == list(range(10)) and {len(replies) for _, replies in asked} == {SAMPLES}
    pool = [(row, tuple(reply)) for row, reply in trainer.resume_state.pool]
    expected = []
    parts = [entry for part in drawn for entry in zip(part.tokens, part.mask, part.finished, strict=True)]
    replies = [(tokens[: int(sum(mask))].tolist(), bool(done)) for tokens, mask, done in parts]
    for (row, texts), first in zip(asked, range(0, len(replies), SAMPLES), strict=True):
        seen: set[str] = set()
        for text, (tokens, done) in zip(texts, replies[first : first + SAMPLES], strict=True):
            if done and GOOD & set(text) and text not in seen:
                seen.add(text)
                expected.append((row, tuple(tokens)))
                assert tokens[-1] == END and END not in tokens[:-1]
    assert pool == expected and len({row for row, _ in pool}) > 5
    bad = sum(done and not GOOD & set(text) for (_, done), text in zip(replies, [t for _, texts in asked for t in texts], strict=True))
    assert bad and not all(done for _, done in replies), "some were refused for either reason"

    references = [(row["prompt"], row["completion"]) for row in rows]
    samples = [(rows[row]["prompt"], list(reply), 1.0) for row, reply in pool]
    for step, seen in enumerate(trainer.seen):
        assert len(seen) >= 3
        for prompt, reply, weight in seen:
            assert (prompt, reply) in references if step < AFTER else (prompt, reply, weight) in samples
    assert len({str(seen) for seen in trainer.seen[AFTER:]}) == 3, "another draw at each step"
    assert [("pool" in row) for row in trainer.history] == [False] * AFTER + [True] * 3
    assert trainer.history[-1]["pool"] == len(pool)


def test_a_cut_reply_does_not_stand_in_for_the_same_text_with_its_end(tmp_path):
    """Under a similarity that counts all replies as one, the pool still holds a finished one wherever there is one."""
    ones = lambda row, replies: np.ones((len(replies), len(replies)))
    settings = dict(quality=lambda row, replies: np.ones(len(replies)), similarity=ones)
    trainer = make_trainer(tmp_path, self_training=pool_of(**settings, max_new_tokens=2))
    pool = trainer.self_training.fill(trainer, trainer.sampler)
    assert sorted(row for row, _ in pool) == list(range(10)) and all(reply[-1] == END for _, reply in pool)


def test_with_nothing_good_training_goes_on_with_references(tmp_path):
    never = lambda row, replies: np.zeros(len(replies))
    found, trainer = trained(tmp_path / "a", trainer_class=Watched, self_training=pool_of(quality=never))
    expected, plain = trained(tmp_path / "b", trainer_class=Watched)
    assert trainer.resume_state.pool == [] and trainer.history[-1]["pool"] == 0
    assert found == expected and trainer.seen == plain.seen


@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_loss_is_normalised_by_the_rows_that_are_trained_on(tmp_path, accumulation):
    """The step's tokens are those of the pool's replies, not of the references in whose places they stand."""
    settings = dict(trainer_class=Watched, gradient_accumulation_steps=accumulation, per_device_train_batch_size=2, learning_rate=0.0)
    _, trainer = trained(tmp_path, self_training=pool_of(after=0), max_steps=2, **settings)
    per_step = [trainer.seen[step * accumulation : (step + 1) * accumulation] for step in range(2)]
    for row, batches in zip(trainer.history, per_step, strict=True):
        losses = [-plain_log_probs(trainer.model, prompt, reply) for batch in batches for prompt, reply, _ in batch]
        assert row["loss"] == pytest.approx(torch.cat(losses).mean().item(), rel=1e-5)


def test_with_a_set_objective_both_terms_are_of_the_prompts_of_the_pool(tmp_path, monkeypatch):
    """From step 4 the replies of the quality loss and the prompts of the rollouts come from the pool; with weight 0 it is the peer."""
    asked, settings = [], dict(trainer_class=Watched, max_steps=6)
    quality = lambda row, replies: asked.append((trainer.state.global_step, row["row"], len(replies))) or holds_d(row, replies)
    trainer = make_trainer(tmp_path / "a", config(quality=quality), self_training=pool_of(after=4), **settings)
    trainer.train()
    pool = [(ROWS[row]["prompt"], list(reply), 1.0) for row, reply in trainer.resume_state.pool]
    assert all(row in pool for seen in trainer.seen[4:] for row in seen)
    for step, seen in enumerate(trainer.seen):
        rolled = {row for at, row, n in asked[1:] if at == step and n == 3}  # without the check before the first step
        assert rolled == {next(i for i, row in enumerate(ROWS) if row["prompt"] == prompt) for prompt, *_ in seen}
    assert all({"objective", "pool"} <= set(row) for row in trainer.history[4:])
    still, silent = trained(tmp_path / "b", config(lam=0.0), self_training=pool_of(after=4), **settings)
    peer, alone = trained(tmp_path / "c", self_training=pool_of(after=4), **settings)
    assert still == peer and silent.resume_state.pool == alone.resume_state.pool and still != adapter_sha(trainer, tmp_path / "a")


@pytest.mark.parametrize("step", [1, 4])
def test_a_killed_run_resumes_to_the_same_bytes(tmp_path, step):
    """Killed before the pool was sampled, and after."""
    settings = dict(self_training=pool_of(), save_strategy="steps", save_steps=1)
    whole, expected = trained(tmp_path / "a", **settings)
    with pytest.raises(KilledError):
        trained(tmp_path / "b", callbacks=[KillAt(step)], **settings)
    resume = str(tmp_path / "b" / "checkpoints" / f"checkpoint-{step}")
    never = lambda row, replies: pytest.fail("the pool was sampled again") if len(set(replies)) > 1 else holds_d(row, replies)
    resumed = settings | ({"self_training": pool_of(quality=never)} if step > AFTER else {})
    found, trainer = trained(tmp_path / "b", None, resume, **resumed)
    assert found == whole
    assert trainer.history == expected.history
    assert [tuple(map(str, pair)) for pair in trainer.resume_state.pool] == [tuple(map(str, pair)) for pair in expected.resume_state.pool]


def test_a_share_of_the_budget_pays_for_each_round(tmp_path):
    """Rounds begin at equal shares of what is left after the first steps; of prompts, as many are asked as the share pays for."""
    asked: list[tuple[int, int]] = []
    note = lambda row: asked.append((trainer.state.global_step, row["row"]))
    good = lambda row, replies: note(row) or [float(bool(GOOD & set(reply))) for reply in replies]
    unit = trained(tmp_path / "unit", budget=1e12, max_steps=6)[1].history[-1]["flops"] / 6
    settings = dict(budget=80 * unit, max_steps=1000, self_training=pool_of(quality=good, rounds=2, spend=0.3, rows=SAMPLES))
    trainer = make_trainer(tmp_path / "paid", **settings)
    trainer.train()
    state, spent = trainer.resume_state, {row["step"]: row["flops"] for row in trainer.history}
    asked = [pair for pair in asked if pair[0] >= AFTER]
    steps = sorted({step for step, _ in asked})
    assert state.rounds == 2 and len(steps) == 2 and steps[0] == AFTER and state.began == pytest.approx(spent[AFTER])
    left = 80 * unit - state.began
    assert spent[steps[1] - 1] < state.began + left / 2 <= spent[steps[1]]
    for step in steps:
        of_round = spent[step + 1] - spent[step]
        prompts = [row for at, row in asked if at == step]
        assert 1 < len(prompts) == len(set(prompts)) < 10
        share = 0.3 * left / 2  # passed with the last prompt
        assert of_round * (len(prompts) - 1) / len(prompts) - 2 * unit <= share <= of_round
    assert [row for at, row in asked if at == steps[0]] != [row for at, row in asked if at == steps[1]]


BARE = [{"prompt": [1, 2, number], "row": 10 + number} for number in range(3)]


def test_prompts_without_a_reference_are_sampled_and_trained_on_once_something_good_was_said(tmp_path):
    good = lambda row, replies: [float(bool(GOOD & set(reply))) for reply in replies]
    _, trainer = trained(tmp_path, trainer_class=Watched, max_steps=12, self_training=pool_of(quality=good), unlabelled=BARE)
    pool = trainer.resume_state.pool
    assert {row for row, _ in pool} & {10, 11, 12} and {row for row, _ in pool} & set(range(10))
    seen = [prompt for step in trainer.seen[AFTER:] for prompt, *_ in step]
    assert any(prompt in [row["prompt"] for row in BARE] for prompt in seen)


def test_rollouts_are_drawn_for_prompts_without_a_reference_and_change_nothing_at_lambda_0(tmp_path):
    plain, _ = trained(tmp_path / "plain")
    asked: set[int] = set()
    quality = lambda row, replies: asked.add(row["row"]) or holds_d(row, replies)
    apart = dict(quality=quality, max_grad_norm=1.0)
    none, _ = trained(tmp_path / "none", config(lam=0.0, **apart), unlabelled=BARE)
    assert none == plain and asked & {10, 11, 12}
    some, _ = trained(tmp_path / "some", config(**apart), unlabelled=BARE)
    without, _ = trained(tmp_path / "without", config(**apart))
    assert len({plain, some, without}) == 3
    with pytest.raises(ValueError, match="Set max_grad_norm"):
        make_trainer(tmp_path, config(), unlabelled=BARE)
