"""Tiny random models in the formats of the real ones, made in a second: complete folders for `source: folder`.

The same arguments give the same bytes. They speak nonsense; what they test is everything around a model.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    RobertaConfig,
    RobertaModel,
)  # fmt: skip

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]  # ids 0 (pad, unk), 1 (bos), 2 (eos), as in SmolLM2
TEXTS = ("system user assistant", "Name one kind of fruit. apple banana pear", "Name a country that borders France. Spain Italy")


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with a ChatML template; any text survives a round trip."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    names = dict(bos_token=SPECIAL[1], eos_token=SPECIAL[2], pad_token=SPECIAL[0], unk_token=SPECIAL[0])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=CHATML, clean_up_tokenization_spaces=False, **names)


def make_tiny_model(folder: str | Path, kind: str = "llama", seed: int = 0, times: int = 1) -> Path:
    """Save a random causal LM (2 layers, hidden size 32, or `times` it) with its tokenizer in `folder`; `kind` is "llama" or "qwen3"."""
    config_class, model_class = {"llama": (LlamaConfig, LlamaForCausalLM), "qwen3": (Qwen3Config, Qwen3ForCausalLM)}[kind]
    tokenizer = tiny_tokenizer()
    sizes = dict(hidden_size=32 * times, intermediate_size=64 * times, head_dim=8 * times)
    sizes |= dict(num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
    tokens = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    config = config_class(vocab_size=len(tokenizer), max_position_embeddings=512, tie_word_embeddings=True, **sizes, **tokens)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = model_class(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Path(folder)


def make_tiny_encoder(folder: str | Path, seed: int = 0, kind: str = "bert", limit: int | None = 128) -> Path:
    """Save a random sentence encoder (2 layers, hidden size 16, 128 positions; mean pooling, unit norm) in `folder`.

    Args: kind is "bert" or "roberta", which starts its positions behind the padding's number; `limit`, its max_seq_length, None unsaid.
    """
    folder = Path(folder)
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    vocabulary = {token: index for index, token in enumerate(marks + letters + [f"##{letter}" for letter in letters])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), marks, strict=True))
    sizes = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, max_position_embeddings=128)
    config_class, model_class = {"bert": (BertConfig, BertModel), "roberta": (RobertaConfig, RobertaModel)}[kind]
    config = config_class(vocab_size=len(vocabulary), pad_token_id=0, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        bert = model_class(config)
    bare = folder.with_name(folder.name + "-bert")
    bert.save_pretrained(bare)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **({"model_max_length": limit} if limit else {}), **names).save_pretrained(bare)
    encoder = Transformer(str(bare), max_seq_length=limit)
    SentenceTransformer(modules=[encoder, Pooling(16, pooling_mode="mean"), Normalize()], device="cpu").save(str(folder))
    shutil.rmtree(bare)
    return folder


def make_tiny_gguf(model_folder: str | Path, path: str | Path, quantised: Sequence[str] = ()) -> Path:
    """Write the llama model of `model_folder` as a GGUF file, in float32 but for the tensors in `quantised` (Q4_1).

    Query and key rows are reordered as llama.cpp wants them for its rotary embedding: halves become pairs.
    """
    model = LlamaForCausalLM.from_pretrained(model_folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(model_folder)
    config, values = model.config, {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    writer = gguf.GGUFWriter(str(path), "llama")
    pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    bpe = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    facts = {
        "name": "tiny", "block_count": config.num_hidden_layers, "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size, "feed_forward_length": config.intermediate_size, "head_count": config.num_attention_heads,
        "head_count_kv": config.num_key_value_heads, "rope_freq_base": config.rope_parameters["rope_theta"],
        "layer_norm_rms_eps": config.rms_norm_eps, "vocab_size": config.vocab_size, "rope_dimension_count": config.head_dim,
        "tokenizer_model": "gpt2", "token_list": pieces, "token_types": [3 if piece in SPECIAL else 1 for piece in pieces],  # 3: control
        "token_merges": [" ".join(pair) for pair in bpe["merges"]], "bos_token_id": 1, "eos_token_id": 2, "unk_token_id": 0,
        "pad_token_id": 2, "chat_template": tokenizer.chat_template,  # as in SmolLM2's file the end of reply pads
    }  # fmt: skip
    for name, value in facts.items():
        getattr(writer, f"add_{name}")(value)
    names = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output"}
    names |= {"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
    names |= {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    tensors = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    for layer in range(config.num_hidden_layers):
        tensors |= {f"blk.{layer}.{there}.weight": f"model.layers.{layer}.{here}.weight" for here, there in names.items()}
    for there, here in tensors.items():
        value = values[here]
        heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(there.split(".")[-2])
        if heads:
            value = value.reshape(heads, 2, -1, value.shape[1]).swapaxes(1, 2).reshape(value.shape)
        if here in quantised:
            kind = gguf.GGMLQuantizationType.Q4_1
            writer.add_tensor(there, gguf.quants.quantize(np.ascontiguousarray(value), kind), raw_dtype=kind)
        else:
            writer.add_tensor(there, np.ascontiguousarray(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return Path(path)
