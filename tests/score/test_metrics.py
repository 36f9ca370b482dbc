"""Every metric through its one door: by hand, at its declared bounds, under permutation and repetition."""

from __future__ import annotations

import subprocess
import sys
import zlib
from dataclasses import replace
from importlib.metadata import version
from math import comb, exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.params import load_params
from polychromic.score.metrics import FAMILIES, Prompt, check_metrics, compute, lacking, metric, signature
from polychromic.score.people import checker_signature
from tests.workspace import REPOSITORY, small_params

NUMBERED = {"@k": "@2", "^k": "^2", "@tau": "@0.5", "_n": "_1"}
EVERY = [name.removesuffix(mark) + NUMBERED.get(mark, "") for name in FAMILIES if name != "objective"
         for mark in [next((mark for mark in NUMBERED if name.endswith(mark)), "")]]  # fmt: skip
WORDS = st.sampled_from(["red", "green", "blue", "a cat", "猫", "👍🏽", "don't", "x y z", "Rot.", "été"])


def prompt(samples: list[str]) -> Prompt:
    """Everything that a metric may read, each a function of the reply's text alone."""
    distinct = sorted(set(samples))
    value = np.array([(len(text) % 4) / 4 for text in samples])
    return Prompt(
        samples=samples,
        answers=[text if len(text) % 3 else None for text in samples],
        keys=list(samples),
        references=["red cat", "été"],
        vectors=np.array([[1.0, *(float(text == other) for other in distinct)] for text in samples]),
        quality=value,
        similarity=np.array([[1.0 if a == b else min(len(a), len(b)) / 12 for b in samples] for a in samples]),
        held_out_quality=1 - value,
        held_out_similarity=np.array([[float(a == b) for b in samples] for a in samples]),
        tokens=[len(text) + 1 for text in samples],
        matches=np.array([[len(text) % 2 == 0, text == "red"] for text in samples]),
        pieces=[[ord(letter) % 50 for letter in text] for text in samples],
        vocabulary=50,
        bertscore=value,
        log_likelihood=np.array([[-float(len(text)), len(text) + 1.0] for text in samples]),
    )


@settings(max_examples=40)
@given(st.lists(WORDS, min_size=3, max_size=8), st.randoms(use_true_random=False))
def test_bounds_and_the_order_of_replies(samples, random):
    shuffled = random.sample(samples, len(samples))
    for name in EVERY:
        info, value = metric(name), compute(name, prompt(samples))
        high = len(samples) if info.high == "n" else info.high
        assert np.isfinite(value)
        assert info.low is None or value >= info.low - 1e-9, name
        assert high is None or value <= high + 1e-9, name
        # The first two replies alone; sets of two as they were drawn; what gzip makes of the order.
        if name not in ("selected@2", "coverage@2", "held_out_coverage@2", "compression_ratio"):
            assert compute(name, prompt(shuffled)) == pytest.approx(value, abs=1e-9), name


def test_by_hand():
    p = Prompt(
        samples=["red", "blue", "red", ""],
        answers=["red", None, "red", None],
        log_likelihood=np.array([[-2.0, 2.0], [-1.0, 4.0], [-2.0, 2.0]]),
        pieces=[[1], [2], [1], []],
        vocabulary=10,
        bertscore=np.array([1.0, 0.5, 1.0, 0.0]),
    )
    expected = {
        "pass@2": 1 - comb(2, 2) / comb(4, 2),
        "pass^2": 1 / 6,
        "cover@0.5": 1,
        "cover@0.51": 0,
        "perplexity": exp(5 / 8),
        "selected@1": 1,  # the only one to choose from is valid
        "selected@3": 0,  # the likeliest per token is the second, which is not
        "ead": 2 / (10 * (1 - 0.9**3)),
        "bertscore": 2.5 / 4,
        "vocabulary": 2 / 3**0.5,
        "words": 3 / 4,
    }
    assert {name: compute(name, p) for name in expected} == pytest.approx(expected)
    pairs = Prompt(samples=list("aabb"), vectors=np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, 1.0]]))
    assert compute("vendi", pairs) == pytest.approx(2) and compute("vendi_2", pairs) == pytest.approx(2), "vectors of any length"
    good = np.array([1.0, 0.5, 1.0, 1.0, 0.0, 1.0, 1.0]), np.eye(7)
    good[1][0, 1] = good[1][1, 0] = 0.5
    judged = Prompt(samples=list("abcdefg"), quality=good[0], similarity=good[1], held_out_quality=good[0], held_out_similarity=np.eye(7))
    # By twos, the last one left over: 1 / 1.25 + 0.5 / 1, both, and one alone.
    assert compute("coverage@2", judged) == pytest.approx((1 / 1.25 + 0.5 / 1 + 2 + 1) / 3)
    assert compute("held_out_coverage@2", judged) == pytest.approx((2 + 2 + 1) / 3), "with nothing in common, half as good counts whole"
    assert compute("held_out_quality", judged) == pytest.approx(5.5 / 7)
    equally_likely = Prompt(samples=["a", "b"], answers=["a", None], log_likelihood=np.array([[-3.0, 3.0], [-1.0, 1.0]]))
    assert compute("selected@2", equally_likely) == 0.5


@pytest.mark.parametrize("name", EVERY)
def test_what_is_missing_is_named(name):
    bare, needs = Prompt(samples=["red", "blue"] * 10), metric(name).needs
    assert lacking(name, bare) == needs
    if needs:
        with pytest.raises(PolychromicError, match=f"{name.replace('^', '.')}: reads {needs[0]}"):
            compute(name, bare)


PAIR = Prompt(samples=["a", "b"], answers=["a", None], log_likelihood=np.array([[-1.0, 1.0]]))


@pytest.mark.parametrize(("name", "given_prompt", "message"), [
    ("pass@3", PAIR, "pass@3: got 2 replies. Allowed: 3 or more of one prompt. Sample the prompt more often, or lower k"),
    ("selected@2", PAIR, "1 replies have a likelihood"),
    ("distinct_2", PAIR, "2-gram"),
    ("vocabulary", Prompt(samples=["", " "]), "without a token"),
    ("perplexity", replace(PAIR, log_likelihood=np.zeros((2, 2))), "none of the replies has a token"),
    ("rouge_2", Prompt(samples=["yes", "yes please"], references=["yes"]), "without a bigram"),
    ("objective", prompt(["a", "b"]), "parameters of training. Allowed here: pass@k, "),
    ("semantic_diversity", Prompt(samples=["a"], vectors=np.ones((1, 2))), "2 or more"),
])  # fmt: skip
def test_what_cannot_be_computed_is_an_error_and_no_zero(name, given_prompt, message):
    with pytest.raises(PolychromicError, match=message):
        compute(name, given_prompt)


@pytest.mark.parametrize("name", ["bleurt", "pass@0", "pass@1.5", "cover@0", "cover@1.5", "distinct_0", "pass@k", "pass@"])
def test_a_name_that_means_nothing_is_refused(name):
    with pytest.raises(UsageError, match="Allowed"):
        compute(name, prompt(["a", "b"]))


def test_every_metric_of_params_exists():
    check_metrics(load_params(REPOSITORY / "params.yaml"))
    params = small_params()
    wrong = params.listqa.model_copy(update={"metrics": ["pass@1", "pass@0", "objective", "bleurt"]})
    with pytest.raises(UsageError) as caught:
        check_metrics(params.model_copy(update={"listqa": wrong}))
    lines = str(caught.value).splitlines()
    assert lines[0] == "params.yaml: 3 error(s):" and [line.split(":")[0] for line in lines[1:]] == ["  listqa.metrics"] * 3
    assert "'pass@0' has 0" in lines[1] and lines[2].endswith("objective is always computed; leave it out") and "'bleurt'" in lines[3]


@pytest.mark.parametrize("name", EVERY)
def test_a_signature_names_the_metric_and_what_it_depends_on(name):
    known = {"encoder": "mini-7", "checker": "set", "model": "tiny-lm", "samples": 20}
    info, parts = metric(name), signature(name, **known).split("|")
    assert parts[0] == name and len(parts) > 1 and "samples:20" in parts
    assert ("encoder:mini-7" in parts) == bool({"vectors", "pieces", "bertscore"} & set(info.needs))
    assert ("checker:set" in parts) == bool({"answers", "matches"} & set(info.needs))
    assert ("model:tiny-lm" in parts) == ("log_likelihood" in info.needs)
    if info.family in ("self_bleu", "rouge_1", "rouge_2", "rouge_l", "best_rouge_l@k", "distinct_n", "vocabulary", "words"):
        assert "tok:nltk.TweetTokenizer" in parts and any(part.startswith("nltk:") for part in parts)
    if info.at is not None:
        assert any(part in parts for part in (f"k:{info.at:g}", f"n:{info.at:g}", f"tau:{info.at:g}"))
    bare = signature(name).replace(":", "|").split("|")
    assert not {"mini-7", "tiny-lm", "20"} & set(bare), "what only the run knows is passed in"


@pytest.mark.parametrize(("name", "named"), [
    ("self_bleu", ["self-bleu-4", "order:effective", "smooth:method1(.1)"]),
    ("distinct_2", ["n:2"]),
    ("compression_ratio", ["gzip", "level:9", f"zlib:{zlib.ZLIB_RUNTIME_VERSION}"]),
    ("bertscore", ["layer:5 or the last", "idf:no", "rescaled:no", f"bert-score:{version('bert-score')}"]),
    ("rouge_2", ["rouge2", "refs:max", f"rouge-score:{version('rouge-score')}"]),
    ("chrf", ["chrF2", "nc:6", "nw:0"]),
    ("ead", ["tok:word pieces of the encoder", "scripts without blanks:grapheme"]),
    ("perplexity", ["model:m", "prompt:zero_shot", "end token:counted"]),
    ("cover@0.5", ["tau:0.5"]),
    ("pass@10", ["k:10", "checker:person-match", "above:0.315", "chrF2"]),
])  # fmt: skip
def test_a_signature_says_what_its_numbers_are_made_with(name, named):
    assert set(named) <= set(signature(name, encoder="e", model="m", checker=checker_signature(0.315)).split("|"))


def test_metrics_and_statistics_import_no_torch():
    code = "import sys, polychromic.score.metrics, polychromic.score.models, polychromic.compare.choose; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
