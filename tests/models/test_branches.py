"""Two decoders, one result: the prompt's cache shared by its replies, or copied to each."""

from __future__ import annotations

import pytest
import torch

from polychromic.models.branches import Branches, Copies, reply_decoder
from polychromic.models.decode import causal_lm, pad_sequences, prefill
from tests.symbols import KINDS, PAD, V, make_adapted_model, make_symbol_model, use_float64

PROMPTS = [[3, 1, 4, 1, 5], [2, 7], [9, 2, 6, 5, 3, 5, 8]]
SPLITS = [  # which row each row goes on from: rows part, then a prompt ends, then its rows are uneven
    [0, 0, 0, 1, 2, 2],
    [0, 1, 1, 2, 4, 4, 5, 5, 5],
    [0, 3, 4, 5, 8],
    [4],
]


def decoders(model):
    start = prefill(model, *pad_sequences(PROMPTS, PAD, left=True))
    decoder = causal_lm(model).get_decoder()
    return [kind(decoder, start.keys_values, start.mask) for kind in (Branches, Copies)]


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_branches_copies_and_the_plain_model_agree(kind, monkeypatch):
    """The first step also against the whole text through the model, which knows no cache; of the prompts two are padded."""
    use_float64(monkeypatch)
    model = make_adapted_model(kind, V).double()
    for decoder in decoders(model):
        for prompt, token, state in zip(PROMPTS, (5, 6, 7), decoder.step(torch.tensor([5, 6, 7])), strict=True):
            text = torch.tensor([[*prompt, token]])
            plain = causal_lm(model).get_decoder()(input_ids=text, use_cache=False).last_hidden_state[0, -1]
            torch.testing.assert_close(state, plain, rtol=0, atol=1e-12)
    branches, copies = decoders(model)
    generator = torch.Generator().manual_seed(0)
    states = []
    for parent in SPLITS:
        token = torch.randint(1, V, (len(parent),), generator=generator)
        for decoder in (branches, copies):
            decoder.split(torch.tensor(parent))
        states = [decoder.step(token) for decoder in (branches, copies)]
        assert states[0].shape == (len(parent), 16)
        torch.testing.assert_close(*states, rtol=0, atol=1e-12)
    assert states[0].abs().max() > 0.1, "the comparison is of something"


@torch.no_grad()
def test_the_prompts_cache_is_not_copied():
    model = make_symbol_model("llama", V)
    branches, _ = decoders(model)
    before = [key.data_ptr() for key, _ in branches.keys_values]
    for parent in SPLITS:
        branches.split(torch.tensor(parent))
        branches.step(torch.ones(len(parent), dtype=torch.long))
    assert [key.data_ptr() for key, _ in branches.keys_values] == before
    assert branches.replies.layers[0].keys.shape[-2] == len(SPLITS), "a row holds its own reply alone"


@torch.no_grad()
def test_the_models_own_attention_returns():
    """After a step and after a step that failed: scoring and evaluation go through the attention that the user chose."""
    model = make_symbol_model("llama", V, attention="sdpa")
    branches, _ = decoders(model)
    branches.step(torch.tensor([1, 2, 3]))
    assert model.config._attn_implementation == "sdpa"
    with pytest.raises(IndexError):
        branches.step(torch.tensor([V + 5, 2, 3]))
    assert model.config._attn_implementation == "sdpa"


def test_a_model_of_another_kind_gets_copies():
    model = make_symbol_model("qwen3", V)
    start = prefill(model, *pad_sequences(PROMPTS, PAD, left=True))
    decoder = model.get_decoder()
    full, mixed = ["full_attention"] * 2, ["full_attention", "sliding_attention"]
    for kind, layers, expected in (
        ("qwen3", full, Branches),
        ("qwen3", mixed, Copies),
        ("llama", None, Branches),
        ("gemma2", None, Copies),
    ):
        decoder.config.model_type, decoder.config.layer_types = kind, layers
        assert isinstance(reply_decoder(decoder, start.keys_values, start.mask), expected)
