"""Evaluations and comparisons by their commands: values by hand, verdicts that survive many tests, clear errors."""

from __future__ import annotations

import json
import subprocess
import sys
from math import comb

import pytest

from polychromic import __version__
from polychromic.base.errors import PolychromicError
from polychromic.compare.stats import holm
from polychromic.yours.evaluate import draw
from polychromic.yours.evaluate.evaluate import verdict
from tests.workspace import REPOSITORY, make_models, small_params
from tests.yours.evaluate.conftest import GOOD, compare, evaluate, invoke, many, write


def test_means_by_hand(two):
    document = json.loads(evaluate(*two, more="--k 1,2 --metrics pass@1,pass@2,valid_distinct@2 --json").stdout)
    assert [s["system"] for s in document["systems"]] == ["one", "best"] and document["systems"][0]["n_samples"] == 4
    one, best = (s["metrics"] for s in document["systems"])
    assert one["pass@1"]["mean"] == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert one["pass@2"]["mean"] == pytest.approx((1 + (1 - comb(2, 2) / comb(4, 2))) / 2)
    # of "red" twice and "blue" once among four; "fig" twice: P(some of two) each
    some = lambda c: 1 - comb(4 - c, 2) / comb(4, 2)
    assert one["valid_distinct@2"]["mean"] == pytest.approx((some(2) + some(1) + some(2)) / 2)
    assert best["pass@1"]["mean"] == pytest.approx((1 + 1 / 2) / 2)
    assert document["signatures"]["pass@2"].startswith("pass@2|1 - C(n-c,k)/C(n,k)")


def test_texts_that_the_encoder_cut_and_replies_that_show_nothing_are_said_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    make_models(tmp_path)
    monkeypatch.setattr(draw, "pinned", small_params)
    samples = ["a " * 127, "b " * 200, "a", "\u200b"]
    files = [write(tmp_path / f"{name}.jsonl", GOOD | {"samples": samples, "valid": [True] * 4}) for name in ("one", "two")]
    named = [word for path in files for word in ("--samples", path)]
    for _ in range(2):  # the second time the vectors lie in the cache
        document = json.loads(invoke("evaluate", *named, "--metrics", "semantic_diversity,pass@1,distinct@4", "--json").stdout)
        (note,) = document["notes"]
        assert note.startswith("2 texts are longer than the 128 tokens that the sentence encoder reads")
    assert {(s["n_empty"], s["metrics"]["pass@1"]["mean"]) for s in document["systems"]} == {(1, 0.75)}


def test_without_options_the_input_decides_which_metrics_and_each_has_a_signature(two):
    signature = json.loads(evaluate(two[0], more="--json").stdout)["signatures"]["self_bleu"]
    parts = ("self-bleu-4", "order:effective", "smooth:method1", "tok:nltk.TweetTokenizer", "nltk:", "n:4", f"polychromic:{__version__}")
    assert all(part in signature for part in parts)
    result = evaluate(two[0])
    assert all(shown in result.stdout for shown in ("pass@1", "pass@3", "valid distinct@3", "Self-BLEU", "distinct-1"))
    assert not any(shown in result.stdout for shown in ("pass@5", "semantic", "ROUGE"))
    assert "rouge_l, chrf left out: no column `references` in" in result.stderr


@pytest.mark.parametrize(("arguments", "code", "fragments"), [
    ("evaluate --samples one.jsonl --k 10", 1, ["one.jsonl:1 has 4 samples, and --k asks for 10"]),
    ("evaluate --samples one.jsonl --k ten", 2, ["--k is 'ten'"]),
    ("evaluate --samples one.jsonl --k 0", 2, ["--k is '0'. Allowed: whole numbers of 1 or more"]),
    ("evaluate --samples one.jsonl --metrics bleurt", 2, ["'bleurt' does not exist"]),
    ("evaluate --samples one.jsonl --metrics rouge_l", 1,
     ["rouge_l cannot be computed: no column `references` in one.jsonl", "Add what it lacks"]),
    ("evaluate --samples one.jsonl --metrics vendi", 1, ["vendi cannot be computed: no sentence vectors, because of --no-encoder"]),
    ("evaluate --samples one.jsonl --metrics human_recall@2", 1, ["it reads `matches`, which the pipeline alone has"]),
    ("evaluate --samples one.jsonl --metrics pass@9", 1, ["pass@9 cannot be computed: one.jsonl:1: id 'a'", "9", "4"]),
    ("evaluate --samples one.jsonl --out one.jsonl", 2, ["--out one.jsonl is a file"]),
    ("evaluate --samples one.jsonl --out results/mine", 2, ["--out results/mine lies in results/, which the pipeline owns"]),
    ("evaluate --samples one.jsonl --base default", 2, ["Give one of them"]),
    ("evaluate --samples one.jsonl --n 20 --adapter a", 2, ["evaluate --samples makes no use of --adapter, --n."]),
    ("evaluate --base default", 2, ["--base needs --data FILE"]),
    ("compare-files one.jsonl", 2, ["compare-files has one system, 'one'"]),
    ("compare-files one.jsonl best.jsonl --out data/mine", 2, ["lies in data/"]),
])  # fmt: skip
def test_errors(arguments, code, fragments, two):
    result = invoke(*arguments.split(), "--no-encoder")
    assert isinstance(result.exception, PolychromicError) and result.exception.exit_code == code
    assert all(fragment in str(result.exception) for fragment in fragments), result.exception


@pytest.mark.parametrize("arguments", ["evaluate --samples x --k ten", "evaluate --samples x --n 2", "compare-files x --out data/x"])
def test_bad_options_are_refused_before_anything_heavy_is_imported(arguments):
    code = (
        "import sys\nfrom polychromic.cli.yours import replies_app\ntry:\n    replies_app(standalone_mode=False)\n"
        "except Exception as error:\n    print(type(error).__name__, *{'torch', 'numpy', 'nltk', 'pandas', 'dvc'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments.split()], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "UsageError\n"


def test_metrics_of_the_number_of_samples_read_equally_many(tmp_path):
    samples = ["red pear", "red pear", "blue fig", "green plum", "pink lime", "red pear"]
    files = [
        write(tmp_path / f"{name}.jsonl", *(GOOD | {"id": i, "samples": samples[:n], "valid": ["red pear"]} for i in "ab"))
        for name, n in (("few", 3), ("lots", 6))
    ]
    result = evaluate(*files, more="--k 1 --json")
    document = json.loads(result.stdout)
    few, lots = (system["metrics"] for system in document["systems"])
    for name in ("self_bleu", "distinct_1", "distinct_2", "vocabulary", "compression_ratio"):
        assert lots[name]["n_samples"] == 3 and lots[name]["mean"] == few[name]["mean"]
        assert "|n:3|" in document["signatures"][name]
    assert lots["pass@1"]["n_samples"] == 6 and lots["pass@1"]["mean"] == pytest.approx(1 / 2)
    assert few["pass@1"]["mean"] == pytest.approx(2 / 3) and document["signatures"]["pass@1"].split("|")[-2] == "n:3,6"
    (note,) = (note for note in document["notes"] if "samples per prompt differ" in note)
    assert "few has 3, lots has 6" in note and "read the first 3" in note and note in result.stderr
    rows = json.loads(compare(*files, more="--metrics self_bleu,pass@1 --json").stdout)["contrasts"]
    assert [(r["metric"], r["n_samples_a"], r["n_samples_b"], r["delta"]) for r in rows] == [
        ("self_bleu", 3, 3, 0), ("pass@1", 3, 6, pytest.approx(1 / 6)),
    ]  # fmt: skip


def test_systems_of_other_prompts_are_tabulated_with_a_warning(tmp_path):
    files = many(tmp_path / "a.jsonl", 4, 1), many(tmp_path / "b.jsonl", 3, 2)
    result = evaluate(*files, more="--metrics pass@1 --json")
    assert result.exit_code == 0 and "'a' and 'b' answer different prompts (1 of 'a' that 'b' lacks, such as 'q3')" in result.stderr
    assert any("do not compare their means" in note for note in json.loads(result.stdout)["notes"])


def test_a_prompt_with_empty_replies_on_any_line_costs_the_metrics_that_do_not_exist_for_it(tmp_path):
    mean = lambda path: json.loads(evaluate(path, more="--metrics self_bleu --json").stdout)["systems"][0]["metrics"]["self_bleu"]["mean"]
    alone = mean(write(tmp_path / "alone.jsonl", GOOD))
    path = write(tmp_path / "x.jsonl", GOOD, GOOD | {"id": "b"}, GOOD | {"id": "c", "samples": ["", " ", "", ""]})
    document = json.loads(evaluate(path, more="--json").stdout)
    scored = document["systems"][0]["metrics"]
    assert scored["pass@1"]["mean"] == pytest.approx((3 / 4 + 3 / 4 + 0) / 3)
    assert scored["self_bleu"]["mean"] == pytest.approx((2 * alone + 1) / 3), "four empty replies are duplicates"
    (note,) = (note for note in document["notes"] if "only empty replies" in note)
    assert note.startswith("distinct_1, distinct_2, vocabulary, compression_ratio left out: ") and "x.jsonl:3: id 'c'" in note
    assert document["systems"][0]["n_empty"] == 4
    asked = evaluate(path, more="--metrics pass@1,vocabulary,distinct_1")
    assert "vocabulary, distinct_1 cannot be computed" in str(asked.exception) and "x.jsonl:3: id 'c'" in str(asked.exception)


def test_every_pair_is_compared_and_the_terminal_says_which_adjustment(two, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    document = json.loads(compare(*two, more="--metrics pass@1,valid_distinct@2 --json").stdout)
    rows = document["contrasts"]
    assert [(r["a"], r["b"], r["metric"]) for r in rows] == [("one", "best", "pass@1"), ("one", "best", "valid_distinct@2")]
    assert rows[0]["delta"] == pytest.approx(-1 / 8) and rows[0]["permutation_exact"] and rows[0]["n_prompts"] == 2
    assert document["prompts"] == ["a", "b"] and rows[0]["differences"] == pytest.approx([-1 / 4, 0])
    said = " ".join(compare(*two, more="--metrics pass@1,words").stdout.split())
    assert "adjusted by Holm over all 2 tests shown (2 metrics x 1 pairs)" in said and "not distinguishable" in said


def test_a_verdict_survives_holm_over_all_metrics_and_pairs(tmp_path):
    """And an interval without zero is none for two prompts."""
    two = compare(many(tmp_path / "a.jsonl", 2, 1), many(tmp_path / "b.jsonl", 2, 3), more="--metrics pass@1,words --json")
    row = json.loads(two.stdout)["contrasts"][0]
    assert row["high"] < 0 and (row["p_permutation"], row["p_holm"], row["distinguishable"], row["better"]) == (0.5, 1, False, None)
    files = [many(tmp_path / f"{name}.jsonl", 8, right) for name, right in (("low", 0), ("high", 2), ("same", 2))]
    document = json.loads(compare(*files, more="--metrics pass@1,words --json").stdout)
    rows, how = document["contrasts"], document["adjustment"]
    assert (how["method"], how["tests"], how["over"]) == ("Holm", 6, "2 metrics x 3 pairs")
    assert [row["p_holm"] for row in rows] == pytest.approx(list(holm([row["p_permutation"] for row in rows])))
    by_pair = {(row["a"], row["b"]): row for row in rows if row["metric"] == "pass@1"}
    # 2 of 2^8 sign patterns are as extreme: p = 1/128, of six tests 6/128 = .047
    assert by_pair["low", "high"]["p_permutation"] == 1 / 128 and by_pair["low", "high"]["p_holm"] == pytest.approx(6 / 128)
    assert by_pair["low", "high"]["better"] == "high" and by_pair["high", "same"]["better"] is None
    few = json.loads(compare(*files, more="--metrics pass@1,words,distinct@2 --json").stdout)["contrasts"]
    pair = next(row for row in few if (row["a"], row["b"], row["metric"]) == ("low", "high", "pass@1"))
    assert pair["p_permutation"] == 1 / 128 and not pair["distinguishable"], "9 / 128 = .07: three metrics are too many for 8 prompts"


@pytest.mark.parametrize(("name", "low", "high", "p", "expected"), [
    ("pass@1", 0.1, 0.2, 0.01, (True, "a", "a")), ("self_bleu", 0.1, 0.2, 0.01, (True, "a", "b")),
    ("words", -2.0, -1.0, 0.01, (True, "b", None)), ("pass@1", 0.1, 0.2, 0.05, (False, None, None)),
    ("pass@1", -0.1, 0.2, 0.01, (False, None, None)),
])  # fmt: skip
def test_verdict(name, low, high, p, expected):
    assert tuple(verdict(name, "a", "b", low, high, p).values()) == expected


def test_replies_stand_side_by_side(two):
    result = invoke("samples", *two, "--find", "fig")
    assert "Name a fruit." in result.stdout and "Name a colour." not in result.stdout
    assert "\u2713 fig" in result.stdout and "one" in result.stdout and "best" in result.stdout
    assert "1 more prompts; --limit shows them" in invoke("samples", *two, "--limit", 1).stderr
    missing = invoke("samples", *two, "--find", "zzz")
    assert isinstance(missing.exception, PolychromicError) and "no prompt fits --find 'zzz'" in str(missing.exception)
