"""The practitioner's door, by its commands: values by hand, files written, clear errors, resumed draws."""

from __future__ import annotations

import json
from math import comb
from pathlib import Path

import pytest
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from polychromic.cli import app
from polychromic.errors import PolychromicError, UsageError
from polychromic.oneoff import draw as drawing
from tests.oneoff.test_inputs import GOOD, write
from tests.tiny import make_tiny_model
from tests.workspace import REPOSITORY


def invoke(*arguments: object):  # noqa: ANN201
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def two(tmp_path, monkeypatch) -> tuple[Path, Path]:
    """Two systems on two prompts, four samples each: three and four of four valid, then half and half."""
    monkeypatch.chdir(tmp_path)
    other = {"id": "b", "prompt": "Name a fruit.", "valid": ["fig"]}
    one = write(tmp_path / "one.jsonl", GOOD, other | {"samples": ["fig", "fig", "car", "x"]})
    best = write(
        tmp_path / "best.jsonl", GOOD | {"samples": ["red", "blue", "green", "red"]}, other | {"samples": ["fig", "car", "fig", "y"]}
    )
    return one, best


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
    assert "k = 5, 10 left out: " in result.stderr and "rouge_l left out" in result.stderr


def test_files_and_figures_are_written_and_the_same_twice(two, tmp_path):
    arguments = ["evaluate", "--samples", two[0], "--samples", two[1], "--no-encoder", "--out", tmp_path / "out"]
    assert invoke(*arguments).exit_code == 0
    names = {"evaluation.json", "table.csv", "table.tex", "passk.pdf", "passk.svg", "quality-diversity.pdf", "quality-diversity.svg"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    before = {name: (tmp_path / "out" / name).read_bytes() for name in names}
    assert invoke(*arguments).exit_code == 0
    assert {name: (tmp_path / "out" / name).read_bytes() for name in names} == before
    lines = (tmp_path / "out" / "table.csv").read_text().splitlines()
    assert lines[0] == "system,n_prompts,n_samples,metric,mean,low,high" and lines[1].startswith("one,2,4,pass@1,0.625,")
    assert r"\toprule" in (tmp_path / "out" / "table.tex").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "fragments"),
    [
        (["--k", "10"], 1, ["one.jsonl:1: id 'a' has 4 samples, and --k asks for 10"]),
        (["--k", "ten"], 2, ["--k is 'ten'"]),
        (["--metrics", "bleurt"], 2, ["'bleurt' does not exist"]),
        (["--metrics", "rouge_l"], 1, ["one.jsonl:1: rouge_l reads references", "Add the column `references`"]),
        (["--metrics", "semantic_diversity"], 1, ["reads vectors", "Leave --no-encoder out"]),
        (["--out", "results/mine"], 2, ["--out results/mine lies in results/, which the pipeline owns"]),
        (["--base", "default"], 2, ["Give one of them"]),
    ],
)
def test_errors(arguments, code, fragments, two):
    result = invoke("evaluate", "--samples", two[0], "--no-encoder", *arguments)
    assert isinstance(result.exception, PolychromicError) and result.exception.exit_code == code
    for fragment in fragments:
        assert fragment in str(result.exception)


def test_compare_tests_every_pair(two):
    result = invoke("compare", *two, "--no-encoder", "--metrics", "pass@1,valid_distinct@2", "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [(r["a"], r["b"], r["metric"]) for r in rows] == [("one", "best", "pass@1"), ("one", "best", "valid_distinct@2")]
    assert rows[0]["delta"] == pytest.approx(-1 / 8) and rows[0]["permutation_exact"] and rows[0]["n_prompts"] == 2
    assert rows[0]["p_holm"] == rows[0]["p_permutation"] and rows[1]["p_holm"] is None


def test_compare_needs_two(two):
    result = invoke("compare", two[0])
    assert isinstance(result.exception, UsageError) and "has one system, 'one'" in str(result.exception)


def test_replies_stand_side_by_side(two):
    result = invoke("samples", *two, "--find", "fig")
    assert result.exit_code == 0, result.output
    assert "Name a fruit." in result.stdout and "Name a colour." not in result.stdout
    assert "\u2713 fig" in result.stdout and "one" in result.stdout and "best" in result.stdout
    missing = invoke("samples", *two, "--id", "zzz")
    assert isinstance(missing.exception, UsageError) and "no prompt fits --id 'zzz'" in str(missing.exception)


# replies drawn here


@pytest.fixture
def model(tmp_path, monkeypatch) -> Path:
    """A tiny base model, two adapters made for it, one for a larger model, and six prompts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    base = make_tiny_model(tmp_path / "base")
    for name, rank in (("red", 2), ("blue", 2)):
        model = AutoModelForCausalLM.from_pretrained(base)
        get_peft_model(model, LoraConfig(r=rank, target_modules=["q_proj"], task_type="CAUSAL_LM")).save_pretrained(tmp_path / name)
    config = json.loads((base / "config.json").read_text())
    config |= {"hidden_size": 64, "num_attention_heads": 8}
    large = AutoModelForCausalLM.from_config(type(AutoModelForCausalLM.from_pretrained(base).config)(**config))
    get_peft_model(large, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")).save_pretrained(tmp_path / "large")
    write(tmp_path / "data.jsonl", *({"id": f"q{i}", "prompt": f"Name {i} {{x}}", "valid": ["a"]} for i in range(6)))
    return tmp_path


def drawn(folder: Path, *more: object):  # noqa: ANN201
    fixed = [
        "--base",
        "base",
        "--data",
        "data.jsonl",
        "--n",
        4,
        "--max-new-tokens",
        4,
        "--no-encoder",
        "--k",
        "1,2",
        "--metrics",
        "pass@2,distinct@2",
        "--json",
    ]
    return invoke("evaluate", *fixed, "--out", folder, *more)


def test_base_and_adapters_are_drawn_once_and_evaluated(model):
    result = drawn(model / "out", "--adapter", "red", "--adapter", "blue", "--zero-shot", "--max-examples", 5)
    assert result.exit_code == 0, result.output
    systems = json.loads(result.stdout)["systems"]
    assert [(s["system"], s["n_prompts"]) for s in systems] == [("zero_shot", 5), ("red", 5), ("blue", 5)]
    rows = [json.loads(line) for line in (model / "out" / "samples-red.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"q{i}" for i in range(5)] and all(len(row["samples"]) == 4 for row in rows)
    before = (model / "out" / "samples-red.jsonl").stat().st_mtime_ns
    assert drawn(model / "out", "--adapter", "red", "--adapter", "blue", "--zero-shot", "--max-examples", 5).stdout == result.stdout
    assert (model / "out" / "samples-red.jsonl").stat().st_mtime_ns == before, "what is there is not drawn again"


@pytest.mark.parametrize("cut", [0, 1, 200, -1])
def test_a_run_that_was_cut_ends_with_the_same_bytes(cut, model, monkeypatch):
    monkeypatch.setattr(drawing, "ROWS", 8)  # blocks of two prompts
    assert drawn(model / "whole").exit_code == 0
    whole = (model / "whole" / "samples-zero_shot.jsonl").read_bytes()
    assert drawn(model / "cut").exit_code == 0
    path = model / "cut" / "samples-zero_shot.jsonl"
    path.write_bytes(whole[: cut or None][: -1 if cut == -1 else None] if cut else b"")
    assert drawn(model / "cut").exit_code == 0
    assert path.read_bytes() == whole


def test_solved_examples_come_from_a_file_of_their_own(model):
    write(model / "solved.jsonl", {"prompt": "Name a {y}", "references": ["cat"]})
    result = drawn(model / "out", "--few-shot", "solved.jsonl")
    assert [s["system"] for s in json.loads(result.stdout)["systems"]] == ["few_shot"]
    variant = drawing.read_variant("listqa/zero_shot")
    assert [m["content"] for m in drawing.chat(variant, "ask {z}", [("Name a {y}", "cat")])] == [
        variant.system,
        "Name a {y}",
        "cat",
        "ask {z}",
    ]


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["--adapter", "large"], ["large: the adapter does not fit base", "size mismatch"]),
        (["--adapter", "base"], ["base: no adapter_config.json and no adapter_model.safetensors"]),
        (["--prompt", "nothing"], ["--prompt is 'nothing'"]),
        (["--prompt", "listqa/nothing"], ["prompt variant 'nothing' does not exist for listqa"]),
        (["--prompt", "bad.yaml"], ["bad.yaml: no prompt template"]),
        (["--data", "empty.jsonl"], ["empty.jsonl: the file holds no line"]),
        (["--data", "columns.jsonl"], ["columns.jsonl:1: prompt is None; columns found: question"]),
    ],
)
def test_errors_before_the_first_draw(arguments, fragments, model):
    (model / "bad.yaml").write_text("system: hi\nask: no slot\n")
    (model / "empty.jsonl").write_text("")
    write(model / "columns.jsonl", {"question": "what?"})
    result = drawn(model / "out", *arguments)
    assert isinstance(result.exception, PolychromicError), result.output
    for fragment in fragments:
        assert fragment in str(result.exception)
    assert not list((model / "out").glob("samples-*.jsonl"))


def test_other_settings_do_not_go_on_with_what_was_begun(model):
    assert drawn(model / "out").exit_code == 0
    result = drawn(model / "out", "--temperature", 0.5)
    assert "was begun with another temperature" in str(result.exception)
