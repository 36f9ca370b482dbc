import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import CHRF

from polychromic.base.errors import PolychromicError
from polychromic.score.quality import chrf, chrf_matrix, chrf_signature, rouge_1, rouge_2, rouge_l, rouge_signature
from polychromic.score.text import tokenize

texts = hs.one_of(hs.text(hs.sampled_from("abAB .!😂你好é\n"), max_size=14), hs.text(max_size=10))
references = hs.lists(texts.filter(lambda t: bool(t.split()) and bool(tokenize(t))), min_size=1, max_size=4)


def lcs(x, y):
    """Longest common subsequence by the textbook recurrence."""
    table = np.zeros((len(x) + 1, len(y) + 1), dtype=int)
    for i, a in enumerate(x):
        for j, b in enumerate(y):
            table[i + 1, j + 1] = table[i, j] + 1 if a == b else max(table[i, j + 1], table[i + 1, j])
    return table[-1, -1]


@given(texts, references)
def test_rouge_l_against_the_recurrence(prediction, refs):
    own, best = tokenize(prediction), 0.0
    for ref in map(tokenize, refs):
        common = lcs(own, ref)
        best = max(best, 2 * common / (len(own) + len(ref)))
    assert rouge_l(prediction, refs) == pytest.approx(best, abs=1e-12)
    assert rouge_l(prediction, refs[::-1]) == pytest.approx(best, abs=1e-12)
    assert rouge_l(refs[0], refs) == pytest.approx(1)


def overlap(prediction, reference, n):
    """Lin 2004: clipped common n-grams, F-measure; None where neither side has an n-gram."""
    own, other = ([tuple(t[i : i + n]) for i in range(len(t) - n + 1)] for t in map(tokenize, (prediction, reference)))
    if not own and not other:
        return None
    left, common = list(other), 0
    for gram in own:
        if gram in left:
            left.remove(gram)
            common += 1
    return 2 * common / (len(own) + len(other))


words = hs.sampled_from(["yes", "no", "the", "cat", "Cat", "\U0001f602", "\U0001f44d\U0001f3fd", "你好", "猫", "é", "don't", "!", ""])
sentences = hs.one_of(hs.lists(words, max_size=7).map(" ".join), texts)


@given(sentences, hs.lists(sentences.filter(tokenize), min_size=1, max_size=3))
def test_rouge_n_against_counting_by_hand(prediction, refs):
    assert rouge_1(prediction, refs) == pytest.approx(max(overlap(prediction, ref, 1) for ref in refs), abs=1e-12)
    defined = [value for ref in refs if (value := overlap(prediction, ref, 2)) is not None]
    if defined:
        assert rouge_2(prediction, refs) == rouge_2(prediction, refs[::-1]) == pytest.approx(max(defined), abs=1e-12)
    else:
        with pytest.raises(PolychromicError, match="without a bigram"):
            rouge_2(prediction, refs)


@given(sentences.filter(lambda t: len(tokenize(t)) > 1))
def test_rouge_of_a_copy_is_one(text):
    assert rouge_1(text, [text]) == rouge_2(text, [text]) == rouge_l(text, [text]) == pytest.approx(1)


@given(sentences, sentences.filter(lambda t: len(tokenize(t)) > 1))
def test_rouge_is_that_of_rouge_score(prediction, ref):
    class Words:
        tokenize = staticmethod(tokenize)

    theirs = RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=Words()).score(ref, prediction)
    for kind, ours in (("rouge1", rouge_1), ("rouge2", rouge_2), ("rougeL", rouge_l)):
        assert ours(prediction, [ref]) == pytest.approx(theirs[kind].fmeasure, abs=1e-12)


def test_rouge_2_of_short_texts():
    """Nothing in common is 0; nothing that could be in common is no value."""
    assert rouge_2("yes", ["yes please"]) == rouge_2("yes please", ["yes"]) == rouge_2("", ["yes please"]) == 0
    assert rouge_2("yes", ["yes", "yes please"]) == 0, "the reference for which it exists"
    for prediction, reference in (("yes", "yes"), ("", "yes"), ("\U0001f602", "猫")):
        with pytest.raises(PolychromicError, match="rouge_2: got a reply without a bigram .* Use rouge_1"):
            rouge_2(prediction, [reference])


def test_a_reference_that_shows_nothing_is_an_error():
    """A presentation selector alone is text to str.split, and no token."""
    for rouge in (rouge_1, rouge_2, rouge_l):
        with pytest.raises(PolychromicError, match="an empty one"):
            rouge("red cat", ["\ufe0f"])


def test_rouge_l_known_values():
    # police killed the gunman / police kill the gunman: 3 of 4 in order (Lin 2004, section 3.1)
    assert rouge_l("police kill the gunman", ["police killed the gunman"]) == pytest.approx(0.75)
    assert rouge_l("the gunman kill police", ["police killed the gunman"]) == pytest.approx(0.5)
    assert rouge_l("😂", ["no", "😂"]) == 1
    assert rouge_l("你好", ["你们好"]) == pytest.approx(0.8)
    assert rouge_l("", ["hello"]) == 0
    # precision 1, recall 1/3: the F-measure, not the recall
    assert rouge_l("b", ["a b c"]) == pytest.approx(0.5)


@given(texts, references)
def test_chrf_equals_sacrebleu(prediction, refs):
    value = chrf(prediction, refs)
    assert value == pytest.approx(CHRF().sentence_score(prediction, refs).score / 100, abs=1e-12)
    assert 0 <= value <= 1 + 1e-12
    assert chrf(prediction, refs[::-1]) == value
    assert chrf(refs[0], refs) == pytest.approx(1)


@given(hs.lists(texts, min_size=1, max_size=4), references)
def test_chrf_matrix_is_chrf_of_each_pair(predictions, refs):
    assert chrf_matrix(predictions, refs) == pytest.approx(np.array([[chrf(p, [r]) for r in refs] for p in predictions]), abs=1e-12)


def test_chrf_counts_repeats_once_each():
    assert chrf("aaaa", ["aa"]) == pytest.approx(CHRF().sentence_score("aaaa", ["aa"]).score / 100, abs=1e-12)
    assert chrf("aaaa", ["aa"]) < 1
    assert chrf("", ["hello"]) == 0 and chrf("xyz", ["hello"]) == 0


def test_chrf_is_fast_enough_for_a_domain():
    rng = np.random.default_rng(0)
    vocabulary = ["".join(rng.choice(list("abcdefghij"), 5)) for _ in range(300)]
    predictions = [" ".join(rng.choice(vocabulary, 12)) for _ in range(1500)]
    refs = [" ".join(rng.choice(vocabulary, 12)) for _ in range(75)]
    start = time.process_time()
    for i, prediction in enumerate(predictions):
        chrf(prediction, refs[i // 20 : i // 20 + 1])
    assert (time.process_time() - start) / len(predictions) < 60 / 30_000


def test_signatures():
    assert chrf_signature().startswith("chrF2|nc:6|nw:0") and "rouge-score:0." in rouge_signature()


@pytest.mark.parametrize("metric", [rouge_1, rouge_2, rouge_l, chrf, lambda p, r: chrf_matrix([p], r)])
@pytest.mark.parametrize(("refs", "message"), [([], "0 references"), ([" "], "empty"), (["good", ""], "empty"), ("good", "Wrap it")])
def test_impossible_references_are_an_error(metric, refs, message):
    with pytest.raises(PolychromicError, match=message):
        metric("x", refs)


@pytest.mark.parametrize("predictions", [[], "one string"])
def test_chrf_matrix_needs_a_list_of_predictions(predictions):
    with pytest.raises(PolychromicError, match="predictions"):
        chrf_matrix(predictions, ["x"])
