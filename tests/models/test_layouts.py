"""The three layouts against the plain model: one forward pass over prompt and reply, no cache, no padding, no batch."""

from __future__ import annotations

import pytest
import torch

from polychromic.models import decode as rollout
from polychromic.models import layouts
from polychromic.models.decode import chosen_log_probs, head, pad_sequences, prefill
from polychromic.models.layouts import LAYOUTS, packed_states, repeated_states, shared_states
from tests import symbols as toy

# of different lengths, without and with two common first symbols, and one prompt three times
PROMPTS = {
    "apart": [[3, 4, 5, 6, 7, 8], [9], [2, 2, 10]],
    "alike": [[3, 4, 5, 6, 7, 8], [3, 4, 9], [3, 4, 5, 10]],
    "equal": [[3, 4, 5, 6]] * 3,
}
# (number of the prompt, reply): with and without an end, of one token, every prompt twice and not in a row
ROWS = [(0, [4, 5, toy.END]), (2, [7, 7, 7, 8]), (1, [toy.END]), (0, [1, 2, 3, 4]), (1, [6]), (2, [7, 7, 7, toy.END])]
WEIGHTS = torch.tensor([1.0, -0.7, 0.4, 0.9, -1.3, 0.6])


def log_probs(model, layout: str, prompts, rows=ROWS) -> tuple[torch.Tensor, torch.Tensor]:
    """(R, T) log pi of each reply token, 0 behind the end, and the mask."""
    ids, prompt_mask = pad_sequences(prompts, toy.PAD, left=True)
    tokens, mask = pad_sequences([reply for _, reply in rows], toy.PAD, left=False)
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
@pytest.mark.parametrize("kind", toy.KINDS)
def test_layouts_have_the_values_and_gradients_of_the_plain_path(kind, prompts, attention):
    model = toy.make_adapted_model(kind, toy.V, attention=attention)
    plain = [toy.plain_log_probs(model, prompts[prompt], reply) for prompt, reply in ROWS]
    names, parameters = zip(*toy.lora_parameters(model), strict=True)
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


def test_replies_of_one_token_do_not_pass_through_the_model_again(monkeypatch):
    model = toy.make_symbol_model("llama", toy.V)
    prompts = PROMPTS["apart"]
    start = prefill(model, *pad_sequences(prompts, toy.PAD, left=True))
    monkeypatch.setattr(layouts, "last_hidden", lambda *a, **k: pytest.fail("a second pass"))
    states = shared_states(model, start, torch.tensor([0, 1, 1]), torch.tensor([[4], [toy.END], [3]]), torch.ones(3, 1, dtype=torch.long))
    found = chosen_log_probs(head(model, states[:, 0]), torch.tensor([4, toy.END, 3]))
    expected = torch.cat([toy.plain_log_probs(model, prompts[p], [t]) for p, t in ((0, 4), (1, toy.END), (1, 3))])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", toy.KINDS)
def test_gradient_checkpointing_takes_the_packed_layout_and_gives_the_same_gradients(kind, tmp_path):
    """By an argument of the Trainer, and by model.gradient_checkpointing_enable() of the user's: the cache is off all the same."""
    passes = {}

    def gradients(name: str, before=lambda model: None, **changes) -> torch.Tensor:
        model, calls = toy.make_adapted_model(kind, toy.V), []
        before(model)
        rollout.causal_lm(model).model.layers[0].self_attn.register_forward_hook(lambda *a: calls.append(1))
        found = toy.gradients_of_a_run(tmp_path, toy.config(lam=5.0), model=model, max_steps=2, **changes)
        passes[name] = len(calls)
        return found

    shared = gradients("shared")
    enable = lambda model: model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    assert shared.abs().max() > 1e-2
    for name, found in {
        "packed": gradients("packed", layout="packed"),
        "repeated": gradients("repeated", layout="repeated"),
        "checkpointed": gradients("checkpointed", gradient_checkpointing=True),
        "by the user": gradients("by the user", enable),
    }.items():
        torch.testing.assert_close(found, shared, rtol=1e-5, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")
    assert passes["checkpointed"] == passes["packed"] + 2, "the layer is computed once more in each of the two steps"
