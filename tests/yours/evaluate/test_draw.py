"""Replies drawn here: of a base model and adapters that fit it, kept, and refused where something is wrong before the first draw."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from polychromic.base.errors import PolychromicError
from polychromic.sample.draw import sample_prompts
from polychromic.yours.evaluate import draw
from polychromic.yours.evaluate.draw import check_adapter
from tests.tiny import make_tiny_model
from tests.yours.evaluate.conftest import GOOD, compare, evaluate, invoke, read, write

OTHER = {"wide": {"hidden_size": 64, "num_attention_heads": 8}, "deep": {"num_hidden_layers": 3}, "shallow": {"num_hidden_layers": 1}}

DATA = {
    "empty": [], "columns": [{"question": "what?"}], "some": [{"prompt": "a", "valid": ["x"]}, {"prompt": "b", "valid": []}],
    "flags": [{"prompt": "a", "valid": [True, False]}],
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A tiny base model, adapters made for it, and others made for other models."""
    folder = tmp_path_factory.mktemp("made")
    make_tiny_model(folder / "base")
    for name in ("red", "blue", *OTHER):
        make_adapter(folder / "base", folder / name, **OTHER.get(name, {}))
    return folder


def make_adapter(base: Path, path: Path, targets: tuple[str, ...] = ("q_proj",), **config: int) -> Path:
    """An adapter for a model like `base` with some sizes changed; its configuration names `base` all the same."""
    other = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base, **config))
    other.name_or_path = str(base)
    get_peft_model(other, LoraConfig(r=2, target_modules=list(targets), task_type="CAUSAL_LM")).save_pretrained(path)
    return path


@pytest.fixture
def model(made, tmp_path, monkeypatch) -> Path:
    """The models and adapters, and six prompts."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    write(tmp_path / "data.jsonl", *({"id": f"q{i}", "prompt": f"Name {i} {{x}}", "valid": ["a"]} for i in range(6)))
    return tmp_path


@pytest.mark.parametrize("value", ["-1", "-0.001", "nan", "inf", "-inf"])
def test_a_temperature_below_zero_or_not_finite_is_refused(value, model):
    result = drawn("out", f"--temperature={value}")
    said = "a sampling temperature is a finite number of 0 or more; 0 takes the likeliest token"
    assert result.exit_code and str(result.exception).startswith(f"--temperature is {float(value):g}: {said}") and not Path("out").exists()


def drawn(folder: str | Path, more: str = "", n: int = 4) -> Result:
    fixed = f"--base base --data data.jsonl --n {n} --max-new-tokens 4 --no-encoder --k 1,2 --metrics pass@2,distinct@2 --json"
    return invoke("evaluate", *fixed.split(), "--out", folder, *more.split())


def change(adapter: Path, **values: object) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_base_and_adapters_are_drawn_once_and_evaluated(model):
    asked, kept = "--adapter red --adapter blue --zero-shot --max-examples 5", model / "out" / "samples-red.jsonl"
    result = drawn("out", asked)
    systems = json.loads(result.stdout)["systems"]
    assert [(s["system"], s["n_prompts"]) for s in systems] == [("zero_shot", 5), ("red", 5), ("blue", 5)]
    rows = read(kept)
    assert [row["id"] for row in rows] == [f"q{i}" for i in range(5)] and all(len(row["samples"]) == 4 for row in rows)
    before = kept.stat().st_mtime_ns
    assert drawn("out", asked).stdout == result.stdout and kept.stat().st_mtime_ns == before, "what is there is not drawn again"
    assert "was begun with another temperature" in str(drawn("out", asked + " --temperature 0.5").exception)
    change(model / "red", lora_alpha=64)
    assert "was begun with another adapter" in str(drawn("out", asked).exception)


def test_solved_examples_come_from_a_file_of_their_own(model):
    write(model / "solved.jsonl", {"prompt": "Name a {y}", "references": ["cat"]})
    assert [s["system"] for s in json.loads(drawn("out", "--few-shot solved.jsonl").stdout)["systems"]] == ["few_shot"]
    variant = draw.read_variant("listqa/zero_shot")
    chat = draw.chat(variant, "ask {z}", draw.read_exemplars(model / "solved.jsonl"))
    assert [message["content"] for message in chat] == [variant.system, "Name a {y}", "cat", "ask {z}"]


@pytest.mark.parametrize(("arguments", "fragments"), [
    ("--adapter red --adapter wide", ["wide does not fit base: size mismatch for", "[2, 64]", "[2, 32]", "It names",
     "as its base: give that model as --base"]),
    ("--adapter deep", ["deep does not fit base: 2 tensors for which the base has no module", "layers.2.self_attn.q_proj"]),
    ("--adapter red --adapter shallow", ["shallow does not fit base: 2 tensors are lacking", "layers.1.self_attn.q_proj"]),
    ("--adapter elsewhere", ["elsewhere does not fit base: Target modules", "not found in the base"]),
    ("--adapter torn", ["torn does not fit base: Error while deserializing header"]),
    ("--adapter ia3", ["ia3 does not fit base: an adapter of type 'IA3'. Allowed: a LoRA adapter"]),
    ("--adapter nonsense", ["nonsense does not fit base: nonsense/adapter_config.json: not JSON (Expecting property name"]),
    ("--adapter zero_shot --zero-shot", ["the systems are zero_shot, zero_shot: two of one name"]),
    ("--adapter base", ["base does not fit base: no adapter_config.json and no adapter_model.safetensors"]),
    ("--adapter pattern", ["pattern does not fit base: missing ), unterminated subpattern"]),
    ("--adapter endless", ["endless does not fit base: ", "Allowed: a LoRA adapter"]),
    ("--adapter deep-config", ["deep-config does not fit base: deep-config/adapter_config.json: nested more than 100 deep. Allow"]),
    ("--base deep-base", ["deep-base: the model cannot be read (maximum recursion depth", "Allowed: a causal language model"]),
    ("--base half-base", ["half-base: the model cannot be read (Expecting property name"]),
    ("--base torn-base", ["torn-base: the model cannot be read (Error while deserializing header"]),
    ("--base nosuch", ["--base nosuch: no such folder"]), ("--prompt nothing", ["--prompt is 'nothing'"]),
    ("--prompt listqa/nothing", ["prompt variant 'nothing' does not exist for listqa"]),
    ("--prompt bad.yaml", ["bad.yaml: no prompt template"]),
    ("--few-shot data.jsonl", ["data.jsonl:1: columns id, prompt", "a list of references, of which the first is shown"]),
    ("--data empty.jsonl", ["empty.jsonl: the file holds no line"]),
    ("--data columns.jsonl", ["columns.jsonl:1: no column 'prompt'; found: 'question'", "Add it"]),
    ("--data some.jsonl", ["some.jsonl:2: '1' has 1 samples, '0' at some.jsonl:1 has 1 samples, valid"]),
    ("--data flags.jsonl", ["flags.jsonl:1: valid is [True, False]", "one boolean for each of 1 samples"]),
])  # fmt: skip
def test_errors_before_the_first_draw(arguments, fragments, model):
    (model / "bad.yaml").write_text("system: hi\nask: no slot\n")
    for name, rows in DATA.items():
        write(model / f"{name}.jsonl", *rows)
    for name in ("elsewhere", "torn", "ia3", "zero_shot", "nonsense", "pattern", "endless", "deep-config"):
        shutil.copytree(model / "red", model / name)
    change(model / "pattern", target_modules="(((")
    change(model / "endless", r=10**400)
    (model / "deep-config" / "adapter_config.json").write_text("[" * 4000)
    broken = {"deep-base": ("config.json", "[" * 4000), "half-base": ("tokenizer.json", "{"), "torn-base": ("model.safetensors", "x")}
    for name, (file, text) in broken.items():
        if name in arguments:
            shutil.copytree(model / "base", model / name)
            (model / name / file).write_text(text)
    change(model / "elsewhere", target_modules=["nothing"])
    change(model / "ia3", peft_type="IA3")
    (model / "nonsense" / "adapter_config.json").write_text("{")
    weights = model / "torn" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-20])
    result = drawn("out", arguments)
    assert isinstance(result.exception, PolychromicError), result.output
    for fragment in fragments:
        assert fragment in str(result.exception)
    assert not list(model.glob("out/samples-*")), "nothing was drawn, of no system"


def test_adapters_of_other_kinds_of_modules_fit(model):
    embedding = make_adapter(model / "base", model / "embedding", ("q_proj", "embed_tokens"))
    everything = make_adapter(model / "base", model / "everything", ("q_proj", "v_proj", "down_proj"))
    change(embedding, base_model_name_or_path="someone/another")  # a name decides nothing
    for adapter in (embedding, everything):
        check_adapter(adapter, "base", model / "base")


def test_prompts_of_which_nothing_is_known_to_be_right_are_no_wrong_ones(model):
    write(model / "open.jsonl", *({"prompt": f"Say {i}", "valid": []} for i in range(2)))
    assert "no column `valid`" in str(drawn("out", "--data open.jsonl").exception), "pass@2 was asked for, and is not 0"
    assert draw.read_prompts(model / "open.jsonl", None) == [{"id": str(i), "prompt": f"Say {i}"} for i in range(2)]


def test_corrected_answers_reach_replies_that_are_there(model):
    path = model / "out" / "samples-zero_shot.jsonl"
    assert drawn("out").exit_code == 0
    rows = read(path)
    write(model / "data.jsonl", *({"id": row["id"], "prompt": row["prompt"], "valid": [row["samples"][0] or "a"]} for row in rows))
    assert "prompts 1 to" not in drawn("out").stderr, "not drawn again"
    assert read(path) == [row | {"valid": [row["samples"][0] or "a"]} for row in rows]


def test_runs_are_compared_by_their_folders_and_not_mixed_with_what_was_not_drawn(model):
    assert drawn("cold", "--temperature 0.5").exit_code == drawn("warm").exit_code == 0
    rows = json.loads(compare(Path("cold"), Path("warm"), more="--metrics distinct@2 --json").stdout)["contrasts"]
    assert [(row["a"], row["b"]) for row in rows] == [("zero_shot@T=0.5", "zero_shot@T=1")]
    assert evaluate(write(model / "zero_shot.jsonl", GOOD), out=model / "out").exit_code == 0
    assert "samples-zero_shot.jsonl was not drawn here" in str(drawn("out").exception)


@pytest.mark.parametrize("lines", [1, 3, 4])
def test_a_run_that_was_killed_goes_on_at_its_block(lines, model, monkeypatch):
    path, written = model / "out" / "samples-zero_shot.jsonl", []  # three blocks of two prompts
    spy = lambda *given, **named: written.append(path.read_bytes().count(b"\n")) or sample_prompts(*given, **named)
    with monkeypatch.context() as patched:
        patched.setattr("polychromic.sample.draw.sample_prompts", spy)
        assert drawn("out", n=draw.ROWS // 2).exit_code == 0
    assert written == [0, 2, 4], "a block is in the file before the next is drawn"
    calm = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    path.write_bytes(b"".join(calm[path.name].splitlines(keepends=True)[:lines]) + b'{"half a line')
    result = drawn("out", n=draw.ROWS // 2)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == calm
    assert int(re.search(r"zero_shot, prompts (\d+) to", result.stderr)[1]) == lines // 2 * 2 + 1, "not begun anew"
