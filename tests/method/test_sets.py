"""From replies to weights: what is refused before training, what user functions may return, and which replies need no scoring."""

from __future__ import annotations

import numpy as np
import pytest

from polychromic.data.domains import get_domain
from polychromic.method.advantages import marginal_contributions
from polychromic.method.objective import OBJECTIVES
from polychromic.method.sets import SetObjectiveConfig, cosines, equal_text, merge_equal, score_sets, set_functions
from tests.run_tools import TRAIN, Readers
from tests.symbols import config, holds_d


@pytest.mark.parametrize(("changes", "message"), [
    (dict(name="plain", n=1), "set objective plain has N = 1 replies per set; a set needs N >= 2. Raise n"),
    (dict(name="passk", n=4, subset=5), "passk has subset = 5 for sets of N = 4 replies; allowed: 1 to 4"),
    (dict(name="covrage"), "set objective is 'covrage'; allowed: coverage, plain, gated, reward, setpo, darling, passk, poly_epo"),
    (dict(name="plain", n=2, baseline="leave_one_out"), "N - 1 = 1 replies: .* Raise n"),
    (dict(baseline="mean"), "baseline is 'mean'; allowed: marginal, others"),
    *((dict(share=bad), f"share is {bad}, allowed: above 0, at most 1") for bad in (0.0, 1.5)),
    *((dict(lam=bad), f"lam is {bad}, allowed: a number from 0 up") for bad in (-1.0, float("nan"), float("inf"))),
    (dict(every=0), "every is 0, allowed: 1 or more"),
    (dict(share=0.0, max_new_tokens=0), "max_new_tokens is 0, allowed: 1 or more, the horizon of replies; share is 0.0"),
])  # fmt: skip
def test_what_cannot_be_trained_is_refused_at_construction(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)


def test_scores_of_sets_are_those_of_the_functions():
    examples, texts = [{"want": "a"}, {"want": "b"}], ["a", "a", "c", "b", "x", "ba"]
    settings = SetObjectiveConfig(quality=lambda row, replies: np.array([float(row["want"] in r) for r in replies]), n=3)
    scored = score_sets(settings, examples, texts)
    assert scored.q.tolist() == [[1, 1, 0], [1, 0, 1]]
    assert scored.s[0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]] and scored.s[1].tolist() == np.eye(3).tolist()
    np.testing.assert_allclose(scored.f, [1 / 3, 2 / 3])  # distinct good replies among three
    np.testing.assert_array_equal(scored.marginals, marginal_contributions(OBJECTIVES["coverage"], scored.q, scored.s))


def test_a_reply_that_was_cut_is_bad_unless_it_is_said_to_count():
    texts, ended = ["a", "b", "c", "a"], [True, False, True, False]
    given = dict(quality=lambda row, replies: np.array([1.0, 1.0, 0.5, 1.0]), n=4)
    assert score_sets(SetObjectiveConfig(**given), [{}], texts, ended).q.tolist() == [[1, 0, 0.5, 0]]
    for scored in (
        score_sets(SetObjectiveConfig(**given), [{}], texts),
        score_sets(SetObjectiveConfig(**given, unfinished=True), [{}], texts, ended),
    ):
        assert scored.q.tolist() == [[1, 1, 0.5, 1]]


def nan_encoder(example, replies):
    return np.full((len(replies), len(replies)), np.nan)


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        (
            dict(similarity=nan_encoder),
            r"nan_encoder returned nan at \(0, 0\), expected .* 1 on the diagonal; replies: \['a', 'b', 'c'\]",
        ),
        (dict(similarity=holds_d), r"holds_d returned shape \(3,\) for 3 replies, expected \(3, 3\)"),
        (dict(quality=equal_text), r"equal_text returned shape \(3, 3\) for 3 replies, expected \(3,\)"),
        (dict(quality=lambda row, replies: [0.0, 1.5, 0.0]), r"returned 1.5 at \(1,\)"),
        (dict(quality=lambda row, replies: [0.0, -0.1, 0.0]), r"returned -0.1 at \(1,\)"),
        (dict(similarity=lambda row, replies: np.zeros((3, 3))), r"returned 0.0 at \(0, 0\), expected numbers in .*, 1 on the diagonal"),
    ],
)
def test_functions_that_return_something_else_are_named(functions, message):
    with pytest.raises(ValueError, match=message):
        score_sets(config(**functions), [{}], ["a", "b", "c"])


def test_equal_replies_to_one_prompt_are_merged_and_those_without_weight_dropped():
    rows = [(0, (3, 4)), (0, (5,)), (1, (3, 4)), (0, (3, 4)), (1, (5,)), (0, (5,)), (1, (6,))]
    kept, weight = merge_equal(rows, np.array([1.0, 0.5, 2.0, 3.0, 0.0, -0.5, 4.0]))
    assert kept == [(0, (3, 4)), (1, (3, 4)), (1, (6,))] and weight.tolist() == [4.0, 2.0, 4.0]
    kept, weight = merge_equal([], np.zeros(0))
    assert kept == [] and weight.shape == (0,)


def test_exact_similarity_is_one_for_the_same_answer_and_quality_is_validity():
    quality, similarity = set_functions(get_domain("listqa"), TRAIN, "exact", Readers())
    flim, zorb = ["Red flim", "the red flims.", "nonsense"], ["red flim", "blue zorb", "nonsense"]
    assert quality({"record": 1}, flim).tolist() == [1, 1, 0] and quality({"record": 0}, zorb).tolist() == [0, 1, 0]
    assert similarity({"record": 1}, flim).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert similarity({"record": 0}, zorb).tolist() == np.eye(3).tolist()


def test_semantic_similarity_is_the_cosine_clipped_with_a_unit_diagonal():
    vectors = {"up": [1.0, 0.0], "down": [-1.0, 0.0], "half": [0.6, 0.8]}
    lookup = lambda texts: np.array([vectors[t] for t in texts], dtype=np.float32)
    s = set_functions(get_domain("listqa"), TRAIN, "semantic", Readers(lookup))[1]({"record": 0}, list(vectors))
    np.testing.assert_allclose(s, [[1, 0, 0.6], [0, 1, 0], [0.6, 0, 1]], atol=1e-7)
    assert s.dtype == np.float64 and (np.diagonal(s) == 1).all() and (s == cosines(lookup(list(vectors)))).all()
