"""The estimator's mean against the exact gradient, by enumerating every set of replies. Nothing here is sampled.

A policy over the symbols {0, 1, 2, end} with replies of at most T = 2 symbols has 13 replies: each of the 13^N sets
is visited, weighted by its probability. Where several prompts stand in one batch, policies of 3 replies keep the product small.
"""

import itertools
from functools import cache

import numpy as np
import pytest
import torch

from polychromic.method.advantages import BASELINES, BIASED, OWN, advantages, marginal_contributions
from polychromic.method.objective import OBJECTIVES, SetObjective, evaluate, make_objective

V, T, END = 4, 2, 3
ORDER = {"reward": 1, "plain": 2, "gated": 2, "darling": 2}  # k of objectives that average over k-subsets, beside passk and poly_epo


def all_replies() -> list[tuple[int, ...]]:
    """Replies that end with the end symbol, or are cut at the horizon."""
    short = [(END,)]
    long = [(a, b) for a in range(V - 1) for b in range(V)]
    return short + long


def reply_log_probs(logits: torch.Tensor) -> torch.Tensor:
    """logits (1 + V, V): row 0 before the first symbol, row 1 + a after symbol a. Returns (13,), summing to one."""
    table = torch.log_softmax(logits, dim=-1)
    return torch.stack([sum(table[0 if t == 0 else 1 + reply[t - 1], symbol] for t, symbol in enumerate(reply)) for reply in all_replies()])


def reply_scores(rng: np.random.Generator, graded: bool, count: int = 13) -> tuple[np.ndarray, np.ndarray]:
    """Quality (count,) and similarity (count, count) of the replies, graded or in {0, 1}; half good, so that passk does not saturate."""
    if graded:
        q, s = rng.uniform(0, 0.5, size=count), rng.uniform(size=(count, count))
        s = (s + s.T) / 2
    else:
        answer = rng.permutation(count) % 4  # 0 and 1 are wrong
        q, s = (answer > 1).astype(float), (answer[:, None] == answer[None, :]).astype(float)
    np.fill_diagonal(s, 1.0)
    return q, s


@cache
def sets(n: int, count: int = 13) -> np.ndarray:
    return np.array(list(itertools.product(range(count), repeat=n)))  # (count^n, n)


def gather(q: np.ndarray, s: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return q[members], s[members[:, :, None], members[:, None, :]]


def exact_gradient(log_p: torch.Tensor, parameter: torch.Tensor, values: np.ndarray, members: np.ndarray) -> torch.Tensor:
    """Autograd of sum over sets of p(S) f(S); log_p (replies,) depends on the parameter, values (sets,)."""
    mean = (log_p[torch.tensor(members)].sum(-1).exp() * torch.tensor(values)).sum()
    return torch.autograd.grad(mean, parameter, retain_graph=True)[0]


def estimator_mean(log_p: torch.Tensor, parameter: torch.Tensor, weights: np.ndarray, members: np.ndarray) -> torch.Tensor:
    """Sum over sets of p(S) * sum_i A_i grad log p(y_i); weights A (sets, N)."""
    index = torch.tensor(members)
    weight = log_p[index].sum(-1).exp().detach()[:, None] * torch.tensor(weights)
    return torch.autograd.grad((log_p[index] * weight).sum(), parameter, retain_graph=True)[0]


def objectives(n: int) -> dict[str, SetObjective]:
    """Every objective for sets of n, those over subsets with every size from 2."""
    sized = [("passk", k) for k in range(2, n + 1)] + [("poly_epo", k) for k in range(2, n)]
    return {name: make_objective(name, n) for name in OBJECTIVES} | {f"{name}-{k}": make_objective(name, n, k) for name, k in sized}


class Toy:
    """One prompt: policy, scores of all its sets, and the exact gradient of E[f]."""

    def __init__(self, name: str, n: int, graded: bool):
        torch.manual_seed(0)
        self.objective, self.members = objectives(n)[name], sets(n)
        self.logits = torch.randn(1 + V, V, dtype=torch.float64, requires_grad=True)
        self.log_p = reply_log_probs(self.logits)
        self.q, self.s = gather(*reply_scores(np.random.default_rng(n), graded), self.members)
        assert self.log_p[torch.tensor(self.members)].sum(-1).exp().sum().item() == pytest.approx(1, abs=1e-12)
        self.exact = self.gradient(evaluate(self.objective, self.q, self.s))

    def gradient(self, values: np.ndarray) -> torch.Tensor:
        return exact_gradient(self.log_p, self.logits, values, self.members)

    def mean(self, weights: np.ndarray) -> torch.Tensor:
        return estimator_mean(self.log_p, self.logits, weights, self.members)


toy = cache(Toy)  # its baselines share one exact gradient
CASES = [(name, n, graded) for n in (3, 4) for name in objectives(n) for graded in (False, True)]


def assert_equal(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert expected.abs().max() > 1e-4  # a gradient of zero would prove nothing
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0))


@pytest.mark.parametrize(
    ("name", "n", "graded", "baseline"),
    # N - 1 replies have no subset of N; test_advantages.py has that leave_one_out is refused there
    [(*case, baseline) for case in CASES for baseline in BASELINES if not (baseline == "leave_one_out" and case[0] == f"passk-{case[1]}")],
)
def test_every_baseline_is_unbiased_for_every_objective(name, n, graded, baseline):
    """What comes from elsewhere, the other prompts' mean and the past mean, takes several values with a probability each."""
    case = toy(name, n, graded)
    weights = np.zeros_like(case.q)
    for probability, elsewhere, past in ((0.2, 0.9, None), (0.5, 0.1, 0.7), (0.3, 0.4, -0.2)):
        others = np.full(len(case.q), elsewhere)
        weights += probability * advantages(baseline, case.objective, case.q, case.s, others=others, running=past)
        if baseline in ("marginal", "leave_one_out", "set"):  # which take nothing from elsewhere
            weights /= probability
            break
    assert_equal(case.mean(weights), case.exact)


class SmallPrompts:
    """Prompts with policies of 3 replies, of one symbol each, that share the parameter theta (3,)."""

    def __init__(self, count: int, n: int = 3):
        rng = np.random.default_rng(1)
        self.theta = torch.tensor(rng.normal(size=3), requires_grad=True)
        self.members = sets(n, 3)
        self.log_p = [torch.log_softmax(torch.tensor(rng.normal(size=(3, 3))) @ self.theta, dim=0) for _ in range(count)]
        self.scores = [gather(*reply_scores(rng, True, 3), self.members) for _ in range(count)]
        self.probability = [log_p.detach()[torch.tensor(self.members)].sum(-1).exp().numpy() for log_p in self.log_p]

    def exact(self, objective: SetObjective, prompt: int) -> torch.Tensor:
        return exact_gradient(self.log_p[prompt], self.theta, evaluate(objective, *self.scores[prompt]), self.members)

    def batch_mean(self, baseline: str, objective: SetObjective, pair: tuple[int, int]) -> list[torch.Tensor]:
        """For both prompts of a batch the mean of the estimate over every pair of sets, with the batch's own `others`."""
        weights = [np.zeros(self.members.shape) for _ in pair]
        for a, b in itertools.product(range(len(self.members)), repeat=2):
            q, s = (np.stack([self.scores[p][part][i] for p, i in zip(pair, (a, b), strict=True)]) for part in (0, 1))
            found = advantages(baseline, objective, q, s, running=0.3)
            weights[0][a] += self.probability[pair[1]][b] * found[0]
            weights[1][b] += self.probability[pair[0]][a] * found[1]
        return [estimator_mean(self.log_p[p], self.theta, w, self.members) for p, w in zip(pair, weights, strict=True)]


@pytest.mark.parametrize("baseline", ["others", "mix"])
@pytest.mark.parametrize("name", objectives(3))
def test_centring_on_the_other_prompt_of_the_batch_is_unbiased(name, baseline):
    prompts, objective = SmallPrompts(2), objectives(3)[name]
    for prompt, found in enumerate(prompts.batch_mean(baseline, objective, (0, 1))):
        assert_equal(found, prompts.exact(objective, prompt))


@pytest.mark.parametrize("baseline", ["marginal", "others", "leave_one_out"])
@pytest.mark.parametrize("name", ["coverage", "gated", "poly_epo-2"])
def test_rollouts_for_some_prompts_at_every_mth_step_keep_the_mean(name, baseline):
    """Three prompts, of which each step draws two (rho = 2/3; every choice is visited), at one step of m = 4, times m there."""
    prompts, objective, m = SmallPrompts(3), objectives(3)[name], 4
    choices = list(itertools.combinations(range(3), 2))
    drawn = [sum(prompts.batch_mean(baseline, objective, pair)) / len(pair) for pair in choices]  # mean over the chosen
    steps = [m * sum(drawn) / len(choices) if step % m == 0 else torch.zeros_like(drawn[0]) for step in range(m)]
    exact = sum(prompts.exact(objective, prompt) for prompt in range(3)) / 3
    assert_equal(sum(steps) / m, exact)
    assert all(cosine(choice, exact) < 1 - 1e-3 for choice in drawn)  # one choice alone is another gradient


@pytest.mark.parametrize(("name", "n", "graded"), [case for case in CASES if case[0] not in ("coverage", "setpo")])
def test_the_group_mean_shrinks_objectives_over_k_subsets_by_a_known_factor(name, n, graded):
    """sum_i marginal_i = k f, for each k-subset is lost by its k members. The group mean then takes away
    E[sum_i grad log p(y_i) * k f / N] = (k / N) grad E[f]: (N - k) / N is left, (N - 2) / N for pairs, nothing at k = N."""
    case, kind = toy(name, n, graded), name.partition("-")
    k = int(kind[2]) if kind[2] else ORDER[name]
    found = case.mean(BIASED["group_mean"](case.objective, case.q, case.s))
    torch.testing.assert_close(found, (n - k) / n * case.exact, rtol=0, atol=1e-10)
    assert (found - case.exact).abs().max() > 1e-4


@pytest.mark.parametrize("n", [3, 4])
@pytest.mark.parametrize("graded", [False, True])
def test_darling_credits_a_reply_with_its_own_term_alone(n, graded):
    """The mean is g_1 - (g_1 + g_2) / N, of E[q_1 (1 - s_12)] in the policy of reply 1 and of reply 2; g_1 + g_2 is the gradient."""
    case = toy("darling", n, graded)
    q, s = reply_scores(np.random.default_rng(n), graded)
    p, value = case.log_p.exp(), torch.tensor(q[:, None] * (1 - s))
    means = p @ value @ p.detach(), p.detach() @ value @ p
    first, second = (torch.autograd.grad(mean, case.logits, retain_graph=True)[0] for mean in means)
    assert_equal(first + second, case.exact)
    assert_equal(case.mean(advantages(OWN, case.objective, case.q, case.s)), first - (first + second) / n)
    assert cosine(first - (first + second) / n, case.exact) < 1 - 1e-4


@pytest.mark.parametrize("n", [3, 4])
@pytest.mark.parametrize("graded", [False, True])
def test_the_group_mean_turns_the_gradient_of_coverage(n, graded):
    """The same derivation without sum_i marginal_i = k f: the gradient of E[f - mean_i marginal_i], which points elsewhere."""
    case = toy("coverage", n, graded)
    found = case.mean(BIASED["group_mean"](case.objective, case.q, case.s))
    marginals = marginal_contributions(case.objective, case.q, case.s)
    assert_equal(found, case.gradient(evaluate(case.objective, case.q, case.s) - marginals.mean(axis=1)))
    assert cosine(found, case.exact) < 1 - 1e-5


@pytest.mark.parametrize(("name", "n"), [(name, n) for name, n, graded in CASES if graded and name != f"passk-{n}"])
def test_dividing_by_the_group_s_standard_deviation_turns_the_gradient(name, n):
    """Graded scores; passk over the whole set has equal marginals, so nothing is left to divide."""
    case = toy(name, n, True)
    found = case.mean(BIASED["group_std"](case.objective, case.q, case.s))
    assert found.abs().max() > 1e-4
    assert cosine(found, case.exact) < 1 - 5e-4
