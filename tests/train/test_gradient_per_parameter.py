"""The estimator's mean against the exact gradient of D, for every LoRA parameter of real architectures, in float64. Nothing is sampled.

A vocabulary of 5 and a horizon of T = 2 leave 21 replies; every set of N is visited, weighted by its probability. The
Trainer's own step is visited by every set of replies of one token.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polychromic.method.advantages import advantages
from polychromic.method.objective import OBJECTIVES, SUBSET_OBJECTIVES, evaluate, make_objective
from polychromic.models.decode import Replies, chosen_log_probs, head, pad_sequences, prefill
from polychromic.models.layouts import shared_states
from polychromic.train import rollouts
from tests.symbols import (
    Symbols,
    config,
    gradient,
    lora_parameters,
    make_adapted_model,
    make_trainer,
    multisets,
    plain_log_probs,
    step_gradient,
    use_float64,
)

V, END, PAD = 5, 4, 0
PROMPT = [1, 3, 2]
REPLIES = [(END,)] + [(a, b) for a in range(V - 1) for b in range(V)]
KINDS = ["llama", "qwen3"]
SETTINGS = {"passk": 2, "poly_epo": 2}  # size of the subsets of sets of three
NAMES = sorted([*OBJECTIVES, *SUBSET_OBJECTIVES])


@pytest.fixture
def float64(monkeypatch):
    use_float64(monkeypatch)


def score_table(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Quality (count,), graded, some of it 0, and similarity (count, count) of replies."""
    rng = np.random.default_rng(seed)
    q = rng.uniform(size=count) * (rng.uniform(size=count) > 0.3)
    s = rng.uniform(size=(count, count))
    s = (s + s.T) / 2
    np.fill_diagonal(s, 1.0)
    return q, s


def reply_log_probs(model) -> torch.Tensor:
    """(21,) by the shared layout; a second prompt, left padded and with a common beginning, stands in the batch."""
    ids, mask = pad_sequences([PROMPT, [1, 3, 1, 3, 3]], PAD, left=True)
    tokens, reply_mask = pad_sequences([list(reply) for reply in REPLIES], PAD, left=False)
    states = shared_states(model, prefill(model, ids, mask), torch.zeros(len(REPLIES), dtype=torch.long), tokens, reply_mask)
    real, found = reply_mask.bool(), torch.zeros(tokens.shape, dtype=torch.float64)
    found[real] = chosen_log_probs(head(model, states[real]), tokens[real])
    return found.sum(-1)


def assert_same(model, found: torch.Tensor, expected: torch.Tensor) -> None:
    """Every parameter on its own, each with a gradient to speak of."""
    names, parameters = zip(*lora_parameters(model), strict=True)
    assert len(names) == 28 and found.dtype == expected.dtype == torch.float64
    sizes = [parameter.numel() for parameter in parameters]
    for name, a, b in zip(names, found.split(sizes), expected.split(sizes), strict=True):
        assert b.abs().max() > 1e-6, name
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("n", [3, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_mean_over_all_sets_is_the_gradient_of_the_expected_objective(kind, n):
    """For every objective and baseline within a set: those that look at other prompts differ from `marginal` by a constant."""
    model = make_adapted_model(kind, V).double()
    log_p = reply_log_probs(model)
    assert log_p.detach().exp().sum().item() == pytest.approx(1.0, abs=1e-12)
    assert log_p.exp().max() < 0.9, "a policy that is almost certain tests little"
    members, orders = multisets(len(REPLIES), n)
    quality, similarity = score_table(len(REPLIES))
    q, s = quality[members], similarity[members[:, :, None], members[:, None, :]]
    members = torch.tensor(members)
    probability = log_p[members].sum(-1).exp() * torch.tensor(orders)
    assert probability.detach().sum().item() == pytest.approx(1.0, abs=1e-12)
    for name in NAMES:
        objective = make_objective(name, n, SETTINGS.get(name))
        exact = gradient((probability * torch.tensor(evaluate(objective, q, s))).sum(), model)
        for baseline in ("marginal", "running", "set") + (("leave_one_out",) if name not in ("passk", "poly_epo") else ()):
            weight = probability.detach()[:, None] * torch.tensor(advantages(baseline, objective, q, s, running=0.3))
            assert_same(model, gradient((log_p[members] * weight).sum(), model), exact)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("name", "layout"), [*((name, "shared") for name in NAMES), ("coverage", "packed"), ("coverage", "repeated")])
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_trainer_adds_to_the_loss_has_that_mean(kind, name, layout, monkeypatch, tmp_path):
    """Every set of three one-token replies goes through the Trainer's step as if it had been sampled: sign, weight and scale of D."""
    n, lam, texts = 3, 0.7, ["", "b", "c", "d"]  # the padding symbol and the end are not written
    quality, similarity = score_table(len(texts), seed=1)
    numbers = lambda replies: [texts.index(reply) for reply in replies]
    members, orders = multisets(V, n)
    drawn: list[list[int]] = []

    def next_set(model, start, index, uniform, *, end_token, pad_token):
        assert index.tolist() == [0] * n and uniform.shape == (n, 1) and (end_token, pad_token) == (END, PAD)
        tokens = torch.tensor(drawn[-1])[:, None]
        return Replies(tokens, torch.ones_like(tokens), tokens[:, 0] == END, torch.zeros(n))

    monkeypatch.setattr(rollouts, "sample", next_set)
    objective = config(
        quality=lambda row, replies: quality[numbers(replies)],
        similarity=lambda row, replies: similarity[np.ix_(numbers(replies), numbers(replies))],
        name=name,
        subset=SETTINGS.get(name),
        lam=lam,
        n=n,
        baseline="marginal",
        max_new_tokens=1,
    )
    model = make_adapted_model(kind, V).double()
    row = {"prompt": PROMPT, "completion": [2, END]}
    trainer = make_trainer(tmp_path, objective, model, layout=layout, train_dataset=[row], processing_class=Symbols(V))
    log_p = torch.cat([plain_log_probs(model, PROMPT, [token]) for token in range(V)])
    probability = log_p[torch.tensor(members)].sum(-1).exp() * torch.tensor(orders)
    assert probability.sum().item() == pytest.approx(1.0, abs=1e-12)
    place = np.array(numbers(Symbols(V).batch_decode([[token] for token in range(V)], skip_special_tokens=True)))[members]
    values = evaluate(trainer.objective.objective, quality[place], similarity[place[:, :, None], place[:, None, :]])
    ce = -plain_log_probs(model, PROMPT, [2, END]).mean()
    expected = gradient(ce - lam * (probability * torch.tensor(values)).sum(), model)

    mean = torch.zeros_like(expected)
    for chosen, weight in zip(members.tolist(), probability.tolist(), strict=True):
        drawn.append(chosen)
        mean += weight * step_gradient(trainer, [row])
    assert_same(model, mean, expected)
    assert (gradient(ce, model) - expected).abs().max() > 1e-3, "D has a share in the gradient"
