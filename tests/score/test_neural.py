"""BERTScore and likelihoods of tiny random models, against the slow road: one pair, one whole sequence at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from bert_score import BERTScorer
from transformers import AutoModel, AutoTokenizer

from polychromic.base.errors import PolychromicError
from polychromic.models.load import load_causal_lm
from polychromic.score import neural
from polychromic.score.neural import bertscore_f1, log_likelihoods
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
    for reply, alone in zip(REPLIES, forward, strict=True):
        assert np.array_equal(log_likelihoods(model, tokenizer, prompt, [reply])[0], alone), "nor on what else is asked"


def test_bertscore_is_that_of_the_best_reference_and_symmetric_in_a_copy(encoder):
    references = [["a red cat"], ["a red cat"], ["blue sky", "a red cat"], ["blue sky"]]
    copy, empty, best, other = bertscore_f1(["a red cat", "", "a red cat", "a red cat"], references, encoder)
    assert copy == best == pytest.approx(1, abs=1e-6)
    assert empty == 0 and other < copy
    assert bertscore_f1(["a red cat"], [["blue sky"]], encoder)[0] == other, "what else is asked changes no bit"


TEXTS = [
    "a red cat",
    "blue sky",
    "the cat, the cat; a red one!",
    "yes",
    "猫 \U0001f44d",
    "don't",
    "é",
    "a red cat sat on the blue sky " * 3,
]
MARKS = {"[CLS]", "[SEP]"}


def greedy_f1(candidate: str, references: list[str], encoder: Path, layer: int) -> float:
    """Zhang et al. 2020, section 3: each token takes its most similar one on the other side; marks are taken but do not count."""
    tokenizer, model = AutoTokenizer.from_pretrained(encoder), AutoModel.from_pretrained(encoder).eval()

    def encode(text: str) -> tuple[np.ndarray, np.ndarray]:
        ids = tokenizer(text, truncation=True, max_length=128)["input_ids"]
        with torch.no_grad():
            vectors = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[layer][0].double().numpy()
        counts = np.array([token not in MARKS for token in tokenizer.convert_ids_to_tokens(ids)])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), counts

    best, (own, own_counts) = -1.0, encode(candidate)
    for text in references:
        other, other_counts = encode(text)
        precision = np.mean([max(float(u @ v) for v in other) for u in own[own_counts]])
        recall = np.mean([max(float(u @ v) for u in own) for v in other[other_counts]])
        best = max(best, 2 * precision * recall / (precision + recall))
    return best


@pytest.mark.parametrize("layer", [1, 2])
def test_bertscore_against_greedy_matching_by_hand_and_bert_score_s_own_scorer(encoder, layer, monkeypatch):
    monkeypatch.setattr(neural, "BERTSCORE_LAYER", layer)
    neural._scorer.cache_clear()
    references = [[TEXTS[(i + 1) % len(TEXTS)], TEXTS[(i + 3) % len(TEXTS)]] for i in range(len(TEXTS))]
    found = bertscore_f1(TEXTS, references, encoder)
    neural._scorer.cache_clear()
    assert found == pytest.approx([greedy_f1(text, refs, encoder, layer) for text, refs in zip(TEXTS, references, strict=True)], abs=1e-5)
    own = BERTScorer(model_type=str(encoder), num_layers=layer, device="cpu")
    own._tokenizer.model_max_length = 128
    assert found == pytest.approx(own.score(TEXTS, references)[2].numpy(), abs=1e-5), "in batches of 64"


def test_a_candidate_without_a_token_scores_what_bert_score_declares(encoder, capsys):
    """A mark of width zero is stripped by the tokenizer, not by str.strip: the library itself scores it, and says so."""
    nothing = "\u200b"
    assert nothing.strip()
    assert bertscore_f1(["", nothing], [["a red cat"]] * 2, encoder).tolist() == [0, 0]
    assert "setting raw BERTscores to 0" in capsys.readouterr().err


def test_bertscore_survives_a_text_longer_than_the_model(encoder):
    assert np.isfinite(bertscore_f1(["cat " * 2000], [["cat"]], encoder)).all()


@pytest.mark.parametrize("references", [[[]], [[" "]], [["a"], ["b"]]])
def test_a_candidate_without_a_reference_is_an_error(encoder, references):
    with pytest.raises(PolychromicError, match="bertscore: "):
        bertscore_f1(["a"], references, encoder)
