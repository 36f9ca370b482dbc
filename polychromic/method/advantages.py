"""From set scores to one advantage per reply: the weights of the score-function gradient. Pure functions of arrays.

For S = {y_1..y_N} drawn from pi_theta(.|x) and f symmetric and free of theta (Williams 1992):

    grad E[f(S)] = E[ sum_i grad log pi(y_i|x) * (f(S) - b_i) ]

for any b_i that does not depend on y_i given x. Every entry of BASELINES is of that kind, so the estimate stays
unbiased and only its variance differs; tests/method/test_enumeration.py checks each against the exact gradient to
1e-10. Those of BIASED are not: they are there to be measured against, and nothing trains with them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from polychromic.method.objective import Array, SetObjective, diverse_reward, evaluate

BASELINES = {
    "marginal": "f(S) - f(S without i), the divisor unchanged: reply i's marginal contribution; not centred",
    "others": "marginal, minus the mean marginal of the other prompts of the batch",
    "running": "marginal, minus a running mean of the marginals of past steps",
    "mix": "marginal, minus half of `others` and half of `running`",
    "leave_one_out": "f(S) - f of the other N - 1 replies as a set of their own; centred for pairwise objectives",
    "set": "f(S) for every reply, no baseline: the highest variance, for comparison only",
    "negative": "marginal - 1/N; with reward only bad replies weigh: negative sample reinforcement (arXiv 2506.01347)",
    "negative_first": "marginal - 1/(1.1 N); with reward good replies weigh a tenth of bad ones: W-REINFORCE (arXiv 2506.01347)",
}
CONSTANTS = {"negative": 1.0, "negative_first": 1 / 1.1}
OWN = "own"  # DARLING's, for objective darling alone: biased, since a reply is not credited with what it does for the others


def marginal_contributions(objective: SetObjective, q: Array, s: Array) -> Array:
    """f(S) - f(S without i), both with the divisor of the full set.

    For coverage with 0/1 scores it is 1/N when reply i is good and nobody else says it, else 0; for
    pairwise diversity it is (2/N) times the mean distance of i to the others.

    Args: q (B, N), s (B, N, N) as in polychromic.method.objective.
    Returns: (B, N). Not centred: its expectation is positive for an objective that grows with the set.
    """
    whole = evaluate(objective, q, s)
    n = q.shape[-1]
    without = np.stack([objective(q, s, np.arange(n) != i) for i in range(n)], axis=-1)
    return whole[:, None] - without


def leave_one_out(objective: SetObjective, q: Array, s: Array) -> Array:
    """f(S) - f(the other N - 1), the latter with the divisor of a set of N - 1.

    For the mean reward it is RLOO; for pairwise objectives 2/(N-2) * (m_i - D), m_i the mean value of i's pairs and D
    of all pairs: centred, the direction of a group mean without its bias.

    Returns: (B, N). Raises ValueError where the objective is not defined for N - 1 replies.
    """
    whole, n = evaluate(objective, q, s), q.shape[-1]
    everyone = np.ones(n - 1, dtype=bool)
    rests = [np.delete(np.arange(n), i) for i in range(n)]
    try:
        others = [objective(q[:, rest], s[:, rest][:, :, rest], everyone) for rest in rests]
    except ValueError as error:
        raise ValueError(
            f"baseline leave_one_out scores sets of N - 1 = {n - 1} replies: {error}. Raise n or take another baseline."
        ) from None
    return whole[:, None] - np.stack(others, axis=-1)


def mean_of_others(means: Array, everywhere: Array) -> Array:
    """For each of B prompts, with mean marginals `means` (B,), the mean over the OTHERS of `everywhere`; 0 for a prompt alone.

    Replies to other prompts are independent of y_i given x, so as a baseline it adds no bias, and it takes the
    positive mean out of the marginals.

    Args: everywhere, the mean marginals of the whole batch, these B among them.
    """
    count = len(everywhere)
    return (everywhere.sum() - means) / (count - 1) if count > 1 else np.zeros_like(means)


def advantages(
    baseline: str, objective: SetObjective, q: Array, s: Array, *, others: Array | None = None, running: float | None = None
) -> Array:
    """The weight of grad log pi(y_i|x) for each reply, (B, N); summed over a set and averaged over sets it estimates grad E[f].

    Args:
        baseline: a key of BASELINES, or OWN.
        q, s: (B, N) and (B, N, N) as in polychromic.method.objective.
        others: (B,) mean marginal of the prompts other than each row's, for `others` and `mix` where the batch is spread over
            processes; None computes it from the B rows, which then are one set each of B different prompts.
        running: a mean of marginals of past steps, for `running` and `mix`; None (the first step) counts as 0.

    Raises ValueError: an unknown baseline, or leave_one_out with an objective that is not defined for N - 1 replies.
    """
    if baseline == OWN:
        return own_terms(objective, q, s)
    if baseline not in BASELINES:
        raise ValueError(f"baseline is {baseline!r}; allowed: {', '.join(BASELINES)}, {OWN}.")
    if baseline == "set":
        return np.repeat(evaluate(objective, q, s)[:, None], q.shape[1], axis=1)
    if baseline == "leave_one_out":
        return leave_one_out(objective, q, s)
    marginals = marginal_contributions(objective, q, s)
    if baseline in CONSTANTS:
        return marginals - CONSTANTS[baseline] / q.shape[1]
    means, past = marginals.mean(axis=1), running or 0.0
    elsewhere = (mean_of_others(means, means) if others is None else np.asarray(others))[:, None]
    return marginals - {"marginal": 0.0, "others": elsewhere, "running": past, "mix": 0.5 * elsewhere + 0.5 * past}[baseline]


def own_terms(objective: SetObjective, q: Array, s: Array) -> Array:
    """DARLING's advantage (arXiv 2509.02534): a reply's own term of `diverse_reward`, less the mean term of the set: (B, N).

    With g_1 the gradient of E[q_1 (1 - s_12)] in the policy of reply 1 and g_2 in that of reply 2, its mean is
    g_1 - (g_1 + g_2) / N, where the gradient of the objective is g_1 + g_2.

    Raises: ValueError: another objective, or scores that `evaluate` refuses.
    """
    if objective is not diverse_reward:
        raise ValueError(f"baseline {OWN} is for objective darling, whose terms it takes one by one; take another baseline.")
    evaluate(objective, q, s)
    n = q.shape[1]
    terms = q * (1.0 - s).sum(axis=-1) / (n * (n - 1))
    return terms - terms.mean(axis=1, keepdims=True)


def check_baseline(baseline: str, objective: SetObjective, n: int) -> None:
    """Raise before training what `advantages` would raise at the first step: a set of n equal, perfect replies is tried."""
    advantages(baseline, objective, np.ones((1, n)), np.ones((1, n, n)))


def group_mean(objective: SetObjective, q: Array, s: Array) -> Array:
    """Marginals minus their mean within the set, i's own included, as in GRPO without its division: (B, N). Biased.

    Its expectation is the gradient of E[f - (1/N) sum_i marginal_i]. An objective that averages over the k-subsets has
    sum_i marginal_i = k f (each subset is lost by its k members), so the gradient shrinks by (N - k)/N: (N - 1)/N for reward,
    (N - 2)/N for pairs, (N - k)/N for passk and poly_epo. For coverage it is not even proportional.
    """
    marginals = marginal_contributions(objective, q, s)
    return marginals - marginals.mean(axis=1, keepdims=True)


def group_std(objective: SetObjective, q: Array, s: Array) -> Array:
    """`group_mean` divided by the standard deviation within the set, as in GRPO; 0 where all marginals are equal: (B, N).

    Biased: sets are reweighted by a number that depends on their own replies, so the direction changes too.
    """
    centred = group_mean(objective, q, s)
    spread = np.sqrt((centred**2).mean(axis=1, keepdims=True))
    # a spread at the level of rounding is equality; dividing by it would turn rounding into advantages of size 1
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-12)


BIASED: dict[str, Callable[[SetObjective, Array, Array], Array]] = {"group_mean": group_mean, "group_std": group_std}
