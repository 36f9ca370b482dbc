"""The distance from the base model against its definition: KL between the distributions of whole replies, every reply enumerated."""

from __future__ import annotations

import itertools

import pytest
import torch

from polychromic.train.drift import STREAM, kl_to_base
from tests.symbols import Symbols, make_adapted_model, plain_log_probs

V, END, HORIZON = 5, 4, 2
PROMPTS = [[1, 3, 2], [2], [1, 3, 1, 1]]
REPLIES = [(END,)] + [(a, b) for a, b in itertools.product(range(V), repeat=2) if a != END]


@torch.no_grad()
def exact(model) -> tuple[float, float]:
    """Mean over prompts of sum over replies of p log(p / p_base), and the mean length."""
    divergence, length = 0.0, 0.0
    for prompt in PROMPTS:
        log_p = torch.stack([plain_log_probs(model, prompt, reply).sum() for reply in REPLIES]).double()
        with model.disable_adapter():
            log_q = torch.stack([plain_log_probs(model, prompt, reply).sum() for reply in REPLIES]).double()
        assert log_p.exp().sum().item() == pytest.approx(1.0, abs=1e-5)
        divergence += float((log_p.exp() * (log_p - log_q)).sum()) / len(PROMPTS)
        length += float((log_p.exp() * torch.tensor([len(reply) for reply in REPLIES])).sum()) / len(PROMPTS)
    return divergence, length


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_mean_over_samples_is_the_divergence_of_whole_replies(kind):
    model = make_adapted_model(kind, V, perturb=0.3)
    expected, length = exact(model)
    assert expected > 0.02, "an adapter that moved little tests little"
    found = kl_to_base(model, Symbols(V), PROMPTS, n=3000, horizon=HORIZON, seed=0, prompts_at_once=2)
    assert found["kl_to_base"] == pytest.approx(expected, rel=0.03)
    assert found["reply_tokens"] == pytest.approx(length, rel=0.01)


def test_a_horizon_of_one_needs_no_sampling_and_is_exact():
    model = make_adapted_model("llama", V, perturb=0.3)
    with torch.no_grad():
        expected = 0.0
        for prompt in PROMPTS:
            log_p = torch.cat([plain_log_probs(model, prompt, [token]) for token in range(V)])
            with model.disable_adapter():
                log_q = torch.cat([plain_log_probs(model, prompt, [token]) for token in range(V)])
            expected += float((log_p.exp() * (log_p - log_q)).sum()) / len(PROMPTS)
    found = kl_to_base(model, Symbols(V), PROMPTS, n=1, horizon=1, seed=0)
    assert found == {"kl_to_base": pytest.approx(expected, abs=1e-5), "reply_tokens": 1.0}


def test_an_adapter_that_adds_nothing_is_at_distance_zero():
    model = make_adapted_model("llama", V, perturb=0.0)
    assert kl_to_base(model, Symbols(V), PROMPTS, n=20, horizon=4, seed=0)["kl_to_base"] == pytest.approx(0.0, abs=1e-6)


def test_it_repeats_and_leaves_mode_and_adapter_as_they_were():
    model = make_adapted_model("llama", V, perturb=0.3).train()
    before = plain_log_probs(model, PROMPTS[0], [1, 2])
    first = kl_to_base(model, Symbols(V), PROMPTS, n=5, horizon=4, seed=1)
    assert model.training and torch.equal(plain_log_probs(model, PROMPTS[0], [1, 2]), before)
    assert kl_to_base(model, Symbols(V), PROMPTS, n=5, horizon=4, seed=1) == first
    assert kl_to_base(model, Symbols(V), PROMPTS, n=5, horizon=4, seed=2) != first
    assert not kl_to_base(model.eval(), Symbols(V), PROMPTS, n=5, horizon=4, seed=1) != first and not model.training


def test_more_prompts_at_once_draw_the_same_replies():
    model, prompts = make_adapted_model("llama", V, perturb=0.3), PROMPTS * (STREAM // len(PROMPTS) + 2)
    assert len(prompts) > STREAM
    few = kl_to_base(model, Symbols(V), prompts, n=3, horizon=4, seed=0)
    many = kl_to_base(model, Symbols(V), prompts, n=3, horizon=4, seed=0, prompts_at_once=4 * STREAM)
    assert many["reply_tokens"] == few["reply_tokens"] and many["kl_to_base"] == pytest.approx(few["kl_to_base"], rel=1e-5)
