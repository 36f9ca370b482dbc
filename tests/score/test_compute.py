"""Every metric of the catalogue through its one door: by hand, at its declared bounds, under permutation and repetition."""

from __future__ import annotations

import subprocess
import sys
import zlib
from dataclasses import replace
from importlib.metadata import version
from math import comb, exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.params import load_params
from polychromic.score.catalogue import FAMILIES, metric
from polychromic.score.compute import FUNCTIONS, Prompt, compute, lacking, signature
from polychromic.score.people import checker_signature
from tests.workspace import REPOSITORY

REPORTED = sorted({name for domain in ("listqa", "replies") for name in load_params(REPOSITORY / "params.yaml").domain(domain).metrics})
MEMBERS = [
    "pass@2",
    "pass^2",
    "cover@0.5",
    "selected@2",
    "valid_distinct@2",
    "distinct@2",
    "human_recall@2",
    "best_rouge_l@2",
    "distinct_1",
]
EVERY = MEMBERS + [
    name for name, info in FAMILIES.items() if name in FUNCTIONS and "@" not in name and "^" not in name and name != "distinct_n"
]
IN_ORDER = ("selected@2", "compression_ratio")  # the first two replies alone; what gzip makes of the order
NEAR = ["a dog ran", "the cat ran", "the cat sat"]  # 42 bytes after gzip in this order, 46 with the last one first
WORDS = st.sampled_from(["red", "green", "blue", "a cat", "猫", "👍🏽", "don't", "x y z", "Rot.", "été"])


def test_every_declared_metric_has_its_function_and_none_is_forgotten():
    assert FAMILIES.keys() - FUNCTIONS.keys() == {"objective"} and not FUNCTIONS.keys() - FAMILIES.keys()
    assert {metric(name).family for name in EVERY} == FUNCTIONS.keys()


def prompt(samples: list[str], scale: float = 1.0) -> Prompt:
    """Everything that a metric may read, each a function of the reply's text alone."""
    distinct = sorted(set(samples))
    place = {text: i for i, text in enumerate(distinct)}
    vectors = np.array([[1.0, *(float(place[text] == i) for i in range(len(distinct)))] for text in samples])
    value = np.array([(len(text) % 4) / 4 for text in samples])
    return Prompt(
        samples=samples,
        answers=[text if len(text) % 3 else None for text in samples],
        keys=list(samples),
        references=["red cat", "été"],
        vectors=vectors * scale,
        quality=value,
        tokens=[len(text) + 1 for text in samples],
        matches=np.array([[len(text) % 2 == 0, text == "red"] for text in samples]),
        pieces=[[ord(letter) % 50 for letter in text] for text in samples],
        vocabulary=50,
        bertscore=value,
        log_likelihood=np.array([[-float(len(text)), len(text) + 1.0] for text in samples]),
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(WORDS, min_size=3, max_size=8), st.randoms(use_true_random=False))
def test_bounds_and_the_order_of_replies(samples, random):
    shuffled = list(samples)
    random.shuffle(shuffled)
    for name in EVERY:
        info, value = metric(name), compute(name, prompt(samples))
        high = len(samples) if info.high == "n" else info.high
        assert np.isfinite(value)
        assert info.low is None or value >= info.low - 1e-9, name
        assert high is None or value <= high + 1e-9, name
        if name not in IN_ORDER:
            assert compute(name, prompt(shuffled)) == pytest.approx(value, abs=1e-9), name


@settings(max_examples=40, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_replies_changes_no_more_than_what_gzip_makes_of_it(samples, random):
    """The bytes before are those of any order; after, at most gzip's frame of 18 bytes and a stored block's 5 are added."""
    shuffled = list(samples)
    random.shuffle(shuffled)
    before = len("\n".join(samples).encode())
    for order in (samples, shuffled):
        after = before / compute("compression_ratio", prompt(order))
        assert after == pytest.approx(round(after), abs=1e-9) and 18 < after <= before + 23


def test_gzip_reads_replies_in_order():
    """So equal sets of replies may differ by a few bytes: the metric is no function of the set alone."""
    near, far = (compute("compression_ratio", prompt(order)) for order in (NEAR, [NEAR[2], NEAR[0], NEAR[1]]))
    assert near > far


@settings(max_examples=30, deadline=None)
@given(WORDS, st.lists(WORDS, min_size=4, max_size=6, unique=True))
def test_copies_are_never_more_diverse_than_different_replies(word, different):
    copies, apart = prompt([word] * len(different)), prompt(different)
    for name in ("distinct@2", "semantic_diversity", "vendi", "vendi_2"):
        assert compute(name, copies) < compute(name, apart), name
    assert compute("self_bleu", copies) == pytest.approx(1) and compute("self_bleu", apart) <= 1
    assert compute("semantic_diversity", copies) == pytest.approx(0, abs=1e-12)
    assert compute("vendi", copies) == pytest.approx(1) and compute("distinct@2", copies) == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(WORDS, min_size=4, max_size=8))
def test_more_drafts_never_lower_what_the_best_of_them_gives(samples):
    given_prompt = prompt(samples)
    for family in ("pass@", "valid_distinct@", "distinct@", "human_recall@", "best_rouge_l@"):
        values = [compute(f"{family}{k}", given_prompt) for k in range(1, len(samples) + 1)]
        assert all(later >= earlier - 1e-12 for earlier, later in zip(values, values[1:], strict=False)), family
    assert compute("pass^1", given_prompt) == pytest.approx(compute("pass@1", given_prompt))
    for k in range(1, len(samples)):
        assert compute(f"pass^{k + 1}", given_prompt) <= compute(f"pass^{k}", given_prompt) + 1e-12


def test_by_hand():
    p = Prompt(
        samples=["red", "blue", "red", ""],
        answers=["red", None, "red", None],
        log_likelihood=np.array([[-2.0, 2.0], [-1.0, 4.0], [-2.0, 2.0]]),
        pieces=[[1], [2], [1], []],
        vocabulary=10,
        bertscore=np.array([1.0, 0.5, 1.0, 0.0]),
    )
    assert compute("pass@2", p) == pytest.approx(1 - comb(2, 2) / comb(4, 2))
    assert compute("pass^2", p) == pytest.approx(1 / 6)
    assert (compute("cover@0.5", p), compute("cover@0.51", p)) == (1, 0)
    assert compute("perplexity", p) == pytest.approx(exp(5 / 8))
    assert compute("selected@1", p) == 1, "the only one to choose from is valid"
    assert compute("selected@3", p) == 0, "the likeliest per token is the second, which is not"
    assert compute("ead", p) == pytest.approx(2 / (10 * (1 - 0.9**3)))
    assert compute("bertscore", p) == pytest.approx(2.5 / 4)
    assert compute("vocabulary", p) == pytest.approx(2 / 3**0.5)
    assert compute("words", p) == pytest.approx(3 / 4)


def test_replies_that_are_equally_likely_share_the_pick():
    p = Prompt(samples=["a", "b"], answers=["a", None], log_likelihood=np.array([[-3.0, 3.0], [-1.0, 1.0]]))
    assert compute("selected@2", p) == 0.5


def test_vendi_of_two_pairs_of_copies_is_two():
    p = Prompt(samples=list("aabb"), vectors=np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, 1.0]]))
    assert compute("vendi", p) == pytest.approx(2) and compute("vendi_2", p) == pytest.approx(2)
    uneven = Prompt(samples=list("aaab"), vectors=np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]]))
    assert compute("vendi", uneven) == pytest.approx(exp(-0.75 * log(0.75) - 0.25 * log(0.25)))


@pytest.mark.parametrize("name", REPORTED)
def test_what_is_missing_is_named(name):
    bare = Prompt(samples=["red", "blue"] * 10)
    needs = metric(name).needs
    assert lacking(name, bare) == needs
    if needs:
        with pytest.raises(PolychromicError, match=f"{name}: reads {needs[0]}"):
            compute(name, bare)


@pytest.mark.parametrize(
    ("name", "given_prompt", "message"),
    [
        ("pass@3", Prompt(samples=["a", "b"], answers=["a", None]), "k = 3 with n = 2"),
        (
            "selected@2",
            Prompt(samples=["a", "b"], answers=["a", None], log_likelihood=np.array([[-1.0, 1.0]])),
            "1 replies have a likelihood",
        ),
        ("distinct_2", Prompt(samples=["a", "b"]), "2-gram"),
        ("vocabulary", Prompt(samples=["", " "]), "without a token"),
        ("rouge_2", Prompt(samples=["yes", "yes please"], references=["yes"]), "without a bigram"),
        ("objective", replace(prompt(["a", "b"]), quality=np.ones(2)), "parameters of training"),
        ("semantic_diversity", Prompt(samples=["a"], vectors=np.ones((1, 2))), "2 or more"),
    ],
)
def test_what_cannot_be_computed_is_an_error_and_no_zero(name, given_prompt, message):
    with pytest.raises(PolychromicError, match=message):
        compute(name, given_prompt)


@pytest.mark.parametrize("name", ["bleurt", "pass@0", "pass@1.5", "cover@0", "cover@1.5", "distinct_0", "pass@k", "pass@"])
def test_a_name_that_means_nothing_is_refused(name):
    with pytest.raises(UsageError, match="Allowed"):
        compute(name, prompt(["a", "b"]))


@pytest.mark.parametrize("name", EVERY)
def test_a_signature_names_the_metric_and_what_it_depends_on(name):
    known = {"encoder": "mini-7", "checker": "set", "model": "tiny-lm", "samples": 20}
    info, text = metric(name), signature(name, **known)
    parts, needs = text.split("|"), set(info.needs)
    assert parts[0] == name and len(parts) > 1 and "samples:20" in parts
    assert ("encoder:mini-7" in parts) == bool({"vectors", "pieces", "bertscore"} & needs)
    assert ("checker:set" in parts) == bool({"answers", "matches"} & needs)
    assert ("model:tiny-lm" in parts) == ("log_likelihood" in needs)
    if info.family in ("self_bleu", "rouge_1", "rouge_2", "rouge_l", "best_rouge_l@k", "distinct_n", "vocabulary", "words"):
        assert "tok:nltk.TweetTokenizer" in parts and any(part.startswith("nltk:") for part in parts)
    if info.at is not None:
        assert any(part in parts for part in (f"k:{info.at:g}", f"n:{info.at:g}", f"tau:{info.at:g}"))
    bare = signature(name)
    assert not {"mini-7", "tiny-lm", "20"} & set(bare.replace(":", "|").split("|")), "what only the run knows is passed in"
    assert signature(name, **known) == text


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("self_bleu", ["self-bleu-4", "order:effective", "smooth:method1(.1)"]),
        ("distinct_2", ["n:2"]),
        ("compression_ratio", ["gzip", "level:9", f"zlib:{zlib.ZLIB_RUNTIME_VERSION}"]),
        ("bertscore", ["layer:5 or the last", "idf:no", "rescaled:no", f"bert-score:{version('bert-score')}"]),
        ("rouge_2", ["rouge2", "refs:max", f"rouge-score:{version('rouge-score')}"]),
        ("chrf", ["chrF2", "nc:6", "nw:0"]),
        ("ead", ["tok:word pieces of the encoder"]),
        ("perplexity", ["model:m", "prompt:zero_shot", "end token:counted"]),
        ("selected@2", ["k:2", "prompt:zero_shot"]),
        ("cover@0.5", ["tau:0.5"]),
    ],
)
def test_a_signature_says_what_its_numbers_are_made_with(name, named):
    assert set(named) <= set(signature(name, encoder="e", model="m").split("|"))


def test_the_checker_of_replies_names_measure_and_threshold():
    text = signature("pass@10", checker=checker_signature(0.315))
    assert "|k:10|checker:person-match|above:0.315|chrF2|" in text


def test_metrics_import_no_torch():
    code = "import sys, polychromic.score.compute, polychromic.score.catalogue; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
