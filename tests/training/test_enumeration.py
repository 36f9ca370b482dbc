"""The estimator's mean against the exact gradient, by enumerating every set of replies. Nothing here is sampled.

A policy over the symbols {0, 1, 2, end} with replies of at most T = 2 symbols has 13 replies: each of the 13^N sets
is visited, weighted by its probability.
"""

import itertools

import numpy as np
import pytest
import torch

from polychromic.training.advantages import centre_on_others, marginal_contributions
from polychromic.training.objective import OBJECTIVES, evaluate

V, T, END = 4, 2, 3


def all_replies() -> list[tuple[int, ...]]:
    """Replies that end with the end symbol, or are cut at the horizon."""
    short = [(END,)]
    long = [(a, b) for a in range(V - 1) for b in range(V)]
    return short + long


def reply_log_probs(logits: torch.Tensor) -> torch.Tensor:
    """logits (1 + V, V): row 0 before the first symbol, row 1 + a after symbol a. Returns (13,), summing to one."""
    table = torch.log_softmax(logits, dim=-1)
    return torch.stack([sum(table[0 if t == 0 else 1 + reply[t - 1], symbol] for t, symbol in enumerate(reply)) for reply in all_replies()])


def reply_scores(rng: np.random.Generator, graded: bool) -> tuple[np.ndarray, np.ndarray]:
    """Quality (13,) and similarity (13, 13) of the replies, graded or in {0, 1}."""
    count = len(all_replies())
    if graded:
        q, s = rng.uniform(size=count), rng.uniform(size=(count, count))
        s = (s + s.T) / 2
    else:
        answer = rng.integers(0, 4, size=count)
        q, s = (answer > 0).astype(float), (answer[:, None] == answer[None, :]).astype(float)
    np.fill_diagonal(s, 1.0)
    return q, s


def sets(n: int) -> np.ndarray:
    return np.array(list(itertools.product(range(len(all_replies())), repeat=n)))  # (13^n, n)


def gather(q: np.ndarray, s: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return q[members], s[members[:, :, None], members[:, None, :]]


def exact_gradient(logits: torch.Tensor, values: torch.Tensor, members: torch.Tensor) -> torch.Tensor:
    """Autograd of sum over sets of p(S) f(S)."""
    log_p = reply_log_probs(logits)
    return torch.autograd.grad((log_p[members].sum(-1).exp() * values).sum(), logits)[0]


def estimator_mean(logits: torch.Tensor, advantages: torch.Tensor, members: torch.Tensor) -> torch.Tensor:
    """Sum over sets of p(S) * sum_i A_i grad log p(y_i)."""
    log_p = reply_log_probs(logits)
    weight = log_p[members].sum(-1).exp().detach()[:, None] * advantages
    return torch.autograd.grad((log_p[members] * weight).sum(), logits)[0]


@pytest.mark.parametrize("n", [3, 4])
@pytest.mark.parametrize("graded", [False, True], ids=["binary", "graded"])
@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_marginal_contributions_are_unbiased(name, n, graded):
    torch.manual_seed(0)
    logits = torch.randn(1 + V, V, dtype=torch.float64, requires_grad=True)
    q, s = reply_scores(np.random.default_rng(n), graded)
    members = sets(n)
    marginals = marginal_contributions(OBJECTIVES[name], *gather(q, s, members))
    values = torch.tensor(evaluate(OBJECTIVES[name], *gather(q, s, members)))
    exact = exact_gradient(logits, values, torch.tensor(members))
    assert exact.abs().max() > 1e-4
    mean = estimator_mean(logits, torch.tensor(marginals), torch.tensor(members))
    torch.testing.assert_close(mean, exact, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_centring_on_other_prompts_is_unbiased(name):
    """Two prompts with policies of their own, N = 2: every pair of sets is visited."""
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    logits = [torch.randn(1 + V, V, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    members = sets(2)
    scores = [gather(*reply_scores(rng, True), members) for _ in range(2)]
    probability = [reply_log_probs(x).detach()[torch.tensor(members)].sum(-1).exp() for x in logits]
    marginals = [marginal_contributions(OBJECTIVES[name], *score) for score in scores]
    for mine, other in ((0, 1), (1, 0)):
        # E over the other prompt's sets of the centred advantage, by the function under test on each pair
        centred = np.zeros_like(marginals[mine])
        for weight, row in zip(probability[other].tolist(), marginals[other], strict=True):
            pair = np.stack([marginals[mine], np.broadcast_to(row, marginals[mine].shape)], axis=1)  # (sets, 2 prompts, N)
            centred += weight * np.stack([centre_on_others(p)[0] for p in pair])
        values = torch.tensor(evaluate(OBJECTIVES[name], *scores[mine]))
        exact = exact_gradient(logits[mine], values, torch.tensor(members))
        mean = estimator_mean(logits[mine], torch.tensor(centred), torch.tensor(members))
        assert not np.allclose(centred, marginals[mine])
        torch.testing.assert_close(mean, exact, rtol=0, atol=1e-10)


def test_a_baseline_that_sees_its_own_reply_is_caught():
    """The mutant of centring: subtracting the prompt's own mean marginal is biased, and this test can see it."""
    torch.manual_seed(0)
    logits = torch.randn(1 + V, V, dtype=torch.float64, requires_grad=True)
    q, s = reply_scores(np.random.default_rng(0), True)
    members = sets(3)
    marginals = marginal_contributions(OBJECTIVES["plain"], *gather(q, s, members))
    wrong = marginals - marginals.mean(axis=1, keepdims=True)
    values = torch.tensor(evaluate(OBJECTIVES["plain"], *gather(q, s, members)))
    exact = exact_gradient(logits, values, torch.tensor(members))
    mean = estimator_mean(logits, torch.tensor(wrong), torch.tensor(members))
    # pairwise f with its group mean shrinks the gradient by (N - 2) / N
    torch.testing.assert_close(mean, exact / 3, rtol=0, atol=1e-10)


def test_detached_objective_has_no_gradient():
    """The published implementation computes D with .item(): its gradient is that of lambda = 0, for any lambda."""
    logits = torch.randn(1 + V, V, dtype=torch.float64, requires_grad=True)
    quality_loss = -reply_log_probs(logits)[4]
    plain = torch.autograd.grad(quality_loss, logits, retain_graph=True)[0]
    diversity = 1 - reply_log_probs(logits).exp().square().sum()
    detached = torch.autograd.grad(quality_loss - 100.0 * diversity.item(), logits, retain_graph=True)[0]
    assert torch.equal(detached, plain)
    attached = torch.autograd.grad(quality_loss - 100.0 * diversity, logits)[0]
    assert not torch.allclose(attached, plain)
