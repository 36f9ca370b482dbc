"""Replies drawn here: of a base model and adapters that fit it, kept, and refused where something is wrong before the first draw."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from peft import LoraConfig, get_peft_model
from tests.oneoff.test_evaluate import invoke
from tests.oneoff.test_inputs import GOOD, write
from transformers import AutoConfig, AutoModelForCausalLM

from polychromic.base.errors import PolychromicError
from polychromic.yours.evaluate import draw as drawing
from tests.tiny import make_tiny_model


@pytest.fixture
def model(tmp_path, monkeypatch) -> Path:
    """A tiny base model, two adapters made for it, three for other models, and six prompts."""
    monkeypatch.chdir(tmp_path)
    base = make_tiny_model(tmp_path / "base")
    for name in ("red", "blue"):
        make_adapter(base, tmp_path / name)
    make_adapter(base, tmp_path / "wide", hidden_size=64, num_attention_heads=8)
    make_adapter(base, tmp_path / "deep", num_hidden_layers=3)
    make_adapter(base, tmp_path / "shallow", num_hidden_layers=1)
    write(tmp_path / "data.jsonl", *({"id": f"q{i}", "prompt": f"Name {i} {{x}}", "valid": ["a"]} for i in range(6)))
    return tmp_path


def make_adapter(base: Path, path: Path, targets: tuple[str, ...] = ("q_proj",), **config: int) -> Path:
    """An adapter for a model like `base` with some sizes changed; its configuration names `base` all the same."""
    other = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base, **config))
    other.name_or_path = str(base)
    get_peft_model(other, LoraConfig(r=2, target_modules=list(targets), task_type="CAUSAL_LM")).save_pretrained(path)
    return path


def drawn(folder: Path, *more: object):  # noqa: ANN201
    fixed = "--base base --data data.jsonl --n 4 --max-new-tokens 4 --no-encoder --k 1,2 --metrics pass@2,distinct@2 --json".split()
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
        (["--adapter", "red", "--adapter", "wide", "--zero-shot"], ["wide: the adapter does not fit base: 4 tensors have another shape",
         "[2, 64] in the adapter, [2, 32] for the base", "It names", "the model that it was made for as --base"]),
        (["--adapter", "deep"], ["deep: the adapter does not fit base: the adapter has 3 blocks", "with 2 blocks, has no module",
                                 "layers.2.self_attn.q_proj"]),
        (["--adapter", "red", "--adapter", "shallow"], ["shallow: the adapter does not fit base: the base has 2 blocks",
                                                        "with 1 blocks, has none", "layers.1.self_attn.q_proj"]),
        (["--adapter", "elsewhere"], ["elsewhere: the adapter does not fit base: PEFT says: Target modules", "not found in the base"]),
        (["--adapter", "torn"], ["torn/adapter_model.safetensors: not a whole safetensors file"]),
        (["--adapter", "ia3"], ["ia3: an adapter of type 'IA3'. Allowed: LORA"]),
        (["--adapter", "zero_shot", "--zero-shot"], ["the systems are zero_shot, zero_shot: two of one name"]),
        (["--adapter", "base"], ["base: no adapter_config.json and no adapter_model.safetensors"]),
        (["--prompt", "nothing"], ["--prompt is 'nothing'"]),
        (["--prompt", "listqa/nothing"], ["prompt variant 'nothing' does not exist for listqa"]),
        (["--prompt", "bad.yaml"], ["bad.yaml: no prompt template"]),
        (["--data", "empty.jsonl"], ["empty.jsonl: the file holds no line"]),
        (["--data", "columns.jsonl"], ["columns.jsonl:1: prompt is None; columns found: question"]),
        (["--data", "some.jsonl"], ["some.jsonl:2: valid is [], and not on other lines"]),
        (["--data", "flags.jsonl"], ["flags.jsonl:1: valid holds booleans", "not drawn yet"]),
        (["--data", "lacks.jsonl"], ["lacks.jsonl:2: references is None, unlike on the first line"]),
    ],
)  # fmt: skip
def test_errors_before_the_first_draw(arguments, fragments, model):
    (model / "bad.yaml").write_text("system: hi\nask: no slot\n")
    (model / "empty.jsonl").write_text("")
    write(model / "columns.jsonl", {"question": "what?"})
    write(model / "some.jsonl", {"prompt": "a", "valid": ["x"]}, {"prompt": "b", "valid": []})
    write(model / "flags.jsonl", {"prompt": "a", "valid": [True, False]})
    write(model / "lacks.jsonl", {"prompt": "a", "references": ["x"]}, {"prompt": "b"})
    for name in ("elsewhere", "torn", "ia3", "zero_shot"):
        shutil.copytree(model / "red", model / name)
    change(model / "elsewhere", target_modules=["nothing"])
    change(model / "ia3", peft_type="IA3")
    weights = model / "torn" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-20])
    result = drawn(model / "out", *arguments)
    assert isinstance(result.exception, PolychromicError), result.output
    for fragment in fragments:
        assert fragment in str(result.exception)
    assert not list(model.glob("out/samples-*")), "nothing was drawn, of no system"


def change(adapter: Path, **values: object) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_the_base_that_an_adapter_names_is_told_and_decides_nothing(model):
    change(model / "red", base_model_name_or_path="someone/another")
    result = drawn(model / "out", "--adapter", "red", "--max-examples", 2)
    assert result.exit_code == 0 and "red fits base in names and shapes; it was made for 'someone/another'" in result.stderr
    assert drawn(model / "out-blue", "--adapter", "blue", "--max-examples", 2).stderr.count("fits") == 0


def test_adapters_of_other_kinds_of_modules_fit(model):
    from polychromic.yours.evaluate.adapters import check_adapters

    embedding = make_adapter(model / "base", model / "embedding", ("q_proj", "embed_tokens"))
    everything = make_adapter(model / "base", model / "everything", ("q_proj", "v_proj", "down_proj"))
    assert check_adapters([embedding, everything], "base", model / "base") == []


def test_an_adapter_of_another_scale_is_another_system(model):
    assert drawn(model / "out", "--adapter", "red").exit_code == 0
    change(model / "red", lora_alpha=64)
    assert "was begun with another adapter" in str(drawn(model / "out", "--adapter", "red").exception)


def test_prompts_of_which_nothing_is_known_to_be_right_are_no_wrong_ones(model):
    write(model / "open.jsonl", *({"prompt": f"Say {i}", "valid": []} for i in range(2)))
    result = drawn(model / "out", "--data", "open.jsonl")
    assert "no column `valid`" in str(result.exception), "pass@2 was asked for, and is not 0"
    assert all("valid" not in row for row in drawing.read_prompts(model / "open.jsonl", None))


def test_corrected_answers_reach_replies_that_are_there(model):
    assert drawn(model / "out").exit_code == 0
    path = model / "out" / "samples-zero_shot.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    write(model / "data.jsonl", *({"id": row["id"], "prompt": row["prompt"], "valid": [row["samples"][0] or "a"]} for row in rows))
    result = drawn(model / "out")
    assert result.exit_code == 0 and "prompts 1 to" not in result.stderr, "not drawn again"
    renewed = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["samples"] for row in renewed] == [row["samples"] for row in rows]
    assert all(row["valid"] == [old["samples"][0] or "a"] for row, old in zip(renewed, rows, strict=True))


def test_replies_of_somebody_else_are_not_gone_on_with(model):
    write(model / "zero_shot.jsonl", GOOD)
    assert invoke("evaluate", "--samples", "zero_shot.jsonl", "--no-encoder", "--out", "out").exit_code == 0
    assert "samples-zero_shot.jsonl was not drawn here" in str(drawn(model / "out").exception)


def test_two_runs_are_compared_by_their_folders(model):
    assert drawn(model / "cold", "--temperature", 0.5).exit_code == drawn(model / "warm").exit_code == 0
    rows = json.loads(invoke("compare", "cold", "warm", "--no-encoder", "--metrics", "distinct@2", "--json").stdout)["contrasts"]
    assert [(row["a"], row["b"]) for row in rows] == [("zero_shot@T=0.5", "zero_shot@T=1")]


def test_other_settings_do_not_go_on_with_what_was_begun(model):
    assert drawn(model / "out").exit_code == 0
    result = drawn(model / "out", "--temperature", 0.5)
    assert "was begun with another temperature" in str(result.exception)
