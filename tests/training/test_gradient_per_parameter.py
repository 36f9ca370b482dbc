"""The estimator's mean against the exact gradient of D, for every LoRA parameter of real architectures, in float64.

A vocabulary of 5 and a horizon of T = 2 leave 21 replies; every set of N is visited, weighted by its probability.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from transformers import TrainingArguments

from polychromic.training import trainer as trainer_module
from polychromic.training.advantages import marginal_contributions
from polychromic.training.objective import OBJECTIVES, evaluate
from polychromic.training.rollout import Replies, log_probs, prefill
from polychromic.training.trainer import Collator, PolychromicTrainer, SetObjectiveConfig, pad_sequences
from tests.symbols import Symbols, lora_parameters, make_adapted_model

V, END, PAD = 5, 4, 0
PROMPT = [1, 3, 2]
REPLIES = [(END,)] + [(a, b) for a in range(V - 1) for b in range(V)]
KINDS = ["llama", "qwen3"]


@pytest.fixture
def float64(monkeypatch):
    """The architectures compute norms, softmaxes and rotations, and `log_probs` its result, in what torch calls float32."""
    monkeypatch.setattr(torch, "float32", torch.float64)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)


@pytest.fixture
def make_model():
    return lambda kind: make_adapted_model(kind, V).double()


def scores(replies: int, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sets (replies^n, n) of replies with their quality and similarity, graded, some qualities 0."""
    rng = np.random.default_rng(seed)
    q = rng.uniform(size=replies) * (rng.uniform(size=replies) > 0.3)
    s = rng.uniform(size=(replies, replies))
    s = (s + s.T) / 2
    np.fill_diagonal(s, 1.0)
    members = np.array(list(itertools.product(range(replies), repeat=n)))
    return members, q[members], s[members[:, :, None], members[:, None, :]]


def reply_log_probs(model, replies=REPLIES) -> torch.Tensor:
    """(replies,) by the shared prefix; a left-padded second prompt stands in the batch, so that padding is in play."""
    ids, mask = pad_sequences([PROMPT, [2, 2, 1, 3, 3]], PAD, left=True)
    tokens, reply_mask = pad_sequences([list(reply) for reply in replies], PAD, left=False)
    found = log_probs(model, prefill(model, ids, mask), torch.zeros(len(replies), dtype=torch.long), tokens, reply_mask)
    assert found.dtype == torch.float64
    return found.sum(-1)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", sorted(OBJECTIVES))
@pytest.mark.parametrize("kind", KINDS)
def test_mean_over_all_sets_of_three_is_the_gradient_of_the_expected_objective(kind, name, make_model):
    model = make_model(kind)
    names, parameters = zip(*lora_parameters(model), strict=True)
    log_p = reply_log_probs(model)
    assert log_p.detach().exp().sum().item() == pytest.approx(1.0, abs=1e-12)
    assert log_p.exp().max() < 0.9, "a policy that is almost certain tests little"

    members, q, s = scores(len(REPLIES), 3)
    values = torch.tensor(evaluate(OBJECTIVES[name], q, s))
    marginals = torch.tensor(marginal_contributions(OBJECTIVES[name], q, s))
    members = torch.tensor(members)
    probability = log_p[members].sum(-1).exp()
    exact = torch.autograd.grad((probability * values).sum(), parameters, retain_graph=True)
    weight = probability.detach()[:, None] * marginals
    mean = torch.autograd.grad((log_p[members] * weight).sum(), parameters)
    assert len(names) == 28
    for parameter, found, expected in zip(names, mean, exact, strict=True):
        assert expected.abs().max() > 1e-6, parameter
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10, msg=lambda text, name=parameter: f"{name}: {text}")


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_trainer_adds_to_the_loss_has_that_mean(kind, make_model, monkeypatch, tmp_path):
    """Every set of three one-token replies goes through `compute_loss` as if it had been sampled: sign, weight and scale of D."""
    n, lam, replies = 3, 0.7, [(a,) for a in range(V)]
    members, q, s = scores(len(replies), n, seed=1)
    model = make_model(kind)
    tokens, mask = pad_sequences([list(reply) for reply in replies], PAD, left=False)
    drawn: list[np.ndarray] = []

    def next_set(model, start, index, **settings):
        assert index.tolist() == [0] * n and settings["temperature"] == 1.0
        assert (settings["end_token"], settings["pad_token"], settings["max_new_tokens"]) == (END, PAD, 1)
        chosen = torch.tensor(drawn[-1])
        return Replies(tokens[chosen], mask[chosen], tokens[chosen].eq(END).any(-1))

    place = {tuple(row): i for i, row in enumerate(members.tolist())}
    config = SetObjectiveConfig(
        name="coverage",
        lam=lam,
        n=n,
        share=1.0,
        every=1,
        baseline="marginal",
        max_new_tokens=1,
        seed=0,
        score=lambda rows, sets: (q[[place[tuple(drawn[-1])]]], s[[place[tuple(drawn[-1])]]]),
    )
    monkeypatch.setattr(trainer_module, "sample", next_set)
    arguments = TrainingArguments(output_dir=str(tmp_path), report_to=[], use_cpu=True)
    trainer = PolychromicTrainer(
        model=model, args=arguments, data_collator=Collator(PAD), train_dataset=[{}], processing_class=Symbols(V), objective=config
    )
    model.train()
    batch = Collator(PAD)([{"prompt": PROMPT, "reply": [2, END], "row": 0}])
    names, parameters = zip(*lora_parameters(model), strict=True)
    log_p = reply_log_probs(model, replies)
    probability = log_p[torch.tensor(members)].sum(-1).exp()
    expected = torch.autograd.grad((probability * torch.tensor(evaluate(OBJECTIVES["coverage"], q, s))).sum(), parameters)

    start = prefill(model, batch["prompt"], batch["prompt_mask"])
    reference = log_probs(model, start, torch.zeros(1, dtype=torch.long), batch["reply"], batch["reply_mask"])
    quality = torch.autograd.grad(-reference.sum() / 2, parameters)
    mean = [torch.zeros_like(parameter) for parameter in parameters]
    for chosen, weight in zip(members, probability.tolist(), strict=True):
        drawn.append(chosen)
        for total, part in zip(mean, torch.autograd.grad(trainer.compute_loss(model, batch), parameters), strict=True):
            total += weight * part
    for parameter, found, ce, d in zip(names, mean, quality, expected, strict=True):
        torch.testing.assert_close(found, ce - lam * d, rtol=0, atol=1e-10, msg=lambda text, name=parameter: f"{name}: {text}")
