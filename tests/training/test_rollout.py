"""Rollouts against the plain model: one forward pass over prompt and reply, no cache, no padding, no batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats as st

from polychromic.training import rollout
from polychromic.training.rollout import BLOCK, causal_lm, draw, log_probs, prefill, sample
from polychromic.training.trainer import pad_sequences
from tests.symbols import lora_parameters, make_adapted_model, make_symbol_model

V, END, PAD = 12, 11, 0
PROMPTS = [[3, 4, 5, 6, 7, 8], [9], [2, 2, 10]]
KINDS = ["llama", "qwen3"]
# (number of the prompt, reply): with and without an end, of one token, every prompt twice and not in a row
ROWS = [(0, [4, 5, END]), (2, [7, 7, 7, 8]), (1, [END]), (0, [1, 2, 3, 4]), (1, [6]), (2, [7, 7, 7, END])]


def plain_log_probs(model, prompt: list[int], reply: list[int]) -> torch.Tensor:
    """log pi of each reply token by the full text through the model."""
    logits = model(input_ids=torch.tensor([prompt + reply]), use_cache=False).logits[0]
    table = torch.log_softmax(logits.float(), dim=-1)
    return torch.stack([table[len(prompt) - 1 + t, token] for t, token in enumerate(reply)])


def shared_log_probs(model, rows=ROWS) -> tuple[torch.Tensor, torch.Tensor]:
    ids, mask = pad_sequences(PROMPTS, PAD, left=True)
    tokens, reply_mask = pad_sequences([reply for _, reply in rows], PAD, left=False)
    index = torch.tensor([prompt for prompt, _ in rows])
    return log_probs(model, prefill(model, ids, mask), index, tokens, reply_mask), reply_mask


@pytest.mark.parametrize("kind", KINDS)
def test_shared_prefix_has_the_values_and_gradients_of_the_plain_path(kind):
    model = make_adapted_model(kind, V)
    shared, mask = shared_log_probs(model)
    plain = [plain_log_probs(model, PROMPTS[prompt], reply) for prompt, reply in ROWS]
    for row, expected in enumerate(plain):
        torch.testing.assert_close(shared[row, : len(expected)], expected, rtol=0, atol=1e-5)
    assert (shared[mask == 0] == 0).all() and (mask == 0).any()

    weights = torch.tensor([1.0, -0.7, 0.4, 0.9, -1.3, 0.6])
    names, parameters = zip(*lora_parameters(model), strict=True)
    found = torch.autograd.grad((shared.sum(-1) * weights).sum(), parameters)
    expected = torch.autograd.grad(sum(w * p.sum() for w, p in zip(weights, plain, strict=True)), parameters)
    assert len(names) == 2 * 7 * 2
    for name, a, b in zip(names, found, expected, strict=True):
        assert b.abs().max() > 1e-3, name
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_gradient_of_the_prompt_is_seen(kind):
    """The mutant that scores the samples from the detached cache: equal values, other gradients."""
    model = make_adapted_model(kind, V)
    parameters = [parameter for _, parameter in lora_parameters(model)]
    right = torch.autograd.grad(shared_log_probs(model)[0].sum(), parameters)
    rows = rollout.Prefill.rows
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollout.Prefill, "rows", lambda self, index, detach=False: rows(self, index, detach=True))
        values = shared_log_probs(model)[0]
    wrong = torch.autograd.grad(values.sum(), parameters)
    torch.testing.assert_close(values, shared_log_probs(model)[0])
    assert max((a - b).abs().max() for a, b in zip(right, wrong, strict=True)) > 1e-2


def test_replies_of_one_token_do_not_pass_through_the_model_again(monkeypatch):
    model = make_symbol_model("llama", V)
    ids, mask = pad_sequences(PROMPTS, PAD, left=True)
    start = prefill(model, ids, mask)
    monkeypatch.setattr(rollout, "last_hidden", lambda *a, **k: pytest.fail("a second pass"))
    found = log_probs(model, start, torch.tensor([0, 1, 1]), torch.tensor([[4], [END], [3]]), torch.ones(3, 1, dtype=torch.long))
    expected = torch.stack([plain_log_probs(model, PROMPTS[p], [t]) for p, t in ((0, 4), (1, END), (1, 3))])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_causal_lm_finds_the_model_under_peft_with_its_adapter():
    plain, adapted = make_symbol_model("llama", V), make_adapted_model("llama", V)
    assert causal_lm(plain) is plain
    inner = causal_lm(adapted)
    assert type(inner) is type(plain)
    assert any("lora_A" in name for name, _ in inner.named_parameters())


# draw


def chi_square(tokens: torch.Tensor, probability: np.ndarray) -> float:
    counts = np.bincount(tokens.numpy(), minlength=len(probability))
    expected = probability * len(tokens)
    often = expected > 5
    observed = np.append(counts[often], counts[~often].sum())
    wanted = np.append(expected[often], expected[~often].sum())
    if wanted[-1] == 0:
        observed, wanted = observed[:-1], wanted[:-1]
    return float(st.chisquare(observed, wanted).pvalue)


@pytest.mark.parametrize("vocabulary", [7, BLOCK, BLOCK + 1, 3 * BLOCK - 17])
@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_draw_follows_the_softmax(vocabulary, temperature):
    """Uneven probabilities in every block, the largest at the vocabulary's end, where the last block is padded."""
    rng = np.random.default_rng(vocabulary)
    logits = torch.tensor(rng.normal(scale=1.5, size=vocabulary), dtype=torch.float32)
    logits[-1] = logits.max() + 0.5
    probability = torch.softmax(logits.double() / temperature, -1).numpy()
    tokens = draw(logits.expand(60_000, -1), temperature, torch.Generator().manual_seed(1))
    assert tokens.min() >= 0 and tokens.max() < vocabulary
    assert chi_square(tokens, probability) > 1e-3
    # the test can tell the temperatures apart
    other = torch.softmax(logits.double() / (temperature * 1.2), -1).numpy()
    assert chi_square(tokens, other) < 1e-6


def test_rows_are_drawn_independently():
    logits = torch.zeros(40_000, 2)
    pairs = draw(logits, 1.0, torch.Generator().manual_seed(0)).view(-1, 2)
    assert chi_square(pairs[:, 0] * 2 + pairs[:, 1], np.full(4, 0.25)) > 1e-3


def test_impossible_tokens_are_never_drawn():
    logits = torch.full((20_000, BLOCK + 3), -torch.inf)
    logits[:, [5, BLOCK + 1]] = 0.0
    tokens = draw(logits, 1.0, torch.Generator().manual_seed(0))
    assert set(tokens.tolist()) == {5, BLOCK + 1}
    assert chi_square((tokens > 5).long(), np.array([0.5, 0.5])) > 1e-3


def test_temperature_zero_is_the_argmax_and_draws_nothing():
    logits = torch.randn(9, 2 * BLOCK + 5, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state()
    assert torch.equal(draw(logits, 0.0, generator), logits.argmax(-1))
    assert torch.equal(generator.get_state(), before)


def test_draws_come_from_the_generator_given():
    logits = torch.zeros(50, 100)
    first = draw(logits, 1.0, torch.Generator().manual_seed(5))
    state = torch.random.get_rng_state()
    torch.manual_seed(99)
    assert torch.equal(draw(logits, 1.0, torch.Generator().manual_seed(5)), first)
    assert not torch.equal(draw(logits, 1.0, torch.Generator().manual_seed(6)), first)
    torch.random.set_rng_state(state)


# sample


def sampled(model, index: list[int], temperature: float, seed: int = 0, horizon: int = 8, prompts=PROMPTS):
    ids, mask = pad_sequences(prompts, PAD, left=True)
    return sample(
        model,
        prefill(model, ids, mask),
        torch.tensor(index),
        end_token=END,
        pad_token=PAD,
        max_new_tokens=horizon,
        temperature=temperature,
        generator=torch.Generator().manual_seed(seed),
    )


def replies_of(found) -> list[list[int]]:
    return [row[: int(length)].tolist() for row, length in zip(found.tokens, found.mask.sum(-1), strict=True)]


@torch.no_grad()
def greedy(model, prompt: list[int], horizon: int) -> list[int]:
    """The most probable reply, each token by the full text through the model."""
    reply: list[int] = []
    while len(reply) < horizon and reply[-1:] != [END]:
        reply.append(int(model(input_ids=torch.tensor([prompt + reply]), use_cache=False).logits[0, -1].argmax()))
    return reply


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_decoding_equals_a_loop_without_cache_while_rows_leave_the_batch(kind):
    """Prompts chosen so that some rows end early and others go on: dropping a row must not move its neighbours."""
    horizon = 6
    model = make_symbol_model(kind, V, seed=1)
    rng = np.random.default_rng(0)
    prompts = [rng.integers(1, END, size=size).tolist() for size in rng.integers(1, 8, size=60)]
    expected = [greedy(model, prompt, horizon) for prompt in prompts]
    lengths = {len(reply) for reply in expected if reply[-1] == END}
    assert len(lengths) >= 2 and any(reply[-1] != END for reply in expected), "no variety: choose another seed"
    found = sampled(model, list(range(60)), 0.0, horizon=horizon, prompts=prompts)
    assert replies_of(found) == expected
    assert found.finished.tolist() == [reply[-1] == END for reply in expected]


@pytest.mark.parametrize("kind", KINDS)
def test_every_sampled_token_was_drawn_from_its_own_conditional(kind, monkeypatch):
    """The logits that each draw saw, row by row, against the plain model on prompt and tokens so far, with rows that end and repeat."""
    model, seen = make_symbol_model(kind, V, seed=2), []

    def watched(logits, temperature, generator):
        seen.append(logits)
        return draw(logits, temperature, generator)

    monkeypatch.setattr(rollout, "draw", watched)
    index = [0, 0, 1, 2, 2, 2, 1] * 3
    found = sampled(model, index, 1.0, horizon=6)
    replies = replies_of(found)
    assert len({len(reply) for reply in replies}) > 2
    checked = 0
    for t, logits in enumerate(seen):
        alive = [row for row, reply in enumerate(replies) if len(reply) > t]
        assert len(alive) == len(logits)
        for place, row in enumerate(alive):
            text = torch.tensor([PROMPTS[index[row]] + replies[row][:t]])
            expected = model(input_ids=text, use_cache=False).logits[0, -1]
            torch.testing.assert_close(logits[place], expected, rtol=0, atol=1e-5)
            checked += 1
    assert checked == sum(map(len, replies))


def test_end_token_mask_and_finished_agree():
    model = make_symbol_model("llama", V, seed=3, spread=0.1)
    found = sampled(model, [0, 1, 2] * 40, 1.0, horizon=5)
    assert found.tokens.shape == found.mask.shape and found.tokens.shape[1] <= 5
    ends = [length for length, done in zip(found.mask.sum(-1).tolist(), found.finished.tolist(), strict=True) if done]
    assert 1 in ends and 5 in ends, "an end at once and one at the horizon"
    for tokens, mask, done in zip(found.tokens.tolist(), found.mask.tolist(), found.finished.tolist(), strict=True):
        length = sum(mask)
        assert length >= 1 and mask == [1] * length + [0] * (len(mask) - length)
        assert (END in tokens[:length]) == done
        assert END not in tokens[: length - 1]
        assert done or length == 5, "only the horizon cuts a reply that did not end"
        assert tokens[length:] == [PAD] * (len(tokens) - length)


def test_tokens_are_cut_to_the_longest_reply(monkeypatch):
    monkeypatch.setattr(rollout, "draw", lambda logits, temperature, generator: torch.full((len(logits),), END))
    found = sampled(make_symbol_model("llama", V), [0, 1, 2], 1.0)
    assert found.tokens.tolist() == [[END]] * 3 and found.mask.tolist() == [[1]] * 3 and found.finished.all()


def test_sampling_reads_its_generator_alone_and_leaves_the_global_state():
    model = make_symbol_model("llama", V, spread=0.1)
    first = sampled(model, [0, 1, 2] * 5, 1.0, seed=4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1234)
        before = torch.random.get_rng_state()
        again = sampled(model, [0, 1, 2] * 5, 1.0, seed=4)
        assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.tokens, again.tokens)
    other = sampled(model, [0, 1, 2] * 5, 1.0, seed=5)
    assert replies_of(first) != replies_of(other)


def test_sampling_leaves_the_prefill_as_it_was():
    """The cache of the samples is a copy: the reference reply is scored from the same prefill afterwards."""
    model = make_symbol_model("llama", V)
    ids, mask = pad_sequences(PROMPTS, PAD, left=True)
    start = prefill(model, ids, mask)
    before = [(key.clone(), value.clone()) for key, value in start.keys_values]
    sample(
        model, start, torch.tensor([0, 1, 1]), end_token=END, pad_token=PAD, max_new_tokens=4, temperature=1.0, generator=torch.Generator()
    )
    for (key, value), (old_key, old_value) in zip(start.keys_values, before, strict=True):
        assert torch.equal(key, old_key) and torch.equal(value, old_value)
