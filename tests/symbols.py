"""Models over a handful of symbols and what training asks of a tokenizer: small enough to enumerate every reply."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from polychromic.models.load import attach_lora

KINDS = {"llama": (LlamaConfig, LlamaForCausalLM), "qwen3": (Qwen3Config, Qwen3ForCausalLM)}


class Symbols:
    """Token i is written as the i-th letter; 0 pads and the last one ends a reply, and neither of the two is written."""

    def __init__(self, size: int):
        self.pad_token_id, self.eos_token_id = 0, size - 1

    def batch_decode(self, rows: Sequence[Sequence[int]], skip_special_tokens: bool) -> list[str]:
        assert skip_special_tokens
        return ["".join(chr(97 + int(token)) for token in row if int(token) not in (self.pad_token_id, self.eos_token_id)) for row in rows]


def make_symbol_model(kind: str, vocabulary: int, seed: int = 0, spread: float = 0.3) -> torch.nn.Module:
    """A random causal LM with 2 layers of 16 and eager attention; `spread` of the weights makes its distributions uneven."""
    config_class, model_class = KINDS[kind]
    config = config_class(
        vocab_size=vocabulary,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=4,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        initializer_range=spread,
        bos_token_id=None,
        eos_token_id=vocabulary - 1,
        pad_token_id=0,
        attn_implementation="eager",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model_class(config).eval()


def make_adapted_model(kind: str, vocabulary: int, seed: int = 0, perturb: float = 0.1) -> torch.nn.Module:
    """The same with a LoRA adapter on every projection. `perturb` moves B away from 0, where A would have no gradient."""
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = attach_lora(make_symbol_model(kind, vocabulary, seed), 2, 4, names, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, parameter in lora_parameters(model):
            parameter += perturb * torch.randn(parameter.shape, generator=generator)
    return model


def lora_parameters(model: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
