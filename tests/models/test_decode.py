"""Prefill, draws and decoding against the plain model: one forward pass over prompt and reply, no cache, no padding, no batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats as st
from transformers import AutoConfig, AutoModelForCausalLM

from polychromic.models.decode import BLOCK, causal_lm, check_head, draw, head, pad_sequences, prefill, sample, shared_beginning, uniforms
from tests.symbols import END, PAD, V, make_adapted_model, make_symbol_model, make_trainer

PROMPTS = [[3, 4, 5, 6, 7, 8], [9], [2, 2, 10]]
ALIKE = [[3, 4, 5, 6, 7, 8], [3, 4, 9], [3, 4, 5, 10]]
KINDS = ["llama", "qwen3"]
BELOW_ONE = 1.0 - 2.0**-24  # the largest float32 below 1


def rows_passed(model) -> list[tuple[int, int]]:
    """(rows, tokens) of every pass through the model from now on."""
    passes = []
    watch = lambda module, args, inputs: passes.append(tuple(inputs["input_ids"].shape))
    causal_lm(model).get_decoder().register_forward_pre_hook(watch, with_kwargs=True)
    return passes


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        (ALIKE, 2),
        (PROMPTS, 0),
        ([[3, 4, 5]], 0),
        ([[3, 4, 5]] * 3, 2),
        ([[3, 4], [3, 4, 5]], 1),
        ([[3], [3]], 0),
        ([[PAD, 4, 5], [PAD, 4]], 1),
    ],
)
def test_shared_beginning_leaves_every_prompt_a_token_of_its_own(prompts, expected):
    assert shared_beginning(*pad_sequences(prompts, PAD, left=True)) == expected


@pytest.mark.parametrize("prompts", [PROMPTS, ALIKE, [[3, 4, 5]] * 2], ids=["apart", "alike", "equal"])
@pytest.mark.parametrize("kind", KINDS)
def test_prefill_ends_where_the_plain_model_does_and_runs_a_common_beginning_once(kind, prompts):
    model = make_symbol_model(kind, V)
    passes = rows_passed(model)
    ids, mask = pad_sequences(prompts, PAD, left=True)
    start = prefill(model, ids, mask)
    prefilled = list(passes)
    logits = head(model, start.hidden)
    for row, prompt in enumerate(prompts):
        torch.testing.assert_close(logits[row], model(input_ids=torch.tensor([prompt])).logits[0, -1], rtol=0, atol=1e-5)
    assert start.mask.sum(-1).tolist() == [len(prompt) for prompt in prompts]
    shared = shared_beginning(ids, mask)
    assert prefilled == ([(1, shared)] if shared else []) + [(len(prompts), ids.shape[1] - shared)]
    assert bool(shared) == (prompts is not PROMPTS)


def chi_square(tokens: torch.Tensor, probability: np.ndarray) -> float:
    counts, expected = np.bincount(tokens.numpy(), minlength=len(probability)), probability * len(tokens)
    often = expected > 5
    assert counts[expected == 0].sum() == 0, "impossible tokens"
    observed, wanted = (np.append(values[often], values[~often].sum()) for values in (counts, expected))
    return float(st.chisquare(observed[wanted > 0], wanted[wanted > 0]).pvalue)


def drawn(logits: torch.Tensor, count: int, temperature: float = 1.0, seed: int = 1, **settings) -> torch.Tensor:
    """`count` draws from one row of logits (V,)."""
    return draw(logits[None], torch.zeros(count, dtype=torch.long), uniforms(count, 1, seed, "test")[:, 0], temperature, **settings)


def uneven(vocabulary: int) -> torch.Tensor:
    """Uneven logits in every block, the largest at the vocabulary's end, where the last block is padded."""
    logits = torch.tensor(np.random.default_rng(vocabulary).normal(scale=1.5, size=vocabulary), dtype=torch.float32)
    logits[-1] = logits.max() + 0.5
    return logits


@pytest.mark.parametrize("vocabulary", [7, BLOCK, BLOCK + 1, 3 * BLOCK - 17])
@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_draw_follows_the_softmax(vocabulary, temperature):
    logits = uneven(vocabulary)
    tokens = drawn(logits, 60_000, temperature)
    assert tokens.min() >= 0 and tokens.max() < vocabulary
    assert chi_square(tokens, torch.softmax(logits.double() / temperature, -1).numpy()) > 1e-3
    # the test can tell the temperatures apart
    assert chi_square(tokens, torch.softmax(logits.double() / (temperature * 1.2), -1).numpy()) < 1e-6


@pytest.mark.parametrize("min_p", [0.05, 0.3, 1.0])
def test_min_p_drops_what_it_must_and_renormalises(min_p):
    logits = uneven(2 * BLOCK + 9)
    probability = torch.softmax(logits.double(), -1).numpy()
    kept = np.where(probability >= min_p * probability.max(), probability, 0.0)
    kept /= kept.sum()
    assert 1 <= (kept > 0).sum() < len(kept) / 2
    tokens = drawn(logits, 40_000, min_p=min_p)
    assert (kept[tokens] > 0).all()
    if min_p < 1:
        assert len(tokens.unique()) > 3 and chi_square(tokens, kept) > 1e-3


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_the_last_uniform_below_one_and_zero_hit_possible_tokens(scale):
    """Impossible tokens stand at both ends, in blocks of their own and within blocks: where rounding would let a draw fall."""
    vocabulary = 40 * BLOCK + 3
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(200, vocabulary, generator=generator) * scale
    impossible = torch.rand(200, vocabulary, generator=generator) < 0.5
    impossible[:, : BLOCK + 7] = True
    impossible[:, -(2 * BLOCK + 5) :] = True
    logits[impossible] = -torch.inf
    for uniform in (BELOW_ONE, 1.0 - 2.0**-22, 0.0, 2.0**-40, 1.0):  # 1 itself is not drawn, but must do no harm
        tokens = draw(logits, torch.arange(200), torch.full((200,), uniform), 1.0)
        assert not impossible.gather(1, tokens[:, None]).any()


def test_uniforms_are_a_function_of_their_name_and_temperature_zero_ignores_them():
    logits = torch.randn(9, 2 * BLOCK + 5, generator=torch.Generator().manual_seed(0))
    for uniform in (0.0, 0.5, BELOW_ONE):
        assert torch.equal(draw(logits, torch.arange(9), torch.full((9,), uniform), 0.0), logits.argmax(-1))
    first, before = uniforms(50, 7, 3, "rollout", 0, 1), torch.random.get_rng_state()
    assert torch.equal(uniforms(50, 7, 3, "rollout", 0, 1), first) and torch.equal(torch.random.get_rng_state(), before)
    for other in ((4, "rollout", 0, 1), (3, "chosen", 0, 1), (3, "rollout", 1, 0)):
        assert not torch.equal(uniforms(50, 7, *other), first)


def sampled(model, index: list[int], seed: int = 0, horizon: int = 8, prompts=PROMPTS, uniform: torch.Tensor | None = None, **settings):
    start = prefill(model, *pad_sequences(prompts, PAD, left=True))
    numbers = uniforms(len(index), horizon, seed, "test") if uniform is None else uniform
    return sample(model, start, torch.tensor(index), numbers, end_tokens=[END], pad_token=PAD, **settings)


def replies_of(found) -> list[list[int]]:
    return [row[: int(length)].tolist() for row, length in zip(found.tokens, found.mask.sum(-1), strict=True)]


@pytest.mark.parametrize("prompts", [PROMPTS, ALIKE], ids=["apart", "alike"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_reply_is_the_inversion_of_its_own_uniforms_and_nothing_else(kind, prompts):
    """Token by token from the plain model; one at a time, in another order and all at once give the same replies."""
    model = make_symbol_model(kind, V, seed=2)
    index = [0, 0, 1, 2, 2, 2, 1] * 3
    numbers = uniforms(len(index), 6, 5, "test")
    found = sampled(model, index, prompts=prompts, uniform=numbers)
    replies = replies_of(found)
    assert len({len(reply) for reply in replies}) > 2
    for row, (prompt, reply) in enumerate(zip(index, replies, strict=True)):
        text = list(prompts[prompt])
        for t, token in enumerate(reply):
            logits = model(input_ids=torch.tensor([text]), use_cache=False).logits[0, -1].detach()
            expected = int(torch.searchsorted(torch.softmax(logits.double(), -1).cumsum(-1), numbers[row, t].double(), right=True))
            assert token == expected, (row, t)
            text.append(token)
        alone = sampled(model, [prompt], prompts=prompts, uniform=numbers[row : row + 1])
        assert replies_of(alone) == [reply]
    order = torch.randperm(len(index), generator=torch.Generator().manual_seed(0))
    shuffled = sampled(model, [index[i] for i in order], prompts=prompts, uniform=numbers[order])
    assert replies_of(shuffled) == [replies[i] for i in order]


def test_replies_that_begin_alike_share_their_computation():
    """One row per distinct (prompt, reply so far) that goes on: counted in what passes through the model."""
    model = make_symbol_model("llama", V, seed=2)
    passes = rows_passed(model)
    index = [0] * 40 + [1] * 40 + [2] * 40
    replies = replies_of(sampled(model, index, horizon=5))
    expected = []
    for t in range(1, 5):
        distinct = {(prompt, *reply[:t]) for prompt, reply in zip(index, replies, strict=True) if len(reply) > t}
        expected.append((len(distinct), 1))
    assert passes[1:] == expected
    assert expected[0][0] < 36 < 120 and max(rows for rows, _ in expected) > expected[0][0]
    passes.clear()
    same = sampled(model, [0] * 50, uniform=uniforms(1, 5, 1, "test").expand(50, -1))
    assert len({tuple(reply) for reply in replies_of(same)}) == 1 and all(rows == 1 for rows, _ in passes[1:])


def test_end_token_mask_and_finished_agree():
    model = make_symbol_model("llama", V, seed=3, spread=0.1)
    found = sampled(model, [0, 1, 2] * 40, horizon=5)
    assert found.tokens.shape == found.mask.shape == (120, max(found.mask.sum(-1)))
    ends = [length for length, done in zip(found.mask.sum(-1).tolist(), found.finished.tolist(), strict=True) if done]
    assert 1 in ends and 5 in ends, "an end at once and one at the horizon"
    for tokens, mask, done in zip(found.tokens.tolist(), found.mask.tolist(), found.finished.tolist(), strict=True):
        length = sum(mask)
        assert length >= 1 and mask == [1] * length + [0] * (len(mask) - length)
        assert (END in tokens[:length]) == done
        assert END not in tokens[: length - 1]
        assert done or length == 5, "only the horizon cuts a reply that did not end"
        assert tokens[length:] == [PAD] * (len(tokens) - length)


def test_a_reply_ends_at_the_first_of_several_ends():
    """It is the reply that one end gives, cut where another one comes first; the pad may be among them."""
    model, ends = make_symbol_model("llama", V, seed=3, spread=0.1), {END, PAD, 4}
    start, index = prefill(model, *pad_sequences(PROMPTS, PAD, left=True)), torch.tensor([0, 1, 2] * 40)
    long, cut = (sample(model, start, index, uniforms(120, 8, 0, "test"), end_tokens=some, pad_token=PAD) for some in ([V + 1], [*ends]))
    assert not long.finished.any() and cut.finished.any() and not cut.finished.all()
    used = set()
    for whole, tokens, mask, content in zip(long.tokens.tolist(), cut.tokens.tolist(), cut.mask.tolist(), cut.contents(), strict=True):
        at = next((place for place, token in enumerate(whole) if token in ends), 7)
        used |= {whole[at]} & ends
        assert tokens[: at + 1] == whole[: at + 1] and sum(mask) == at + 1
        assert content == (whole[:at] if whole[at] in ends else whole)
    assert used == ends


def test_sampling_leaves_the_prefill_as_it_was():
    """The cache of the samples is a copy: the reference reply is scored from the same prefill afterwards."""
    model = make_symbol_model("llama", V)
    start = prefill(model, *pad_sequences(PROMPTS, PAD, left=True))
    before = [tensor.clone() for layer in start.keys_values for tensor in layer]
    sample(model, start, torch.tensor([0, 1, 1]), uniforms(3, 4, 0, "test"), end_tokens=[END], pad_token=PAD)
    assert all(map(torch.equal, before, (tensor for layer in start.keys_values for tensor in layer)))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("granite", {"logits_scaling": 8.0}), ("cohere", {"logit_scale": 0.0625}), ("gemma2", {"final_logit_softcapping": 1.0})],
)
def test_a_model_that_scales_or_caps_its_logits_is_refused(kind, settings, tmp_path):
    sizes = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=4)
    torch.manual_seed(0)
    other = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(kind, vocab_size=V, pad_token_id=0, initializer_range=0.3, **sizes, **settings)
    )
    for check in (lambda: check_head(other), lambda: make_trainer(tmp_path, model=other)):
        with pytest.raises(ValueError, match=r"ForCausalLM changes its logits after the head \(by up to .*\).*Llama or Qwen3"):
            check()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_model_under_peft_whose_logits_are_the_heads_passes_and_keeps_its_mode(kind, precision):
    model = make_adapted_model(kind, V).to(precision).train()
    check_head(model)
    assert model.training and model.get_base_model().training
    assert type(causal_lm(model)) is type(make_symbol_model(kind, V)) and any(
        "lora_A" in name for name, _ in causal_lm(model).named_parameters()
    )
