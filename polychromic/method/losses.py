"""Quality losses: what each token of a reference reply costs, given the logits. Pure functions; no model, no batch.

The losses besides `ce` are published ways to keep diversity without sampling: peers, which need no rollout and no checker.
All are per token; the trainer multiplies by the row's weight and averages. torch is imported when a loss is computed, so
that params.yaml is checked without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from polychromic.method.objective import Array

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Loss:
    """What a loss is, in one line, and the names of its settings, all of them required."""

    description: str
    settings: tuple[str, ...] = ()


LOSSES = {
    "ce": Loss("cross-entropy"),
    "label_smoothing": Loss("cross-entropy against (1 - epsilon) * one-hot + epsilon * uniform", ("epsilon",)),
    "entropy": Loss("cross-entropy minus beta times the entropy of the next-token distribution", ("beta",)),
    "gem": Loss("cross-entropy of the logits divided by beta, times beta (GEM, arXiv 2408.16673)", ("beta",)),
    "tofu": Loss("gem with each token weighted by the focal factor of its probability (TOFU, arXiv 2605.00195)", ("beta", "gamma")),
    "coverage": Loss("-log(1 - (1 - p)^n) of the whole reply, p its probability (direct coverage optimisation, arXiv 2502.07154)", ("n",)),
    "deviation": Loss("cross-entropy; references unlike the prompt's others weigh more (after arXiv 2503.17126): deviation_weights"),
}
# what a setting is called -> (is it allowed?, the allowed range in words)
RANGES = {
    "epsilon": (lambda x: 0 <= x < 1, "0 <= epsilon < 1"),
    "beta": (lambda x: x > 0, "beta > 0"),
    "gamma": (lambda x: x >= 0, "gamma >= 0"),
    "n": (lambda x: x >= 1, "n >= 1"),
}


def check_loss(name: str, settings: Mapping[str, float]) -> None:
    """Refuse a loss that cannot be computed, before training; all that is wrong with its settings at once.

    Raises ValueError: an unknown name, or a setting that is missing, superfluous, not a finite number or out of range.
    """
    if name not in LOSSES:
        raise ValueError(f"loss is {name!r}; allowed: {', '.join(LOSSES)}.")
    wanted = LOSSES[name].settings
    problems = [f"{key} is missing ({RANGES[key][1]})" for key in wanted if key not in settings]
    for key, value in settings.items():
        if key not in wanted:
            problems.append(f"{key} is not a setting of {name}; its settings: {', '.join(wanted) or 'none'}")
        elif isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value) or not RANGES[key][0](value):
            problems.append(f"{key} is {value!r}; allowed: {RANGES[key][1]}")
    if problems:
        raise ValueError(f"loss {name}: {'; '.join(problems)}.")


def token_loss(name: str, logits: Tensor, target: Tensor, settings: Mapping[str, float]) -> Tensor:
    """The named loss of each token, differentiable in the logits.

    With z the logits, y the target, p = softmax(z) and p^b = softmax(z / beta):

        ce, deviation     -log p_y
        coverage          -log p_y; `reply_factor` makes the loss of whole replies of it
        label_smoothing   -(1 - epsilon) log p_y - (epsilon / V) sum_v log p_v
        entropy           -log p_y - beta H(p): the negative entropy of the model's own distribution is minimised beside ce
        gem               -beta log p^b_y; its gradient in z is p^b - onehot(y), GEM's (arXiv 2408.16673, with h linear)
        tofu              -sg(g(p_y)) beta log p^b_y, g(p) = (1 - p)^gamma - gamma p (1 - p)^(gamma - 1) log p, sg: no gradient
                          (arXiv 2605.00195 as its authors' repository states it: g is taken at temperature 1; their
                          beta = .8, gamma = 3). g is the factor by which the focal loss -(1 - p)^gamma log p scales ce's
                          gradient, so beta = 1 trains like the focal loss, and gamma = 0 is gem.

    Args:
        logits: (M, V); half precision is computed in float32.
        target: (M,) integers in [0, V).
        settings: of the loss, as in LOSSES.

    Returns: (M,), in nats; the dtype of the logits, float32 for half precision.

    Raises ValueError: as check_loss.
    """
    import torch
    from torch.nn import functional as F  # noqa: N812 - torch's own habit

    check_loss(name, settings)
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    if name == "label_smoothing":
        return F.cross_entropy(logits, target, reduction="none", label_smoothing=settings["epsilon"])
    if name == "entropy":
        log_p = F.log_softmax(logits, dim=-1)  # (M, V)
        entropy = -(log_p.exp() * log_p).sum(dim=-1)
        return F.nll_loss(log_p, target, reduction="none") - settings["beta"] * entropy
    if name in ("gem", "tofu"):
        loss = settings["beta"] * F.cross_entropy(logits / settings["beta"], target, reduction="none")
        return loss if name == "gem" else _focal_factor(logits.detach(), target, settings["gamma"]) * loss
    return F.cross_entropy(logits, target, reduction="none")


def reply_factor(name: str, log_p: Tensor, settings: Mapping[str, float]) -> Tensor:
    """By what the gradient of each reply's -log p is multiplied, (R,), without a gradient of its own; 1 but for loss coverage.

    The gradient of -log(1 - (1 - p)^n) is that of -log p times n p (1 - p)^(n - 1) / (1 - (1 - p)^n), in (0, 1]: 1 for a reply that n
    draws would hardly find, 0 for one that they would: the loss of a reply that some of n drafts is meant to be (arXiv 2502.07154).

    Args: log_p (R,) log-probability of the whole reply, end token included; half precision is computed in float32.
    """
    import torch

    if name != "coverage":
        return torch.ones_like(log_p)
    n, log_p = settings["n"], log_p.detach().double().clamp_max(-1e-12)  # p = 1 would be 0 / 1 by way of log 0
    log_miss = torch.where(log_p > -0.5, torch.log(-torch.expm1(log_p)), torch.log1p(-torch.exp(log_p)))
    found = -torch.expm1(n * log_miss)
    # for p near 0 both n p and `found` vanish at the same rate
    factor = torch.where(found > 0, n * torch.exp(log_p + (n - 1) * log_miss) / found.clamp_min(torch.finfo(found.dtype).tiny), 1.0)
    return factor.clamp(0.0, 1.0)


def _focal_factor(logits: Tensor, target: Tensor, gamma: float) -> Tensor:
    """g(p) of TOFU, (M,): about 1 for an unlikely target, 0 for a certain one if gamma > 0."""
    import torch
    from torch.nn import functional as F  # noqa: N812

    log_p = -F.cross_entropy(logits, target, reduction="none")
    # 1 - p without cancellation; p = 1 in floating point would make 0^(gamma - 1) infinite for gamma < 1
    miss = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).tiny)
    return miss**gamma - gamma * log_p.exp() * miss ** (gamma - 1) * log_p


def deviation_weights(similarity: Array) -> Array:
    """Row weights of `deviation`: how far each of a prompt's R references lies from the others, relative to their mean; (R,), mean 1.

    d_i = mean over j != i of 1 - s_ij; w_i = d_i / mean(d). A single reference, or references all at the same distance
    (all equal included), weigh 1. The idea of arXiv 2503.17126 (deviation from the other responses to the prompt), with a mean of 1
    so that a prompt with many references counts as before.

    similarity: (R, R) in [0, 1], symmetric with s_ii = 1.
    """
    r = len(similarity)
    distance = np.where(np.eye(r, dtype=bool), 0.0, 1.0 - similarity).sum(axis=1) / max(r - 1, 1)
    mean = distance.mean()
    # float32 cosines of equal texts miss 1 by about 1e-7; ratios of such distances would be noise
    return distance / mean if mean > 1e-6 else np.ones(r)
