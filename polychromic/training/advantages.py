"""From set scores to one advantage per reply: the weights of the score-function gradient. Pure functions of arrays.

For S = {y_1..y_N} drawn from pi_theta(.|x) and f symmetric and free of theta (Williams 1992):

    grad E[f(S)] = E[ sum_i grad log pi(y_i|x) * (f(S) - b_i) ]

for any b_i that does not depend on y_i given x. Both baselines below are of that kind, so the estimate stays
unbiased; tests/training/test_enumeration.py checks it against the exact gradient to 1e-10.
"""

from __future__ import annotations

import numpy as np

from polychromic.training.objective import Array, SetObjective, evaluate


def marginal_contributions(objective: SetObjective, q: Array, s: Array) -> Array:
    """f(S) - f(S without i), both with the divisor of the full set.

    For coverage with 0/1 scores it is 1/N when reply i is good and nobody else says it, else 0; for
    pairwise diversity it is (2/N) times the mean distance of i to the others.

    Args: q (B, N), s (B, N, N) as in polychromic.training.objective.
    Returns: (B, N). Not centred: its expectation is positive.
    """
    whole = evaluate(objective, q, s)
    n = q.shape[-1]
    everyone = np.ones(n, dtype=bool)
    without = np.empty_like(q)
    for i in range(n):
        keep = everyone.copy()
        keep[i] = False
        without[:, i] = objective(q, s, keep)
    return whole[:, None] - without


def centre_on_others(marginals: Array) -> Array:
    """Subtract from each prompt's marginals the mean marginal of the OTHER prompts of the batch.

    Replies to other prompts are independent of y_i given x, so this baseline adds no bias, and it takes the
    positive mean out of the marginals. With one prompt there is no other and nothing is subtracted.

    Args and returns: (B, N).
    """
    b = marginals.shape[0]
    if b < 2:
        return marginals
    means = marginals.mean(axis=1)
    others = (means.sum() - means) / (b - 1)
    return marginals - others[:, None]


BASELINES = {"marginal": lambda marginals: marginals, "others": centre_on_others}
