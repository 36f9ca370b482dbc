"""The Trainer's step: what is in the loss, what is not, and what a rollout may touch. On models of twelve symbols."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import TrainingArguments

from polychromic.io import sha256_file
from polychromic.training import rollout
from polychromic.training import trainer as trainer_module
from polychromic.training.objective import effective_coverage, evaluate
from polychromic.training.rollout import prefill, sample
from polychromic.training.trainer import Collator, PolychromicTrainer, SetObjectiveConfig, pad_sequences
from tests.symbols import Symbols, lora_parameters, make_adapted_model

V, END, PAD = 12, 11, 0
RNG = np.random.default_rng(0)


def symbols(longest: int) -> list[int]:
    return RNG.integers(1, END, RNG.integers(1, longest)).tolist()


ROWS = [{"prompt": symbols(6), "reply": [*symbols(4), END], "row": i} for i in range(10)]


def equal_texts(sets) -> np.ndarray:
    return np.array([[[float(a == b) for b in replies] for a in replies] for replies in sets])


def rewards_d(rows, sets):
    """A reply is good when it holds a "d"; two are the same when they are equal."""
    return np.array([[float("d" in reply) for reply in replies] for replies in sets]), equal_texts(sets)


def config(**changes) -> SetObjectiveConfig:
    values = dict(name="coverage", lam=1.0, n=3, share=1.0, every=1, baseline="others", max_new_tokens=4, seed=0, score=rewards_d)
    return SetObjectiveConfig(**(values | changes))


def make_trainer(folder, objective=None, model=None, trainer_class=PolychromicTrainer, **changes) -> PolychromicTrainer:
    values = dict(
        output_dir=str(folder / "checkpoints"),
        max_steps=6,
        per_device_train_batch_size=4,
        per_device_eval_batch_size=4,
        learning_rate=1e-2,
        lr_scheduler_type="constant",
        logging_steps=1,
        eval_strategy="steps",
        eval_steps=3,
        save_strategy="no",
        seed=0,
        data_seed=0,
        use_cpu=True,
        report_to=[],
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
    )
    return trainer_class(
        model=model or make_adapted_model("llama", V, perturb=0.0),
        args=TrainingArguments(**(values | changes)),
        train_dataset=ROWS,
        eval_dataset=ROWS[:5],
        data_collator=Collator(PAD),
        processing_class=Symbols(V),
        objective=objective,
    )


def trained(folder, objective=None, **changes) -> tuple[str, PolychromicTrainer]:
    """sha256 of the adapter after training, and the trainer."""
    trainer = make_trainer(folder, objective, **changes)
    trainer.train()
    trainer.model.save_pretrained(folder)
    return sha256_file(folder / "adapter_model.safetensors"), trainer


def history_without(trainer, *names: str) -> list[dict]:
    return [{k: v for k, v in row.items() if k not in names} for row in trainer.history]


# batches


def test_collator_pads_prompts_on_the_left_and_replies_on_the_right():
    batch = Collator(PAD)([{"prompt": [5, 6], "reply": [7, END], "row": 3}, {"prompt": [8], "reply": [9, 1, END], "row": 0}])
    assert batch["prompt"].tolist() == [[5, 6], [PAD, 8]] and batch["prompt_mask"].tolist() == [[1, 1], [0, 1]]
    assert batch["reply"].tolist() == [[7, END, PAD], [9, 1, END]] and batch["reply_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert batch["row"].tolist() == [3, 0]


def test_a_pad_token_within_a_sequence_is_no_padding():
    ids, mask = pad_sequences([[PAD, 4], [3]], PAD, left=True)
    assert ids.tolist() == [[PAD, 4], [PAD, 3]] and mask.tolist() == [[1, 1], [0, 1]]


# cross-entropy


def token_mean_ce(model, rows) -> float:
    """By hand: over the reply tokens, the end included, of full texts through the plain model."""
    total, count = 0.0, 0
    for row in rows:
        text = torch.tensor([row["prompt"] + row["reply"]])
        logits = model(input_ids=text, use_cache=False).logits[0].detach().double()
        for place in range(len(row["prompt"]), text.shape[1]):
            total -= torch.log_softmax(logits[place - 1], -1)[text[0, place]].item()
            count += 1
    return total / count


def test_loss_is_the_token_mean_over_the_reply_alone(tmp_path):
    trainer = make_trainer(tmp_path, model=make_adapted_model("qwen3", V))
    trainer.model.train()
    batch = Collator(PAD)(ROWS[:6])
    loss = trainer.compute_loss(trainer.model, batch)
    assert loss.item() == pytest.approx(token_mean_ce(trainer.model, ROWS[:6]), abs=1e-5)
    everything = [{"prompt": row["prompt"][:1], "reply": row["prompt"][1:] + row["reply"]} for row in ROWS[:6]]
    without_end = [{"prompt": row["prompt"], "reply": row["reply"][:-1]} for row in ROWS[:6]]
    assert abs(loss.item() - token_mean_ce(trainer.model, everything)) > 1e-2
    assert abs(loss.item() - token_mean_ce(trainer.model, without_end)) > 1e-2


def test_evaluation_loss_is_cross_entropy_alone(tmp_path):
    def never(rows, sets):
        pytest.fail("evaluation scored a rollout")

    for objective in (None, config(lam=50.0, score=never)):
        trainer = make_trainer(tmp_path, objective, model=make_adapted_model("llama", V), per_device_eval_batch_size=5)
        assert trainer.evaluate()["eval_loss"] == pytest.approx(token_mean_ce(trainer.model, ROWS[:5]), abs=1e-5)


# lambda = 0


def test_lambda_zero_with_rollouts_gives_the_bytes_of_plain_lora(tmp_path):
    plain, lora = trained(tmp_path / "a")
    zero, drawn = trained(tmp_path / "b", config(lam=0.0))
    one, _ = trained(tmp_path / "c", config(lam=1.0))
    assert zero == plain
    assert one != plain
    assert all("objective" not in row for row in lora.history)
    assert sum("objective" in row for row in drawn.history) == 6
    assert history_without(drawn, "objective", "quality", "rollout_tokens") == lora.history


class WatchedTrainer(PolychromicTrainer):
    """Notes the state of the global generator after each loss."""

    def compute_loss(self, *args, **kwargs):
        loss = super().compute_loss(*args, **kwargs)
        self.__dict__.setdefault("states", []).append(torch.random.get_rng_state())
        return loss


def global_draw(logits, temperature, generator):
    """The mutant: tokens from the global generator."""
    return torch.multinomial(torch.softmax(logits, -1), 1).squeeze(-1)


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
    """A trainer whose cross-entropy reads the global generator, as dropout would."""

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
    calls = []

    def watched(model, start, index, **settings):
        calls.append(index)
        return sample(model, start, index, **settings)

    monkeypatch.setattr(trainer_module, "sample", watched)
    return calls


def test_rollouts_at_every_second_step_only(tmp_path, monkeypatch):
    calls = count_rollouts(monkeypatch)
    _, trainer = trained(tmp_path, config(every=2), max_steps=5, eval_strategy="no")
    assert len(calls) == 3
    assert [row["step"] for row in trainer.history if "objective" in row] == [1, 3, 5]


def surrogate_gradient(tmp_path, every: int, lam: float) -> torch.Tensor:
    """Gradient of the loss of step 0 less that of cross-entropy, all parameters in a row."""

    def gradient(objective):
        trainer = make_trainer(tmp_path, objective, model=make_adapted_model("llama", V))
        trainer.model.train()
        parameters = [parameter for _, parameter in lora_parameters(trainer.model)]
        parts = torch.autograd.grad(trainer.compute_loss(trainer.model, Collator(PAD)(ROWS[:4])), parameters)
        return torch.cat([part.flatten() for part in parts])

    return gradient(config(every=every, lam=lam, name="plain", baseline="marginal")) - gradient(None)


def test_the_gradient_of_d_is_scaled_by_lambda_and_by_every(tmp_path):
    once = surrogate_gradient(tmp_path, every=1, lam=1.0)
    assert once.abs().max() > 1e-3
    torch.testing.assert_close(surrogate_gradient(tmp_path, every=3, lam=1.0), 3 * once, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(surrogate_gradient(tmp_path, every=1, lam=5.0), 5 * once, rtol=1e-3, atol=1e-5)


def test_share_chooses_that_many_prompts_and_scores_their_own_rows(tmp_path, monkeypatch):
    calls, rows = count_rollouts(monkeypatch), []

    def score(numbers, sets):
        rows.append(list(numbers))
        assert [len(replies) for replies in sets] == [3] * len(numbers)
        return rewards_d(numbers, sets)

    trainer = make_trainer(tmp_path, config(share=0.5, score=score))
    trainer.model.train()
    chosen = set()
    for step in range(12):
        trainer.state.global_step = step
        trainer.compute_loss(trainer.model, Collator(PAD)(ROWS[4:8]))
        index = calls[-1].view(-1, 3)
        assert index.shape == (2, 3) and (index == index[:, :1]).all()
        assert [4 + place for place in index[:, 0].tolist()] == rows[-1]
        chosen |= set(rows[-1])
    assert chosen == {4, 5, 6, 7}, "which prompts are chosen changes with the step"


def test_a_small_share_still_rolls_out_one_prompt(tmp_path, monkeypatch):
    calls = count_rollouts(monkeypatch)
    trainer = make_trainer(tmp_path, config(share=0.01))
    trainer.model.train()
    trainer.compute_loss(trainer.model, Collator(PAD)(ROWS[:4]))
    assert len(calls[0]) == 3 and len(set(calls[0].tolist())) == 1


# history


def test_history_holds_the_parts_of_each_step_and_no_clock(tmp_path):
    _, trainer = trained(tmp_path, config())
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


def test_gradient_checkpointing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="gradient checkpointing"):
        make_trainer(tmp_path, config(), gradient_checkpointing=True)


# does it learn?


def expected_objective(model, score, sets: int = 200) -> float:
    """D by fresh samples with a stream of their own, mean over the training prompts."""
    ids, mask = pad_sequences([row["prompt"] for row in ROWS], PAD, left=True)
    with torch.no_grad():
        start = prefill(model, ids, mask)
    index = torch.arange(len(ROWS)).repeat_interleave(3 * sets)
    generator = torch.Generator().manual_seed(2024)
    drawn = sample(model, start, index, end_token=END, pad_token=PAD, max_new_tokens=4, temperature=1.0, generator=generator)
    texts = Symbols(V).batch_decode(drawn.tokens, skip_special_tokens=True)
    q, s = score(None, [texts[i : i + 3] for i in range(0, len(texts), 3)])
    return float(evaluate(effective_coverage, q, s).mean())


@pytest.mark.parametrize("baseline", ["marginal", "others"])
def test_sixty_steps_raise_the_expected_objective(tmp_path, baseline):
    """Diverse good replies become likelier, beyond what cross-entropy does and beyond sampling error, with either baseline."""
    after = {}
    for name, objective in (("ce", None), ("d", config(lam=30.0, n=4, baseline=baseline))):
        trainer = make_trainer(tmp_path, objective, max_steps=60, learning_rate=5e-3, max_grad_norm=1.0, eval_strategy="no")
        before = expected_objective(trainer.model, rewards_d)
        trainer.train()
        after[name] = expected_objective(trainer.model, rewards_d)
    assert before < 0.35
    assert after["d"] > before + 0.3
    assert after["d"] > after["ce"] + 0.3
