"""Rollouts: which prompts get one, what the replies weigh, and that what they add to a step has the gradient of D as its mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polychromic.method.advantages import BASELINES, advantages
from polychromic.method.objective import OBJECTIVES, SUBSET_OBJECTIVES, effective_coverage, evaluate
from polychromic.method.sets import equal_text, score_sets
from polychromic.models.decode import Replies, pad_sequences, prefill, sample, uniforms
from polychromic.train import rollouts
from tests import symbols as toy
from tests.symbols import V as TWELVE

V, END, PAD = 5, 4, 0
PROMPT = [1, 3, 2]
SUBSET = {"passk": 2, "poly_epo": 2}  # of sets of three
NAMES = sorted([*OBJECTIVES, *SUBSET_OBJECTIVES])


@pytest.fixture
def calls(monkeypatch) -> list[torch.Tensor]:
    """The prompt numbers of each call to `sample`."""
    found = []
    watched = lambda model, start, index, uniform, **settings: found.append(index) or sample(model, start, index, uniform, **settings)
    monkeypatch.setattr(rollouts, "sample", watched)
    return found


def test_rollouts_at_every_second_step_only(tmp_path, calls):
    _, trainer = toy.trained(tmp_path, toy.config(every=2), max_steps=5)
    assert len(calls) == 3 and [row["step"] for row in trainer.history if "objective" in row] == [1, 3, 5]


@pytest.mark.parametrize(("share", "count"), [(0.5, 2), (0.01, 1)])
def test_share_chooses_that_many_prompts_and_scores_their_own_rows(share, count, tmp_path, calls):
    seen = []
    quality = lambda row, replies: seen[-1].append(row["row"]) or toy.holds_d(row, replies)
    trainer = toy.make_trainer(tmp_path, toy.config(share=share, quality=quality))
    trainer.model.train()
    for step in range(12):
        seen.append([])
        trainer.state.global_step = step
        trainer.compute_loss(trainer.model, trainer.data_collator(toy.ROWS[4:8]))
        index = calls[-1].view(-1, 3)
        assert index.shape == (count, 3) and (index == index[:, :1]).all()
        assert [4 + place for place in index[:, 0].tolist()] == seen[-1]
    assert {row for rows in seen for row in rows} == {4, 5, 6, 7}, "which prompts are chosen changes with the step"


def test_replies_that_were_cut_are_bad(tmp_path):
    """No reply of the horizon of one token ends, but for the empty one."""
    _, trainer = toy.trained(
        tmp_path, toy.config(quality=lambda row, replies: np.ones(len(replies)), max_new_tokens=1, unfinished=False), max_steps=3
    )
    rows = [row for row in trainer.history if "quality" in row]
    assert len(rows) == 3 and all(row["quality"] < 0.9 for row in rows)
    _, trainer = toy.trained(tmp_path, toy.config(quality=lambda row, replies: np.ones(len(replies)), max_new_tokens=1), max_steps=3)
    assert all(row["quality"] == 1 for row in trainer.history if "quality" in row)


def test_batches_of_a_step_have_rollouts_of_their_own(tmp_path):
    """The same rows twice in one step: without a number of its own the second batch would repeat the first one's replies."""
    seen = []
    quality = lambda row, replies: seen.append(tuple(replies)) or [0.0] * len(replies)
    trainer = toy.make_trainer(tmp_path, toy.config(quality=quality, n=8), toy.make_adapted_model("llama", TWELVE))
    toy.step_gradient(trainer, toy.ROWS[:2], toy.ROWS[:2])
    assert len(seen) == len(set(seen)) == 4
    toy.step_gradient(trainer, toy.ROWS[:2], toy.ROWS[:2])
    assert seen[4:] == seen[:4], "a function of step and batch"
    trainer.state.global_step = 1
    toy.step_gradient(trainer, toy.ROWS[:2])
    assert not set(seen[8:]) & set(seen[:8])


@pytest.mark.parametrize("baseline", BASELINES)
def test_advantages_of_a_batch_are_those_of_the_pure_functions(baseline, tmp_path):
    """Three of four prompts have a set; the running mean is that of the steps before."""
    trainer = toy.make_trainer(tmp_path, toy.config(name="gated", quality=toy.length_share, baseline=baseline))
    running = None
    for texts in (["a", "bcd", "bc", "d", "dd", "d", "efg", "", "eg"], ["abc", "b", "bc", "dde", "dd", "e", "", "f", "eg"]):
        scored = score_sets(trainer.objective, [{}] * 3, texts)
        expected = advantages(baseline, trainer.objective.objective, scored.q, scored.s, running=running)
        np.testing.assert_allclose(trainer.rollouts.advantages(scored, [0, 1, 3], 4), expected, atol=1e-12)
        now = scored.marginals.mean()
        running = now if running is None else 0.9 * running + 0.1 * now
    assert trainer.resume_state.running == pytest.approx(running, abs=1e-12)


@pytest.mark.parametrize("baseline", ["marginal", "others", "leave_one_out"])
@pytest.mark.parametrize("layout", ["shared", "packed"])
def test_merging_and_dropping_leave_the_gradient(layout, baseline, tmp_path, monkeypatch):
    """Sets of 8 with two good replies out of 12 first symbols: many equal replies, many without weight."""
    toy.use_float64(monkeypatch)
    counts, merge = [], rollouts.merge_equal

    def gradient_of_a_step(merge):
        monkeypatch.setattr(rollouts, "merge_equal", lambda *given: counts.append(len((merged := merge(*given))[0])) or merged)
        objective = toy.config(name="coverage", n=8, baseline=baseline, lam=3.0, max_new_tokens=1)
        return toy.step_gradient(
            toy.make_trainer(tmp_path, objective, toy.make_adapted_model("llama", TWELVE).double(), layout=layout), toy.ROWS[:4]
        )

    merged, everything = gradient_of_a_step(merge), gradient_of_a_step(lambda rows, weight: (rows, weight))
    assert counts[0] < counts[1] == 32
    assert everything.abs().max() > 1e-2 and everything.dtype.itemsize == 8
    assert (merged - everything).abs().max() < 1e-6


# the mean over all sets against the exact toy.gradient, for every LoRA parameter of real architectures, in float64; nothing is sampled


def score_table(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Quality (count,), graded, some of it 0, and similarity (count, count) of replies."""
    rng = np.random.default_rng(seed)
    q = rng.uniform(size=count) * (rng.uniform(size=count) > 0.3)
    s = rng.uniform(size=(count, count))
    s = (s + s.T) / 2
    np.fill_diagonal(s, 1.0)
    return q, s


def assert_same(model, found: torch.Tensor, expected: torch.Tensor) -> None:
    """Every parameter on its own, each with a gradient to speak of."""
    names, parameters = zip(*toy.lora_parameters(model), strict=True)
    assert len(names) == 28 and found.dtype == expected.dtype == torch.float64
    sizes = [parameter.numel() for parameter in parameters]
    for name, a, b in zip(names, found.split(sizes), expected.split(sizes), strict=True):
        assert b.abs().max() > 1e-6, name
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize(("name", "layout"), [*((name, "shared") for name in NAMES), ("coverage", "packed"), ("coverage", "repeated")])
@pytest.mark.parametrize("kind", toy.KINDS)
def test_what_the_trainer_adds_to_the_loss_has_that_mean(kind, name, layout, monkeypatch, tmp_path):
    """Every set of three one-token replies goes through the Trainer's step as if it had been sampled: sign, weight and scale of D."""
    toy.use_float64(monkeypatch)
    n, lam, texts = 3, 0.7, ["", "b", "c", "d"]  # the padding symbol and the end are not written
    quality, similarity = score_table(len(texts), seed=1)
    numbers = lambda replies: [texts.index(reply) for reply in replies]
    members, orders = toy.multisets(V, n)
    drawn: list[list[int]] = []

    def next_set(model, start, index, uniform, *, end_tokens, pad_token):
        assert index.tolist() == [0] * n and uniform.shape == (n, 1) and (end_tokens, pad_token) == ([END], PAD)
        tokens = torch.tensor(drawn[-1])[:, None]
        return Replies(tokens, torch.ones_like(tokens), tokens[:, 0] == END)

    monkeypatch.setattr(rollouts, "sample", next_set)
    functions = dict(
        quality=lambda row, replies: quality[numbers(replies)],
        similarity=lambda row, replies: similarity[np.ix_(numbers(replies), numbers(replies))],
    )
    objective = toy.config(name=name, subset=SUBSET.get(name), lam=lam, n=n, baseline="marginal", max_new_tokens=1, **functions)
    model, row = toy.make_adapted_model(kind, V).double(), {"prompt": PROMPT, "completion": [2, END]}
    trainer = toy.make_trainer(tmp_path, objective, model, layout=layout, train_dataset=[row], processing_class=toy.Symbols(V))
    log_p = torch.cat([toy.plain_log_probs(model, PROMPT, [token]) for token in range(V)])
    probability = log_p[torch.tensor(members)].sum(-1).exp() * torch.tensor(orders)
    place = np.array(numbers(toy.Symbols(V).batch_decode([[token] for token in range(V)], skip_special_tokens=True)))[members]
    values = evaluate(trainer.objective.objective, quality[place], similarity[place[:, :, None], place[:, None, :]])
    ce = -toy.plain_log_probs(model, PROMPT, [2, END]).mean()
    expected = toy.gradient(ce - lam * (probability * torch.tensor(values)).sum(), model)
    mean = torch.zeros_like(expected)
    for chosen, weight in zip(members.tolist(), probability.tolist(), strict=True):
        drawn.append(chosen)
        mean += weight * toy.step_gradient(trainer, [row])
    assert_same(model, mean, expected)
    assert (toy.gradient(ce, model) - expected).abs().max() > 1e-3, "D has a share in the gradient"


def expected_objective(model, sets: int = 100) -> float:
    """D by fresh samples with a stream of their own, mean over the training prompts."""
    with torch.no_grad():
        start = prefill(model, *pad_sequences([row["prompt"] for row in toy.ROWS], PAD, left=True))
    index = torch.arange(len(toy.ROWS)).repeat_interleave(3 * sets)
    drawn = sample(model, start, index, uniforms(len(index), 4, 2024, "fresh"), end_tokens=[TWELVE - 1], pad_token=PAD)
    texts = toy.Symbols(TWELVE).batch_decode(drawn.tokens, skip_special_tokens=True)
    groups = [texts[i : i + 3] for i in range(0, len(texts), 3)]
    q, s = np.stack([toy.holds_d({}, group) for group in groups]), np.stack([equal_text({}, group) for group in groups])
    return float(evaluate(effective_coverage, q, s).mean())


def test_sixty_steps_raise_the_expected_objective(tmp_path):
    """Diverse good replies become likelier, beyond what cross-entropy does and beyond sampling error."""
    after = {}
    for name, objective in (("ce", None), ("d", toy.config(lam=30.0, n=4, baseline="others"))):
        trainer = toy.make_trainer(tmp_path, objective, max_steps=60, learning_rate=5e-3, max_grad_norm=1.0)
        before = expected_objective(trainer.model)
        trainer.train()
        after[name] = expected_objective(trainer.model)
    assert before < 0.35 and after["d"] > max(before, after["ce"]) + 0.3
