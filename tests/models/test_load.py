"""Models in memory: generation set-up, LoRA initialisation, embeddings, GGUF conversion; on tiny random models."""

from __future__ import annotations

import json

import gguf
import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_file
from polychromic.models.load import (  # fmt: skip
    GPU_BATCH,
    attach_lora,
    best_device,
    convert_gguf,
    cut_at,
    embed,
    load_causal_lm,
    load_encoder,
    rows_at_once,
    set_pad_token,
    tell_cut,
    usable_positions,
)
from tests.tiny import make_tiny_encoder, make_tiny_gguf, make_tiny_model, tiny_tokenizer

PROJECTIONS = ["q_proj", "v_proj"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "llama")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return load_encoder(make_tiny_encoder(tmp_path_factory.mktemp("tiny") / "encoder"))


def adapter(model) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items() if "lora_" in name}


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_model_is_ready_for_generation(tmp_path, kind):
    model, tokenizer = load_causal_lm(make_tiny_model(tmp_path / kind, kind), "bfloat16", "cpu")
    assert model.config.model_type == kind
    assert not model.training and model.dtype == torch.bfloat16 and model.config._attn_implementation == "eager" and model.config.use_cache
    assert tokenizer.padding_side == "left" and tokenizer.pad_token_id == model.generation_config.pad_token_id == 0
    assert tokenizer.eos_token == "<|im_end|>" != tokenizer.pad_token
    batch = tokenizer(["a", "a longer text"], padding=True, return_tensors="pt")
    assert batch["attention_mask"][0, 0] == 0 and batch["attention_mask"][0, -1] == 1


def test_a_gpu_is_taken_where_torch_sees_one_and_given_more_rows(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert best_device() == "cuda" and rows_at_once(40) == 40 * GPU_BATCH > 40
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert best_device() == "cpu" and rows_at_once(40) == 40


def test_tokenizer_without_chat_template_is_refused(tmp_path, tiny):
    model = LlamaForCausalLM.from_pretrained(tiny)
    model.save_pretrained(tmp_path / "bare")
    PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer().backend_tokenizer).save_pretrained(tmp_path / "bare")
    with pytest.raises(PolychromicError, match="no chat template and no eos token.*Instruct"):
        load_causal_lm(tmp_path / "bare", "float32", "cpu")


@pytest.mark.parametrize(
    ("pad", "unk", "expected"),
    [("<|im_end|>", None, "<|endoftext|>"), (None, "<|endoftext|>", "<|endoftext|>"), ("<|im_start|>", None, "<|im_start|>")],
)
def test_pad_token_is_not_the_end_of_reply(pad, unk, expected):
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tiny_tokenizer().backend_tokenizer, eos_token="<|im_end|>", pad_token=pad, unk_token=unk
    )
    set_pad_token(tokenizer)
    assert tokenizer.pad_token == expected


def test_lora_depends_on_its_seed_alone_and_leaves_the_global_generator(tiny):
    def attached(seed, disturbance):
        model, _ = load_causal_lm(tiny, "float32", "cpu")
        torch.manual_seed(disturbance)
        before = torch.get_rng_state()
        adapted = attach_lora(model, 4, 8, PROJECTIONS, seed)
        assert torch.equal(torch.get_rng_state(), before)
        return adapted

    first, again, other = adapter(attached(1, 10)), adapter(attached(1, 11)), adapter(attached(2, 10))
    assert len(first) == 2 * 2 * len(PROJECTIONS)  # layers x (A, B) x modules
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all(torch.equal(first[name], other[name]) == ("lora_B" in name) for name in first)
    assert all(not value.any() for name, value in first.items() if "lora_B" in name)


def test_lora_starts_as_the_base_model_and_adds_scaled_ba(tiny):
    model, tokenizer = load_causal_lm(tiny, "float32", "cpu")
    batch = tokenizer("Name a country", return_tensors="pt")
    with torch.no_grad():
        base = model(**batch).logits
        adapted = attach_lora(model, 4, 8, PROJECTIONS, 0)
        torch.testing.assert_close(adapted(**batch).logits, base, rtol=0, atol=0)
        layer = adapted.base_model.model.model.layers[1].self_attn.q_proj
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        assert a.shape == (4, 32) and b.shape == (32, 4)
        b.fill_(0.5)
        x = torch.linspace(-1, 1, 32)
        torch.testing.assert_close(layer(x) - layer.base_layer(x), (8 / 4) * b @ (a @ x))
    trainable = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    assert trainable and all("lora_" in name for name in trainable)
    dropouts = [module for module in adapted.modules() if isinstance(module, torch.nn.Dropout)]
    assert all(module.p == 0 for module in dropouts) and not adapted.training


def test_other_names_of_modules_are_refused(tiny):
    with pytest.raises(PolychromicError, match=r"no linear module named query.*Allowed: some of .*q_proj"):
        attach_lora(load_causal_lm(tiny, "float32", "cpu")[0], 4, 8, ["q_proj", "query"], 0)


def test_saved_adapter_loads_and_its_config_has_an_order(tmp_path, tiny):
    modules = ["v_proj", "q_proj", "up_proj", "k_proj", "o_proj"]
    adapted = attach_lora(load_causal_lm(tiny, "float32", "cpu")[0], 2, 4, modules, 3)
    adapted.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["target_modules"] == sorted(modules)
    loaded = PeftModel.from_pretrained(load_causal_lm(tiny, "float32", "cpu")[0], tmp_path)
    expected, got = adapter(adapted), adapter(loaded)
    assert expected.keys() == got.keys() and all(torch.equal(expected[name], got[name]) for name in expected)


def test_embeddings_have_unit_norm_and_equal_texts_equal_rows_encoded_once(encoder, monkeypatch):
    seen, encode = [], encoder.encode
    monkeypatch.setattr(encoder, "encode", lambda texts, **options: seen.extend(texts) or encode(texts, **options))
    texts = ["pear", "a country that borders France", "pear", "Apple", ""]
    rows = embed(encoder, texts, batch_size=2)
    assert rows.shape == (5, 16) and rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(rows[0], rows[2])
    assert np.abs(rows[0] - rows[3]).max() > 1e-3
    assert sorted(seen) == sorted(set(texts))
    np.testing.assert_array_equal(embed(encoder, texts[::-1], batch_size=2)[::-1], rows)


@pytest.mark.parametrize(("kind", "limit", "reads"), [("bert", 128, 128), ("bert", 20, 20), ("bert", None, 128), ("roberta", None, 127),
                                                      ("roberta", 128, 127), ("roberta", 20, 20)])  # fmt: skip
def test_an_encoder_reads_no_further_than_its_positions_and_the_cut_is_known(kind, limit, reads, tmp_path, capsys):
    """The tiny RoBERTa pads with number 0, so that its first position is never used."""
    encoder = load_encoder(make_tiny_encoder(tmp_path / "encoder", kind=kind, limit=limit))
    assert encoder.max_seq_length == reads and usable_positions(encoder[0].auto_model) == (127 if kind == "roberta" else 128)
    whole, more = "a " * (reads - 2), "a " * (reads - 1)  # and two marks
    assert cut_at(encoder, ["", "pear", whole, more, more + "pear", "\u00e9 " * 500]).tolist() == [0, 0, 0, reads, reads, reads]
    rows = embed(encoder, [whole, more, more + "pear"])
    np.testing.assert_allclose(rows, rows[:1].repeat(3, axis=0), atol=1e-5)
    capsys.readouterr()
    tell_cut("score toys", dict.fromkeys(["one", "two"], reads))
    tell_cut("score toys", {})
    said = f"score toys: 2 texts are longer than the {reads} tokens that the sentence encoder reads; what stands behind does not count"
    assert capsys.readouterr().err == f"{said} in its vectors\n"


def test_gguf_becomes_the_model_it_was_written_from(tmp_path, tiny):
    quantised = "model.layers.0.mlp.gate_proj.weight"
    source = make_tiny_gguf(tiny, tmp_path / "tiny.gguf", quantised=[quantised])
    torch.manual_seed(0)
    before = torch.get_rng_state()
    convert_gguf(source, tmp_path / "once")
    assert torch.equal(torch.get_rng_state(), before)
    convert_gguf(source, tmp_path / "twice")
    once, twice = ({path.name: sha256_file(path) for path in (tmp_path / name).iterdir()} for name in ("once", "twice"))
    assert once == twice

    original, (converted, tokenizer) = LlamaForCausalLM.from_pretrained(tiny), load_causal_lm(tmp_path / "once", "float32", "cpu")
    expected, got = original.state_dict(), converted.state_dict()
    assert expected.keys() == got.keys()
    kind = gguf.GGMLQuantizationType.Q4_1
    coarse = gguf.quants.dequantize(gguf.quants.quantize(expected[quantised].numpy(), kind), kind)
    assert 0 < np.abs(coarse - expected[quantised].numpy()).max() < 0.02  # 15 steps over the range of 32 values
    for name in expected:
        np.testing.assert_array_equal(got[name].numpy(), coarse if name == quantised else expected[name].numpy(), err_msg=name)
    assert not hasattr(converted.config, "quantization_config") and converted.dtype == torch.float32

    chat = [{"role": "user", "content": "Name one kind of fruit, né?"}]
    ours, theirs = (one.apply_chat_template(chat, add_generation_prompt=True) for one in (tokenizer, AutoTokenizer.from_pretrained(tiny)))
    assert ours["input_ids"] == theirs["input_ids"]
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert (converted.generation_config.eos_token_id, converted.generation_config.pad_token_id) == (2, 0)
