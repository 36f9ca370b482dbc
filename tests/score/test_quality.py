import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import CHRF

from polychromic.base.errors import PolychromicError
from polychromic.score.quality import chrf, chrf_matrix, rouge_1, rouge_2, rouge_l
from polychromic.score.text import tokenize

words = hs.sampled_from(["yes", "no", "the", "cat", "Cat", "😂", "👍🏽", "你好", "猫", "é", "don't", "!", ""])
texts = hs.one_of(
    hs.lists(words, max_size=7).map(" ".join), hs.text(hs.sampled_from("abAB .!😂你好é\n"), max_size=14), hs.text(max_size=10)
)
references = hs.lists(texts.filter(lambda t: bool(t.split()) and bool(tokenize(t))), min_size=1, max_size=4)


class Words:
    tokenize = staticmethod(tokenize)


@given(texts, references)
def test_rouge_is_that_of_rouge_score(prediction, refs):
    scores = {"rouge1": rouge_1, "rougeL": rouge_l, "rouge2": rouge_2}
    if all(len(tokenize(text)) < 2 for text in (prediction, *refs)):
        del scores["rouge2"]
        with pytest.raises(PolychromicError, match="rouge_2: got a reply without a bigram .* Use rouge_1"):
            rouge_2(prediction, refs)
    theirs = [RougeScorer(list(scores), tokenizer=Words()).score(ref, prediction) for ref in refs]
    for kind, ours in scores.items():
        assert ours(prediction, refs) == ours(prediction, refs[::-1]) == pytest.approx(max(s[kind].fmeasure for s in theirs), abs=1e-12)


@pytest.mark.parametrize(
    ("rouge", "prediction", "refs", "value"),
    [
        # police killed the gunman / police kill the gunman: 3 of 4 in order (Lin 2004, section 3.1)
        (rouge_l, "police kill the gunman", ["police killed the gunman"], 0.75),
        (rouge_l, "the gunman kill police", ["police killed the gunman"], 0.5),
        (rouge_l, "😂", ["no", "😂"], 1),
        (rouge_l, "你好", ["你们好"], 0.8),
        (rouge_l, "", ["hello"], 0),
        (rouge_l, "b", ["a b c"], 0.5),  # precision 1, recall 1/3: the F-measure, not the recall
        # nothing in common is 0; nothing that could be in common is no value, and the reference for which it exists counts
        *((rouge_2, prediction, refs, 0) for prediction, refs in (
            ("yes", ["yes please"]), ("yes please", ["yes"]), ("", ["yes please"]), ("yes", ["yes", "yes please"]))),
        *((rouge, "red cat", ["blue", "red cat"], 1) for rouge in (rouge_1, rouge_2, rouge_l)),
    ],
)  # fmt: skip
def test_known_values(rouge, prediction, refs, value):
    assert rouge(prediction, refs) == pytest.approx(value)


@given(texts, references)
def test_chrf_equals_sacrebleu(prediction, refs):
    value = chrf(prediction, refs)
    assert value == pytest.approx(CHRF().sentence_score(prediction, refs).score / 100, abs=1e-12)
    assert 0 <= value <= 1 + 1e-12
    assert chrf(prediction, refs[::-1]) == value
    assert chrf(refs[0], refs) == pytest.approx(1)
    assert chrf_matrix([prediction, refs[0]], refs) == pytest.approx(
        np.array([[chrf(p, [r]) for r in refs] for p in (prediction, refs[0])])
    )


@pytest.mark.parametrize("metric", [rouge_1, rouge_2, rouge_l, chrf, lambda p, r: chrf_matrix([p], r)])
@pytest.mark.parametrize(("refs", "message"), [([], "0 references"), (["good", " "], "empty")])
def test_impossible_references_are_an_error(metric, refs, message):
    with pytest.raises(PolychromicError, match=message):
        metric("x", refs)
    with pytest.raises(PolychromicError, match="an empty one"):  # a presentation selector alone is text to str.split, and no token
        (metric if metric in (rouge_1, rouge_2) else rouge_l)("red cat", ["\ufe0f"])
