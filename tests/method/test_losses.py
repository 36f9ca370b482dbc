"""Quality losses against other ways to write them, and their gradients in the logits against the published ones."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from polychromic.method.losses import LOSSES, check_loss, deviation_weights, reply_factor, token_loss

M, V = 6, 9
SETTINGS = {"epsilon": 0.1, "beta": 0.7, "gamma": 3.0, "n": 8}


@pytest.fixture
def logits() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return (2 * torch.randn(M, V, generator=generator, dtype=torch.float64)).requires_grad_()


@pytest.fixture
def target() -> torch.Tensor:
    return torch.tensor([0, 3, 8, 1, 1, 5])


def settings_of(name: str, **changes: float) -> dict[str, float]:
    return {key: SETTINGS[key] for key in LOSSES[name].settings} | changes


def gradient(loss: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """(M, V) of the sum of M losses: each row is its own token's."""
    return torch.autograd.grad(loss.sum(), logits, retain_graph=True)[0]


def chosen_log_p(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """log softmax by logsumexp, (M,)."""
    return logits.gather(1, target[:, None])[:, 0] - torch.logsumexp(logits, dim=1)


def test_label_smoothing_is_cross_entropy_against_a_smoothed_target(logits, target):
    soft = 0.9 * F.one_hot(target, V) + 0.1 / V
    expected = -(soft * torch.log(torch.softmax(logits, dim=1))).sum(dim=1)
    found = token_loss("label_smoothing", logits, target, {"epsilon": 0.1})
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient(found, logits), torch.softmax(logits, dim=1) - soft)


def test_entropy_is_taken_off_and_its_gradient_is_the_closed_form(logits, target):
    """dH/dz = -p (log p + H)."""
    found = token_loss("entropy", logits, target, {"beta": 0.4})
    distribution = torch.distributions.Categorical(logits=logits)
    torch.testing.assert_close(found, -distribution.log_prob(target) - 0.4 * distribution.entropy())
    p, h = distribution.probs, distribution.entropy()[:, None]
    torch.testing.assert_close(gradient(found, logits), p - F.one_hot(target, V) + 0.4 * p * (p.log() + h))


def test_gem_has_the_gradient_of_its_game(logits, target):
    """GEM's own form: sum_v sg(q_v) (z_v - z_y) with q = softmax(z / beta); the gradient is q - onehot(y)."""
    found = token_loss("gem", logits, target, {"beta": 0.7})
    q = torch.softmax(logits / 0.7, dim=1).detach()
    game = (q * (logits - logits.gather(1, target[:, None]))).sum(dim=1)
    torch.testing.assert_close(gradient(found, logits), gradient(game, logits))
    torch.testing.assert_close(gradient(found, logits), q - F.one_hot(target, V))
    torch.testing.assert_close(found, -0.7 * chosen_log_p(logits / 0.7, target))


@pytest.mark.parametrize("gamma", [0.5, 1.0, 3.0])
def test_tofu_without_tempering_trains_like_the_focal_loss(gamma, logits, target):
    found = token_loss("tofu", logits, target, {"beta": 1.0, "gamma": gamma})
    log_p = chosen_log_p(logits, target)
    focal = -((1 - log_p.exp()) ** gamma) * log_p
    torch.testing.assert_close(gradient(found, logits), gradient(focal, logits))


def test_tofu_weighs_the_gradient_of_gem_by_the_focal_factor_at_temperature_one(logits, target):
    found = token_loss("tofu", logits, target, {"beta": 0.8, "gamma": 3.0})
    p = torch.softmax(logits, dim=1).gather(1, target[:, None])[:, 0]
    factor = (1 - p) ** 3 - 3 * p * (1 - p) ** 2 * p.log()
    gem = token_loss("gem", logits, target, {"beta": 0.8})
    torch.testing.assert_close(found, factor * gem)
    torch.testing.assert_close(gradient(found, logits), factor[:, None] * gradient(gem, logits))  # the factor has no gradient


def test_plain_cross_entropy_and_special_cases_meet(logits, target):
    ce = token_loss("ce", logits, target, {})
    torch.testing.assert_close(ce, -chosen_log_p(logits, target))
    torch.testing.assert_close(token_loss("deviation", logits, target, {}), ce)
    torch.testing.assert_close(token_loss("label_smoothing", logits, target, {"epsilon": 0.0}), ce)
    torch.testing.assert_close(token_loss("entropy", logits, target, {"beta": 1e-12}), ce)
    torch.testing.assert_close(token_loss("gem", logits, target, {"beta": 1.0}), ce)
    gem = token_loss("gem", logits, target, {"beta": 0.7})
    torch.testing.assert_close(token_loss("tofu", logits, target, {"beta": 0.7, "gamma": 0.0}), gem)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "tofu"])  # whose factor is held constant by definition
def test_gradients_agree_with_finite_differences(name, logits, target):
    assert torch.autograd.gradcheck(lambda z: token_loss(name, z, target, settings_of(name)), (logits,))


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_is_computed_in_single(name, logits, target):
    half, settings = logits.detach().bfloat16(), settings_of(name)
    found = token_loss(name, half, target, settings)
    assert found.dtype == torch.float32 and found.shape == (M,) and torch.equal(found, token_loss(name, half.float(), target, settings))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("name", LOSSES)
def test_certain_targets_and_impossible_ones_stay_finite(name, gamma):
    """In float32 a gap of 200 makes p exactly 1 or 0; (1 - p)^(gamma - 1) would be infinite there."""
    z = torch.zeros(2, V)
    z[:, 4] = 200.0
    z.requires_grad_()
    settings = settings_of(name) | ({"gamma": gamma} if name == "tofu" else {})
    loss = token_loss(name, z, torch.tensor([4, 0]), settings)
    grad = gradient(loss, z)
    assert loss.isfinite().all() and grad.isfinite().all()
    assert loss[1] > 100 and grad[1, 4] > 0.8
    if name != "label_smoothing":
        assert loss[0].abs() < 1e-6 and grad[0].abs().max() < 1e-6


@pytest.mark.parametrize(("name", "settings", "message"), [
    ("focal", {}, "'focal'; allowed: ce, label_smoothing, entropy, gem, tofu, coverage, deviation"),
    ("ce", {"beta": 1.0}, "loss ce: beta is not a setting of ce; its settings: none"),
    ("gem", {}, r"loss gem: beta is missing \(beta > 0\)"),
    ("tofu", {"betta": 1.0, "gamma": -1}, "beta is missing .*; betta is not a setting of tofu; .*; gamma is -1; allowed: gamma >= 0"),
    ("label_smoothing", {"epsilon": 1.0}, "epsilon is 1.0; allowed: 0 <= epsilon < 1"),
    ("gem", {"beta": 0}, "beta is 0; allowed: beta > 0"),
    *(("entropy", {"beta": bad}, f"beta is {bad!r}") for bad in (float("nan"), float("inf"), "0.1", True)),
])  # fmt: skip
def test_what_cannot_be_computed_is_refused(name, settings, message, logits, target):
    with pytest.raises(ValueError, match=message):
        check_loss(name, settings)
    with pytest.raises(ValueError, match=message):
        token_loss(name, logits, target, settings)


def test_a_reference_unlike_the_others_weighs_more_and_equally_far_ones_weigh_one():
    """Distances .2, .8 and .6: means .5, .4 and .7 of the pairs 01, 02 and 12 per reference. A scale of a prompt's distances drops out."""
    s = np.array([[1.0, 0.8, 0.2], [0.8, 1.0, 0.4], [0.2, 0.4, 1.0]])
    np.testing.assert_allclose(deviation_weights(s), np.array([0.5, 0.4, 0.7]) * 3 / 1.6, rtol=1e-12)
    np.testing.assert_allclose(deviation_weights(1 - (1 - s) / 10), deviation_weights(s), rtol=1e-9)
    rounded = 1 - np.array([[0, 1e-7, 3e-7], [1e-7, 0, 2e-7], [3e-7, 2e-7, 0]])  # equal texts, cosines in float32
    for same in (np.ones((1, 1)), np.ones((3, 3)), np.full((3, 3), 0.25) + 0.75 * np.eye(3), rounded):
        np.testing.assert_allclose(deviation_weights(same), np.ones(len(same)), rtol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 8, 64])
def test_the_factor_of_loss_coverage_makes_the_gradient_of_the_whole_reply(n):
    """Against autograd of -log(1 - (1 - p)^n) in log p; at n = 1 it is cross-entropy. Finite for replies that are certain or impossible."""
    log_p = torch.tensor([-1e-6, -0.01, -0.4, -0.6, -2.0, -7.0], dtype=torch.float64, requires_grad=True)
    loss = -torch.log1p(-((1 - log_p.exp()) ** n))
    (expected,) = torch.autograd.grad(loss.sum(), log_p)
    factor = reply_factor("coverage", log_p, {"n": n})
    torch.testing.assert_close(factor, -expected, rtol=1e-6, atol=1e-9)
    assert n > 1 or (factor - 1).abs().max() < 1e-9
    assert reply_factor("coverage", torch.tensor([0.0, -1e4]), {"n": n}).tolist() == pytest.approx([float(n == 1), 1.0], abs=1e-9)
    assert reply_factor("gem", torch.tensor([-3.0]), {}).tolist() == [1.0]
