"""The practitioner's door, by its commands: values by hand, files written, clear errors."""

from __future__ import annotations

import json
from math import comb
from pathlib import Path

import pytest
from tests.oneoff.test_inputs import GOOD, write
from typer.testing import CliRunner

from polychromic import __version__
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.cli.app import app
from polychromic.yours.evaluate import folder


def invoke(*arguments: object):  # noqa: ANN201
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def many(path: Path, prompts: int, right: int, **more: object) -> Path:
    """A system with `right` of 4 valid replies to each prompt, one more to every third."""
    rows = [
        {
            "id": f"q{i}",
            "prompt": f"Ask {i}.",
            "samples": ["red"] * (right + (i % 3 == 0)) + ["x"] * (4 - right - (i % 3 == 0)),
            "valid": ["red"],
        }
        for i in range(prompts)
    ]
    return write(path, *(row | more for row in rows))


def test_means_by_hand(two):
    result = invoke(
        "evaluate",
        "--samples",
        two[0],
        "--samples",
        two[1],
        "--no-encoder",
        "--k",
        "1,2",
        "--metrics",
        "pass@1,pass@2,valid_distinct@2",
        "--json",
    )
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert [s["system"] for s in document["systems"]] == ["one", "best"] and document["systems"][0]["n_samples"] == 4
    one, best = (s["metrics"] for s in document["systems"])
    assert one["pass@1"]["mean"] == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert one["pass@2"]["mean"] == pytest.approx((1 + (1 - comb(2, 2) / comb(4, 2))) / 2)
    # of "red" twice and "blue" once among four; "fig" twice: P(some of two) each
    some = lambda c: 1 - comb(4 - c, 2) / comb(4, 2)
    assert one["valid_distinct@2"]["mean"] == pytest.approx((some(2) + some(1) + some(2)) / 2)
    assert best["pass@1"]["mean"] == pytest.approx((1 + 1 / 2) / 2)
    assert document["signatures"]["pass@2"].startswith("pass@2|1 - C(n-c,k)/C(n,k)")


def test_without_options_the_input_decides_which_metrics(two):
    result = invoke("evaluate", "--samples", two[0], "--no-encoder")
    assert result.exit_code == 0, result.output
    for shown in ("pass@1", "pass@3", "valid distinct@3", "Self-BLEU", "distinct-1"):
        assert shown in result.stdout
    assert "pass@5" not in result.stdout and "semantic" not in result.stdout and "ROUGE" not in result.stdout
    assert "k = 5, 10 left out: " in result.stderr and "rouge_l, chrf left out: no column `references` in" in result.stderr


def test_files_and_figures_are_written_and_the_same_twice(two, tmp_path):
    arguments = ["evaluate", "--samples", two[0], "--samples", two[1], "--no-encoder", "--out", tmp_path / "out"]
    assert invoke(*arguments).exit_code == 0
    names = {"evaluation.json", "table.csv", "table.tex", "passk.pdf", "passk.svg", "quality-diversity.pdf", "quality-diversity.svg"}
    names |= {"samples-one.jsonl", "samples-best.jsonl"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    before = {name: (tmp_path / "out" / name).read_bytes() for name in names}
    assert invoke(*arguments).exit_code == 0
    assert {name: (tmp_path / "out" / name).read_bytes() for name in names} == before
    lines = (tmp_path / "out" / "table.csv").read_text().splitlines()
    assert lines[0] == "system,n_prompts,n_samples,metric,mean,low,high,signature" and lines[1].startswith("one,2,4,pass@1,0.625,")
    assert f"|n:4|polychromic:{__version__}" in lines[1] and "answer:NFC" in lines[1]
    tex = (tmp_path / "out" / "table.tex").read_text()
    assert r"\toprule" in tex and tex.startswith("% written by `polychromic evaluate`\n") and "polychromic report" not in tex


def test_a_signature_names_tokenizer_order_smoothing_samples_and_version(two):
    document = json.loads(invoke("evaluate", "--samples", two[0], "--no-encoder", "--metrics", "self_bleu", "--json").stdout)
    signature = document["signatures"]["self_bleu"]
    for part in (
        "self-bleu-4",
        "order:effective",
        "smooth:method1",
        "tok:nltk.TweetTokenizer",
        "nltk:",
        "n:4",
        f"polychromic:{__version__}",
    ):
        assert part in signature
    assert document["systems"][0]["metrics"]["self_bleu"]["signature"] == signature


@pytest.mark.parametrize(
    ("arguments", "code", "fragments"),
    [
        (["--k", "10"], 1, ["one.jsonl:1: id 'a' has 4 samples, and --k asks for 10"]),
        (["--k", "ten"], 2, ["--k is 'ten'"]),
        (["--metrics", "bleurt"], 2, ["'bleurt' does not exist"]),
        (["--metrics", "rouge_l"], 1, ["rouge_l cannot be computed: no column `references` in", "one.jsonl", "Add the column"]),
        (["--metrics", "semantic_diversity"], 1, ["no sentence vectors, because of --no-encoder", "Leave --no-encoder out"]),
        (["--metrics", "human_recall@2"], 1, ["which the pipeline alone has. Leave human_recall@2 out"]),
        (["--metrics", "pass@9"], 1, ["one.jsonl:1 has 4 sample(s) per prompt, 9 are needed"]),
        (["--out", "one.jsonl"], 2, ["--out one.jsonl is a file"]),
        (["--out", "results/mine"], 2, ["--out results/mine lies in results/, which the pipeline owns"]),
        (["--base", "default"], 2, ["Give one of them"]),
        (["--n", "20", "--adapter", "a"], 2, ["evaluate --samples makes no use of --adapter, --n."]),
    ],
)
def test_errors(arguments, code, fragments, two):
    result = invoke("evaluate", "--samples", two[0], "--no-encoder", *arguments)
    assert isinstance(result.exception, PolychromicError) and result.exception.exit_code == code
    for fragment in fragments:
        assert fragment in str(result.exception)


def test_metrics_of_the_number_of_samples_read_equally_many(tmp_path):
    samples = ["red pear", "red pear", "blue fig", "green plum", "pink lime", "red pear"]
    one = write(tmp_path / "few.jsonl", *(GOOD | {"id": i, "samples": samples[:3], "valid": ["red pear"]} for i in "ab"))
    other = write(tmp_path / "lots.jsonl", *(GOOD | {"id": i, "samples": samples, "valid": ["red pear"]} for i in "ab"))
    result = invoke("evaluate", "--samples", one, "--samples", other, "--no-encoder", "--k", "1", "--json")
    document = json.loads(result.stdout)
    few, lots = (system["metrics"] for system in document["systems"])
    for name in ("self_bleu", "distinct_1", "distinct_2", "vocabulary", "compression_ratio"):
        assert lots[name]["n_samples"] == 3 and lots[name]["mean"] == few[name]["mean"] and "|n:3|" in lots[name]["signature"]
    assert (
        lots["pass@1"]["n_samples"] == 6
        and lots["pass@1"]["mean"] == pytest.approx(1 / 2)
        and few["pass@1"]["mean"] == pytest.approx(2 / 3)
    )
    assert document["signatures"]["pass@1"].split("|")[-2] == "n:3,6"
    (note,) = (note for note in document["notes"] if "samples per prompt differ" in note)
    assert "few has 3, lots has 6" in note and "read the first 3" in note and note in result.stderr
    rows = json.loads(invoke("compare", one, other, "--no-encoder", "--metrics", "self_bleu,pass@1", "--json").stdout)["contrasts"]
    assert [(r["metric"], r["n_samples_a"], r["n_samples_b"], r["delta"]) for r in rows] == [
        ("self_bleu", 3, 3, 0), ("pass@1", 3, 6, pytest.approx(1 / 6)),
    ]  # fmt: skip


def test_systems_of_other_prompts_are_tabulated_with_a_warning(tmp_path):
    files = many(tmp_path / "a.jsonl", 4, 1), many(tmp_path / "b.jsonl", 3, 2)
    result = invoke("evaluate", "--samples", files[0], "--samples", files[1], "--no-encoder", "--metrics", "pass@1", "--json")
    assert result.exit_code == 0 and "'a' and 'b' answer different prompts (1 of 'a' that 'b' lacks, such as 'q3')" in result.stderr
    assert any("do not compare their means" in note for note in json.loads(result.stdout)["notes"])


def test_a_prompt_with_empty_replies_on_any_line_costs_the_metrics_that_do_not_exist_for_it(tmp_path):
    path = write(tmp_path / "x.jsonl", GOOD, GOOD | {"id": "b"}, GOOD | {"id": "c", "samples": ["", " ", "", ""]})
    result = invoke("evaluate", "--samples", path, "--no-encoder", "--json")
    assert result.exit_code == 0, result.exception
    document = json.loads(result.stdout)
    scored = document["systems"][0]["metrics"]
    assert scored["pass@1"]["mean"] == pytest.approx((3 / 4 + 3 / 4 + 0) / 3) and scored["self_bleu"]["mean"] == pytest.approx(
        (2 * scored_alone(tmp_path) + 1) / 3
    ), "four empty replies are duplicates"
    (note,) = (note for note in document["notes"] if "only empty replies" in note)
    assert note.startswith("distinct_1, distinct_2, vocabulary, compression_ratio left out: ") and "x.jsonl:3: id 'c'" in note
    assert document["systems"][0]["n_empty"] == 4 and any("4 of 12 replies of 'x' are empty" in note for note in document["notes"])
    asked = invoke("evaluate", "--samples", path, "--no-encoder", "--metrics", "pass@1,vocabulary,distinct_1")
    assert "vocabulary, distinct_1 cannot be computed" in str(asked.exception) and "x.jsonl:3: id 'c'" in str(asked.exception)


def scored_alone(folder: Path) -> float:
    path = write(folder / "alone.jsonl", GOOD)
    result = invoke("evaluate", "--samples", path, "--no-encoder", "--metrics", "self_bleu", "--json")
    return json.loads(result.stdout)["systems"][0]["metrics"]["self_bleu"]["mean"]


def test_an_evaluation_of_its_own_replies_leaves_them_as_they_are(two, tmp_path):
    assert invoke("evaluate", "--samples", two[0], "--no-encoder", "--out", "run").exit_code == 0
    before = (tmp_path / "run" / "samples-one.jsonl").stat().st_mtime_ns
    assert invoke("evaluate", "--samples", "run/samples-one.jsonl", "--no-encoder", "--out", "run").exit_code == 0
    assert (tmp_path / "run" / "samples-one.jsonl").stat().st_mtime_ns == before


def points(*temperatures: float | None) -> list[dict]:
    value = {"mean": 0.5, "low": 0.4, "high": 0.6}
    return [
        {"system": f"mine{t}", "label": "mine" if t else f"s{place}", "temperature": t,
         "metrics": {"pass@1": value | {"mean": 0.5 - 0.01 * place}, "valid_distinct@3": value}}
        for place, t in enumerate(temperatures)
    ]  # fmt: skip


def notes_of(systems: list[dict]) -> list[str]:
    drawn = folder._evaluation_figures(systems, ["pass@1", "valid_distinct@3"])
    return [text.get_text() for text in drawn["quality-diversity"].axes[0].texts]


def test_marks_carry_a_temperature_where_there_is_one():
    assert notes_of(points(None, None)) == []
    assert notes_of(points(None, 0.7)) == ["$T$=0.7"], "once, although it is both ends of its curve"
    assert sorted(notes_of(points(1.0, 0.5, 0.7))) == ["$T$=0.7", "$T$=1"], "one curve; its ends in quality are named"


def test_names_with_signs_of_formulas_are_drawn(tmp_path):
    path = write(tmp_path / "x.jsonl", *(GOOD | {"system": "a$b@c", "temperature": t, "id": i} for t in (0.5, 1) for i in "pq"))
    assert invoke("evaluate", "--samples", path, "--no-encoder", "--out", tmp_path / "out").exit_code == 0
    assert "a\\$b at c at T=0.5" == folder._drawn_name("a$b@c@T=0.5")


def test_replies_stand_side_by_side(two):
    result = invoke("samples", *two, "--find", "fig")
    assert result.exit_code == 0, result.output
    assert "Name a fruit." in result.stdout and "Name a colour." not in result.stdout
    assert "\u2713 fig" in result.stdout and "one" in result.stdout and "best" in result.stdout
    missing = invoke("samples", *two, "--id", "zzz")
    assert isinstance(missing.exception, UsageError) and "no prompt fits --id 'zzz'" in str(missing.exception)
