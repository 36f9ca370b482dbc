"""The three layouts against the plain model: one forward pass over prompt and reply, no cache, no padding, no batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from polychromic.models import decode as rollout
from polychromic.models import layouts
from polychromic.models.decode import chosen_log_probs, head, pad_sequences, prefill
from polychromic.models.layouts import LAYOUTS, packed_states, repeated_states, shared_states
from tests.symbols import (
    END,
    PAD,
    Gradients,
    V,
    config,
    gradient,
    lora_parameters,
    make_adapted_model,
    make_symbol_model,
    make_trainer,
    plain_log_probs,
)

# of different lengths, without and with two common first symbols, and one prompt three times
PROMPTS = {
    "apart": [[3, 4, 5, 6, 7, 8], [9], [2, 2, 10]],
    "alike": [[3, 4, 5, 6, 7, 8], [3, 4, 9], [3, 4, 5, 10]],
    "equal": [[3, 4, 5, 6]] * 3,
}
# (number of the prompt, reply): with and without an end, of one token, every prompt twice and not in a row
ROWS = [(0, [4, 5, END]), (2, [7, 7, 7, 8]), (1, [END]), (0, [1, 2, 3, 4]), (1, [6]), (2, [7, 7, 7, END])]
WEIGHTS = torch.tensor([1.0, -0.7, 0.4, 0.9, -1.3, 0.6])


def log_probs(model, layout: str, prompts, rows=ROWS) -> tuple[torch.Tensor, torch.Tensor]:
    """(R, T) log pi of each reply token, 0 behind the end, and the mask."""
    ids, prompt_mask = pad_sequences(prompts, PAD, left=True)
    tokens, mask = pad_sequences([reply for _, reply in rows], PAD, left=False)
    index = torch.tensor([prompt for prompt, _ in rows])
    if layout == "shared":
        states = shared_states(model, prefill(model, ids, prompt_mask), index, tokens, mask)
    else:
        states = {"packed": packed_states, "repeated": repeated_states}[layout](model, ids, prompt_mask, index, tokens, mask)
    assert states.shape[:2] == tokens.shape
    real, found = mask.bool(), torch.zeros(tokens.shape)
    found[real] = chosen_log_probs(head(model, states[real]), tokens[real])
    return found, mask


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)
@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_layouts_have_the_values_and_gradients_of_the_plain_path(kind, prompts, attention):
    model = make_adapted_model(kind, V, attention=attention)
    plain = [plain_log_probs(model, prompts[prompt], reply) for prompt, reply in ROWS]
    names, parameters = zip(*lora_parameters(model), strict=True)
    expected = torch.autograd.grad(sum(w * p.sum() for w, p in zip(WEIGHTS, plain, strict=True)), parameters)
    assert len(names) == 2 * 7 * 2
    assert LAYOUTS == ("shared", "packed", "repeated")
    for layout in LAYOUTS:
        found, mask = log_probs(model, layout, prompts)
        for row, values in enumerate(plain):
            torch.testing.assert_close(found[row, : len(values)], values, rtol=0, atol=1e-5)
            assert int(mask[row].sum()) == len(values)
        for name, a, b in zip(names, torch.autograd.grad((found.sum(-1) * WEIGHTS).sum(), parameters), expected, strict=True):
            assert b.abs().max() > 1e-3, name
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5, msg=lambda text, name=name, layout=layout: f"{layout} {name}: {text}")


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_a_cut_gradient_of_the_prompt_is_seen(kind, monkeypatch):
    """The mutant that scores from the detached cache: equal values, other gradients."""
    model = make_adapted_model(kind, V)
    values = log_probs(model, "shared", PROMPTS["apart"])[0]
    right = gradient(values.sum(), model)
    cache = rollout.Prefill.cache
    cut = lambda start: replace(start, keys_values=[(key.detach(), value.detach()) for key, value in start.keys_values])
    monkeypatch.setattr(rollout.Prefill, "cache", lambda self, index: cache(cut(self), index))
    mutant = log_probs(model, "shared", PROMPTS["apart"])[0]
    torch.testing.assert_close(mutant, values)
    assert (gradient(mutant.sum(), model) - right).abs().max() > 1e-2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_padding_on_the_wrong_side_is_seen(layout):
    """The check can tell a prompt from the same one shifted: a mask that hides a prompt token moves every value."""
    model = make_adapted_model("llama", V)
    rows = [(0, [4, 5, END]), (1, [4, 5, END])]
    whole = log_probs(model, layout, [[3, 4, 5], [3, 4, 5]], rows)[0]
    torch.testing.assert_close(whole[0], whole[1], rtol=0, atol=1e-5)
    part = log_probs(model, layout, [[3, 4, 5], [4, 5]], rows)[0]
    torch.testing.assert_close(part[0], whole[0], rtol=0, atol=1e-5)
    assert (part[1] - whole[1]).abs().max() > 1e-2


def test_packed_replies_do_not_see_each_other():
    """Another first reply leaves the second as it was; with plain causality (no blocks) it would not."""
    model = make_adapted_model("qwen3", V)
    one = log_probs(model, "packed", [[3, 4]], [(0, [4, 5, END]), (0, [6, 7, END])])[0]
    other = log_probs(model, "packed", [[3, 4]], [(0, [9, 2, 1]), (0, [6, 7, END])])[0]
    torch.testing.assert_close(one[1], other[1], rtol=0, atol=1e-6)
    assert (one[0] - other[0]).abs().max() > 1e-2


def test_packed_order_of_replies_does_not_matter():
    model = make_adapted_model("llama", V)
    forward = log_probs(model, "packed", PROMPTS["apart"])[0]
    backward = log_probs(model, "packed", PROMPTS["apart"], ROWS[::-1])[0]
    torch.testing.assert_close(backward, forward.flip(0), rtol=0, atol=1e-5)


def test_replies_of_one_token_do_not_pass_through_the_model_again(monkeypatch):
    model = make_symbol_model("llama", V)
    prompts = PROMPTS["apart"]
    start = prefill(model, *pad_sequences(prompts, PAD, left=True))
    monkeypatch.setattr(layouts, "last_hidden", lambda *a, **k: pytest.fail("a second pass"))
    states = shared_states(model, start, torch.tensor([0, 1, 1]), torch.tensor([[4], [END], [3]]), torch.ones(3, 1, dtype=torch.long))
    found = chosen_log_probs(head(model, states[:, 0]), torch.tensor([4, END, 3]))
    expected = torch.cat([plain_log_probs(model, prompts[p], [t]) for p, t in ((0, 4), (1, END), (1, 3))])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


# through the Trainer


def gradients_of_a_run(tmp_path, kind: str, model=None, **changes) -> torch.Tensor:
    """(steps, parameters): two steps, with rollouts, unclipped."""
    noted = Gradients()
    model = model or make_adapted_model(kind, V)
    make_trainer(tmp_path, config(lam=5.0), model, callbacks=[noted], max_steps=2, max_grad_norm=0.0, **changes).train()
    return torch.stack(noted.steps)


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_gradient_checkpointing_takes_the_packed_layout_and_gives_the_same_gradients(kind, tmp_path):
    shared = gradients_of_a_run(tmp_path, kind)
    assert shared.abs().max() > 1e-2
    passes = {}
    for name, changes in {
        "packed": {"layout": "packed"},
        "repeated": {"layout": "repeated"},
        "checkpointed": {"gradient_checkpointing": True},
    }.items():
        model, calls = make_adapted_model(kind, V), []
        rollout.causal_lm(model).model.layers[0].self_attn.register_forward_hook(lambda *a, calls=calls: calls.append(1))
        found = gradients_of_a_run(tmp_path, kind, model, **changes)
        torch.testing.assert_close(found, shared, rtol=1e-5, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")
        passes[name] = len(calls)
    assert passes["checkpointed"] == passes["packed"] + 2, "the layer is computed once more in each of the two steps"


def test_a_model_that_already_checkpoints_takes_the_packed_layout(tmp_path):
    """model.gradient_checkpointing_enable() by the user, not by an argument of the Trainer: the cache is off all the same."""
    model = make_adapted_model("llama", V)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    found = gradients_of_a_run(tmp_path, "llama", model)
    torch.testing.assert_close(found, gradients_of_a_run(tmp_path, "llama"), rtol=1e-5, atol=1e-5)


def test_an_unknown_layout_is_refused(tmp_path):
    with pytest.raises(ValueError, match="layout is 'flat'; allowed: shared, packed, repeated"):
        make_trainer(tmp_path, layout="flat")
