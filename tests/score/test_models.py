"""What models are asked: values against the slow road, and the same bytes however often a run is killed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from polychromic.base.errors import PolychromicError
from polychromic.models import readers
from polychromic.models.load import load_causal_lm
from polychromic.models.prompts import reply_end
from polychromic.models.readers import fluencies, log_likelihoods
from polychromic.score import models
from polychromic.score.models import Likelihoods, Pieces, bertscore_f1, bertscores
from polychromic.score.text import tokenize
from tests.tiny import make_tiny_encoder, make_tiny_model
from tests.workspace import make_models, small_params

REPLIES = ["Spain", "", "a banana, and 👍🏽 two", "Spain Italy", "猫"]
TEXTS = ["a red cat", "blue sky", "the cat, the cat; a red one!", "yes", "猫 👍", "don't", "é", "a red cat sat on the blue sky " * 3]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return make_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_likelihood_equals_that_of_the_whole_sequence(kind, tmp_path):
    """Of prompts and replies of any length in one batch, and in several; padding moves last bits alone."""
    model, tokenizer = load_causal_lm(make_tiny_model(tmp_path, kind), "float32", "cpu")
    asked = [
        (tokenizer(text)["input_ids"], texts)
        for text, texts in (("Name a country", REPLIES), ("Name", ["Spain"]), ("A red cat sat", TEXTS))
    ]
    found = log_likelihoods(model, tokenizer, asked)
    for (prompt, texts), rows in zip(asked, found, strict=True):
        assert rows.shape == (len(texts), 2)
        for reply, (total, tokens) in zip(texts, rows, strict=True):
            own = [*tokenizer(reply, add_special_tokens=False)["input_ids"], reply_end(tokenizer)]
            with torch.no_grad():
                log_p = torch.log_softmax(model(torch.tensor([prompt + own])).logits[0].double(), dim=-1)
            assert tokens == len(own)
            assert total == pytest.approx(sum(float(log_p[len(prompt) + t - 1, token]) for t, token in enumerate(own)), abs=1e-4)
    assert found[0][1, 1] == 1, "an empty reply is its end token"
    again, smaller, backwards = (log_likelihoods(model, tokenizer, asked), log_likelihoods(model, tokenizer, asked, rows=2),
                                 log_likelihoods(model, tokenizer, asked[::-1])[::-1])  # fmt: skip
    assert all(map(np.array_equal, found, again)) and all(map(close, found, smaller)) and all(map(close, found, backwards))
    for (prompt, texts), rows in zip(asked, found, strict=True):
        alone = np.concatenate([log_likelihoods(model, tokenizer, [(prompt, [text])])[0] for text in texts])
        assert close(alone, rows), "what else is asked"


@pytest.mark.parametrize("rows", [1, 2, 64])
def test_fluency_is_the_mean_of_the_whole_sequence_and_of_its_worst_three_tokens(rows, tmp_path):
    """Whatever shares a batch and is padded to its length."""
    model, tokenizer = load_causal_lm(make_tiny_model(tmp_path), "float32", "cpu")
    prompt = tokenizer("Name a country")["input_ids"]
    found, tokens = fluencies(model, tokenizer, prompt, REPLIES, rows=rows)
    for reply, (mean, worst), n in zip(REPLIES, found, tokens, strict=True):
        own = [*tokenizer(reply, add_special_tokens=False)["input_ids"], reply_end(tokenizer)]
        with torch.no_grad():
            log_p = torch.log_softmax(model(torch.tensor([prompt + own])).logits[0].double(), dim=-1)
        each = [float(log_p[len(prompt) + t - 1, token]) for t, token in enumerate(own)]
        assert n == len(each) and mean == pytest.approx(np.mean(each), abs=1e-4)
        assert worst == pytest.approx(min(np.mean(each[i : i + 3]) for i in range(max(1, len(each) - 2))), abs=1e-4)


def close(a: np.ndarray, b: np.ndarray) -> bool:
    return np.allclose(a, b, rtol=0, atol=1e-4)


def test_bertscore_is_that_of_the_best_reference_and_symmetric_in_a_copy(encoder, capsys):
    copy, empty, other = bertscore_f1(["a red cat", "", "blue sky"], ["a red cat"], encoder)
    assert copy == bertscore_f1(["a red cat"], ["blue sky", "a red cat"], encoder)[0] == pytest.approx(1, abs=1e-6)
    assert empty == 0 and other < copy
    assert bertscore_f1(["blue sky"], ["a red cat"], encoder)[0] == other, "what else is asked changes no bit"
    assert bertscore_f1(["", "\u200b"], ["a red cat"], encoder).tolist() == [0, 0]
    assert "setting" not in capsys.readouterr().err, "what shows nothing is not asked about"
    # An accent alone shows, but is stripped by the tokenizer: the library itself scores it, and says so.
    assert bertscore_f1(["\u0301"], ["a red cat"], encoder).tolist() == [0]
    assert "setting raw BERTscores to 0" in capsys.readouterr().err
    assert np.isfinite(bertscore_f1(["cat " * 2000], ["cat"], encoder)).all(), "longer than the model"


@pytest.mark.parametrize(("kind", "usable"), [("bert", 128), ("roberta", 127)])
@pytest.mark.parametrize("limit", [128, None])
def test_bertscore_cuts_a_text_where_the_positions_end(kind, usable, limit, tmp_path):
    """RoBERTa's first position is behind the padding's number; one token more is an index error."""
    folder = make_tiny_encoder(tmp_path / kind, kind=kind, limit=limit)
    marked = lambda tokens: "x " * (tokens - 3) + "z"  # two marks, and the last token differs
    models._scorer.cache_clear()
    whole, cut = (bertscore_f1([marked(n), marked(n)[:-1] + "y"], [marked(n)], folder) for n in (usable, usable + 1))
    models._scorer.cache_clear()
    assert whole[1] < whole[0] - 1e-3, "the last token that has a position is read"
    assert cut[1] == pytest.approx(cut[0], abs=1e-5), "the first that has none is not"


def greedy_f1(candidate: str, references: list[str], encoder: Path, layer: int) -> float:
    """Zhang et al. 2020, section 3: each token takes its most similar one on the other side; marks are taken but do not count."""
    tokenizer, model = AutoTokenizer.from_pretrained(encoder), AutoModel.from_pretrained(encoder).eval()

    def encode(text: str) -> tuple[np.ndarray, np.ndarray]:
        ids = tokenizer(text, truncation=True, max_length=128)["input_ids"]
        with torch.no_grad():
            vectors = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[layer][0].double().numpy()
        counts = np.array([token not in ("[CLS]", "[SEP]") for token in tokenizer.convert_ids_to_tokens(ids)])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), counts

    best, (own, own_counts) = -1.0, encode(candidate)
    for text in references:
        other, other_counts = encode(text)
        cosines = own @ other.T
        precision, recall = cosines.max(axis=1)[own_counts].mean(), cosines.max(axis=0)[other_counts].mean()
        best = max(best, 2 * precision * recall / (precision + recall))
    return best


@pytest.mark.parametrize("layer", [1, 2])
def test_bertscore_against_greedy_matching_by_hand(encoder, layer, monkeypatch):
    monkeypatch.setattr(models, "BERTSCORE_LAYER", layer)
    models._scorer.cache_clear()
    references = TEXTS[1::3]
    found = bertscore_f1(TEXTS, references, encoder)
    models._scorer.cache_clear()
    assert found == pytest.approx([greedy_f1(text, references, encoder, layer) for text in TEXTS], abs=1e-5)


def test_a_candidate_without_a_reference_is_an_error(encoder):
    for references in ([], ["a", " "]):
        with pytest.raises(PolychromicError, match="bertscore: "):
            bertscore_f1(["a"], references, encoder)


ALL = {"a": ["red cat", "blue", "", "👍"], "b": ["red", "a long red pear of the sea", "red"], "c": ["猫"]}


def ask(replies: dict[str, list[str]]) -> dict:
    return bertscores(small_params(), {name: (texts, [f"red {name}", "blue"]) for name, texts in replies.items()})


def watch(monkeypatch, fail_at: int = 99) -> list[list[str]]:
    """The texts of each call of the model; call number `fail_at` is a kill."""
    calls, real = [], models.bertscore_f1

    def watched(texts, *rest):
        if len(calls) == fail_at:
            raise KeyboardInterrupt
        calls.append(list(texts))
        return real(texts, *rest)

    monkeypatch.setattr(models, "bertscore_f1", watched)
    return calls


def cached_files(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(cache.rglob("*")) if path.is_file()}


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    make_models(tmp_path)
    return tmp_path


@pytest.fixture
def at_once(place, monkeypatch) -> tuple[dict, dict[str, bytes]]:
    """What a run that asks for everything gets, and the files that it leaves; in a cache of its own."""
    with monkeypatch.context() as patch:
        patch.setenv("POLYCHROMIC_CACHE", str(place / "other"))
        return ask(ALL), cached_files(place / "other" / "bertscore")


def test_a_new_cell_asks_for_what_is_new_and_changes_no_bit(place, at_once, monkeypatch):
    wanted, files = at_once
    assert wanted.keys() == {(name, text) for name, texts in ALL.items() for text in texts}
    calls = watch(monkeypatch)
    first = ask({"a": ["red cat", ""], "b": ["red"]})
    assert first.items() <= wanted.items() and calls == [["", "red cat"], ["red"]]
    calls.clear()
    assert ask(dict(reversed(ALL.items()))) == wanted
    assert calls == [["blue", "👍"], ["a long red pear of the sea"], ["猫"]]
    assert cached_files(place / "cache" / "bertscore") == files and len(files) == len(ALL), "a file per prompt"
    calls.clear()
    assert ask(ALL) == wanted and not calls
    assert ask({"a": ["red"]})["a", "red"] != wanted["b", "red"], "the references count"


def test_a_kill_loses_one_prompt_and_changes_no_bit(place, at_once, monkeypatch):
    wanted, files = at_once
    with monkeypatch.context() as patch:
        watch(patch, fail_at=1)
        with pytest.raises(KeyboardInterrupt):
            ask(ALL)
    calls = watch(monkeypatch)
    assert ask(ALL) == wanted and len(calls) == 2, "the first prompt was kept"
    assert cached_files(place / "cache" / "bertscore") == files


def test_likelihoods_are_kept_by_all_that_is_asked_at_once(place, monkeypatch):
    """Asked for again, no model is loaded; asked together with others, or for other prompts, it is another unit."""
    asked = [("Name a cat", ["red cat", "blue", ""]), ("Name a pear of the sea", ["red cat"])]
    ask = lambda asked, title="likelihood": Likelihoods(small_params(), "listqa")(asked, title)
    monkeypatch.setattr(models, "BATCH", 1)
    first = ask(asked)
    assert [rows.shape for rows in first] == [(3, 2), (1, 2)] and (np.concatenate(first)[:, 0] < 0).all()
    assert not np.allclose(first[0][0], first[1][0]), "the prompt counts"
    with monkeypatch.context() as patch:
        patch.setattr(readers, "log_likelihoods", lambda *_: pytest.fail("asked again"))
        assert all(map(np.array_equal, ask(asked, "another title"), first))
    assert len(cached_files(place / "cache" / "likelihood")) == 1
    monkeypatch.setattr(models, "BATCH", 200)
    assert close(ask(asked[::-1])[1], first[0]) and close(ask(asked[1:])[0], first[1])
    assert len(cached_files(place / "cache" / "likelihood")) == 3


UNITS = {  # what is asked at once: of a seed and a temperature
    "seed 0": [("Name a cat", ["red cat", "blue"]), ("Name a pear of the sea", ["a long red pear", ""]), ("Name a sea", ["猫"])],
    "seed 1": [("Name a cat", ["blue", "red cat"]), ("Name a sea", ["red"])],
}
UNIT_KINDS = {  # kind -> how a unit is asked, and the function that asks the model
    "likelihood": (lambda known, unit: known(UNITS[unit], unit), "log_likelihoods"),
    "fluency": (lambda known, unit: [known.fluency([text for _, texts in UNITS[unit] for text in texts], unit)], "fluencies"),
}


def units(kind: str) -> dict[str, list]:
    known = Likelihoods(small_params(), "creative")
    return {unit: [part.tolist() for part in UNIT_KINDS[kind][0](known, unit)] for unit in UNITS}


def kill(monkeypatch, name: str, at: int = 99) -> list:
    """Calls of a function of polychromic.models.readers so far; call number `at` is a kill."""
    calls, real = [], getattr(readers, name)

    def watched(*arguments):
        if len(calls) == at:
            raise KeyboardInterrupt
        calls.append(1)
        return real(*arguments)

    monkeypatch.setattr(readers, name, watched)
    return calls


@pytest.mark.parametrize(("kind", "batch", "at", "kept"), [
    ("likelihood", 200, 1, 1), ("fluency", 200, 1, 1), ("likelihood", 1, 1, 0), ("likelihood", 1, 4, 1),
])  # fmt: skip
def test_a_kill_loses_one_unit_and_changes_no_bit(kind, batch, at, kept, place, monkeypatch):
    """Between units, or within one (batches of one prompt): a unit is kept whole or not at all."""
    monkeypatch.setattr(models, "BATCH", batch)
    cache, name = place / "cache", UNIT_KINDS[kind][1]
    with monkeypatch.context() as patch:
        patch.setenv("POLYCHROMIC_CACHE", str(place / "other"))
        wanted = units(kind)
    with monkeypatch.context() as patch:
        kill(patch, name, at)
        with pytest.raises(KeyboardInterrupt):
            units(kind)
    assert len(cached_files(cache)) == kept
    calls = kill(monkeypatch, name)
    assert units(kind) == wanted and cached_files(cache) == cached_files(place / "other") and len(cached_files(cache)) == len(UNITS)
    asked = len(calls)
    assert units(kind) == wanted and len(calls) == asked > 0, "nothing is asked twice"


@pytest.mark.usefixtures("place")
def test_pieces_are_the_encoder_s_without_marks():
    pieces = Pieces(small_params())
    first, again, empty = pieces(["red cat", "red cat", ""])
    assert first == again and len(set(first)) >= 2 and empty == []
    assert pieces.vocabulary > max(first)
    assert len(pieces(["สวัสดี"])[0]) == len(tokenize("สวัสดี")) == 4, "a Thai word is not one unknown piece"
