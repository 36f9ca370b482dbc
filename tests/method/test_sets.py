"""From replies to weights: what is refused before training, what user functions may return, and which replies need no scoring."""

from __future__ import annotations

import numpy as np
import pytest

from polychromic.method.advantages import marginal_contributions
from polychromic.method.objective import OBJECTIVES
from polychromic.method.sets import SetObjectiveConfig, equal_text, merge_equal, score_sets
from polychromic.train import rollouts
from polychromic.train.self_training import SelfTraining
from tests.symbols import ROWS, V, config, holds_d, make_adapted_model, make_trainer, step_gradient, use_float64

# refused at construction


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(name="plain", n=1), "set objective plain has N = 1 replies per set; a set needs N >= 2. Raise n"),
        (dict(name="gated", n=1), "N = 1"),
        (dict(name="coverage", n=0), "N = 0"),
        (dict(name="passk", n=4, subset=5), "passk has subset = 5 for sets of N = 4 replies; allowed: 1 to 4"),
        (dict(name="poly_epo", n=4, subset=4), "poly_epo has subset = 4 .* allowed: 2 to 3"),
        (dict(name="passk"), "needs subset"),
        (dict(name="covrage"), "set objective is 'covrage'; allowed: coverage, plain, gated, reward, passk, poly_epo"),
        (dict(name="plain", n=2, baseline="leave_one_out"), "N - 1 = 1 replies: .* Raise n"),
        (dict(baseline="mean"), "baseline is 'mean'; allowed: marginal, others"),
        (dict(max_new_tokens=0), r"max_new_tokens \(the horizon\) is 0, it must be 1 or more"),
        (dict(share=0.0), r"share is 0.0, it must lie in \(0, 1\]"),
        (dict(share=1.5), "share is 1.5"),
        (dict(lam=-1.0), "lam is -1.0, it must be"),
        (dict(lam=float("nan")), "lam is nan"),
        (dict(lam=float("inf")), "lam is inf, it must be a number from 0 up"),
        (dict(every=0), "every is 0"),
        (dict(reuse=0), "reuse is 0"),
        (dict(every=2, reuse=2), "every and reuse are both above 1"),
        (dict(correction="all"), "correction is 'all'; allowed: set, reply, none"),
        (dict(share=0.0, max_new_tokens=0), "max_new_tokens .*; share is 0.0"),
    ],
)
def test_what_cannot_be_trained_is_refused_at_construction(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)


# scores


def test_scores_of_sets_are_those_of_the_functions():
    examples, texts = [{"want": "a"}, {"want": "b"}], ["a", "a", "c", "b", "x", "ba"]
    settings = SetObjectiveConfig(quality=lambda row, replies: np.array([float(row["want"] in r) for r in replies]), n=3)
    scored = score_sets(settings, examples, texts)
    assert scored.q.tolist() == [[1, 1, 0], [1, 0, 1]]
    assert scored.s[0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]] and scored.s[1].tolist() == np.eye(3).tolist()
    np.testing.assert_allclose(scored.f, [1 / 3, 2 / 3])  # distinct good replies among three
    np.testing.assert_array_equal(scored.marginals, marginal_contributions(OBJECTIVES["coverage"], scored.q, scored.s))


def test_equal_text_is_exact_match():
    assert equal_text({}, ["a", "b", "a"]).tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]


def nan_encoder(example, replies):
    return np.full((len(replies), len(replies)), np.nan)


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        (dict(similarity=nan_encoder), r"nan_encoder returned nan at \(0, 0\), expected numbers in \[0, 1\]; replies: \['a', 'b', 'c'\]"),
        (dict(similarity=holds_d), r"holds_d returned shape \(3,\) for 3 replies, expected \(3, 3\)"),
        (dict(quality=equal_text), r"equal_text returned shape \(3, 3\) for 3 replies, expected \(3,\)"),
        (dict(quality=lambda row, replies: [0.0, 1.5, 0.0]), r"returned 1.5 at \(1,\)"),
        (dict(quality=lambda row, replies: [0.0, -0.1, 0.0]), r"returned -0.1 at \(1,\)"),
        (dict(similarity=lambda row, replies: np.zeros((3, 3))), r"similarity\[0, 0, 0\] is 0.0; it must be 1"),
    ],
)
def test_functions_that_return_something_else_are_named(functions, message):
    with pytest.raises(ValueError, match=message):
        score_sets(config(**functions), [{}], ["a", "b", "c"])


@pytest.mark.parametrize("functions", [dict(similarity=nan_encoder), dict(quality=equal_text)])
def test_their_faults_show_before_the_first_step(functions, tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path, config(**functions))
    monkeypatch.setattr(trainer, "training_step", lambda *a, **k: pytest.fail("a step was taken"))
    with pytest.raises(ValueError, match="nan_encoder|equal_text"):
        trainer.train()


@pytest.mark.parametrize("functions", [dict(similarity=nan_encoder), dict(quality=equal_text)])
def test_those_of_self_training_too(functions, tmp_path, monkeypatch):
    pool = SelfTraining(**(dict(after=2, samples=4, quality=holds_d, similarity=equal_text, max_new_tokens=4, seed=0) | functions))
    trainer = make_trainer(tmp_path, self_training=pool)
    monkeypatch.setattr(trainer, "training_step", lambda *a, **k: pytest.fail("a step was taken"))
    with pytest.raises(ValueError, match="nan_encoder|equal_text"):
        trainer.train()


# merge_equal


def test_equal_replies_to_one_prompt_are_merged_and_those_without_weight_dropped():
    rows = [(0, (3, 4)), (0, (5,)), (1, (3, 4)), (0, (3, 4)), (1, (5,)), (0, (5,)), (1, (6,))]
    kept, weight = merge_equal(rows, np.array([1.0, 0.5, 2.0, 3.0, 0.0, -0.5, 4.0]))
    assert kept == [0, 2, 6] and weight.tolist() == [4.0, 2.0, 4.0]
    kept, weight = merge_equal([], np.zeros(0))
    assert kept == [] and weight.shape == (0,)


@pytest.mark.parametrize("baseline", ["marginal", "others", "leave_one_out"])
@pytest.mark.parametrize("layout", ["shared", "packed"])
def test_merging_and_dropping_leave_the_gradient(layout, baseline, tmp_path, monkeypatch):
    """Sets of 8 with two good replies out of 12 first symbols: many equal replies, many without weight."""
    use_float64(monkeypatch)
    scored = []
    original = rollouts.append_replies
    monkeypatch.setattr(rollouts, "append_replies", lambda batch, rows, *a: scored.append(len(rows)) or original(batch, rows, *a))

    def gradient_of_a_step():
        objective = config(name="coverage", n=8, baseline=baseline, lam=3.0, max_new_tokens=1)
        trainer = make_trainer(tmp_path, objective, make_adapted_model("llama", V).double(), layout=layout)
        return step_gradient(trainer, ROWS[:4])

    merged = gradient_of_a_step()
    monkeypatch.setattr(rollouts, "merge_equal", lambda rows, weight: (list(range(len(rows))), weight))
    everything = gradient_of_a_step()
    assert scored[0] < scored[1] == 32
    assert everything.abs().max() > 1e-2 and everything.dtype.itemsize == 8
    assert (merged - everything).abs().max() < 1e-6
