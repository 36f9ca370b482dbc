"""BERTScore and likelihoods of tiny random models, against the slow road: one pair, one whole sequence at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polychromic.errors import PolychromicError
from polychromic.metrics.neural import bertscore_f1, log_likelihoods
from polychromic.models.load import load_causal_lm
from tests.tiny import make_tiny_encoder, make_tiny_model

REPLIES = ["Spain", "", "a banana, and 👍🏽 two", "Spain Italy", "猫"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return make_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_likelihood_equals_that_of_the_whole_sequence(kind, tmp_path):
    model, tokenizer = load_causal_lm(make_tiny_model(tmp_path, kind), "float32", "cpu")
    prompt = tokenizer("Name a country")["input_ids"]
    found = log_likelihoods(model, tokenizer, prompt, REPLIES, rows=2)
    for reply, (total, tokens) in zip(REPLIES, found, strict=True):
        own = [*tokenizer(reply, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        with torch.no_grad():
            logits = model(torch.tensor([prompt + own])).logits[0].double()
        log_p = torch.log_softmax(logits, dim=-1)
        wanted = sum(float(log_p[len(prompt) + t - 1, token]) for t, token in enumerate(own))
        assert tokens == len(own)
        assert total == pytest.approx(wanted, abs=1e-4)
    assert found[1, 1] == 1, "an empty reply is its end token"


def test_likelihood_does_not_depend_on_the_order_asked(tmp_path):
    model, tokenizer = load_causal_lm(make_tiny_model(tmp_path), "float32", "cpu")
    prompt = tokenizer("Name a country")["input_ids"]
    forward = log_likelihoods(model, tokenizer, prompt, REPLIES)
    assert np.array_equal(forward[::-1], log_likelihoods(model, tokenizer, prompt, REPLIES[::-1]))


def test_bertscore_is_that_of_the_best_reference_and_symmetric_in_a_copy(encoder):
    references = [["a red cat"], ["a red cat"], ["blue sky", "a red cat"], ["blue sky"]]
    copy, empty, best, other = bertscore_f1(["a red cat", "", "a red cat", "a red cat"], references, encoder)
    assert copy == best == pytest.approx(1, abs=1e-6)
    assert empty == 0 and other < copy
    pair = bertscore_f1(["a red cat"], [["blue sky"]], encoder)
    assert pair[0] == pytest.approx(other, abs=1e-6), "batching changes nothing"


def test_bertscore_survives_a_text_longer_than_the_model(encoder):
    assert np.isfinite(bertscore_f1(["cat " * 2000], [["cat"]], encoder)).all()


@pytest.mark.parametrize("references", [[[]], [[" "]], [["a"], ["b"]]])
def test_a_candidate_without_a_reference_is_an_error(encoder, references):
    with pytest.raises(PolychromicError, match="bertscore: "):
        bertscore_f1(["a"], references, encoder)
