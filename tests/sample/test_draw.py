"""Sampling of many prompts: order, batches, streams."""

from __future__ import annotations

import pytest
import torch

from polychromic.models.load import load_causal_lm
from polychromic.sample import draw as sampling
from polychromic.sample.draw import sample_prompts
from tests.tiny import make_tiny_model


@pytest.fixture(scope="module")
def model_and_tokenizer(tmp_path_factory):
    return load_causal_lm(make_tiny_model(tmp_path_factory.mktemp("sampling") / "llama"), "float32", "cpu")


@pytest.fixture(scope="module")
def encoded(model_and_tokenizer) -> list[list[int]]:
    tokenizer = model_and_tokenizer[1]
    texts = ["Name one kind of fruit. apple banana", "Spain", "a country that borders", "one", "system user assistant", "Italy France"]
    return [tokenizer(text)["input_ids"] for text in texts]


@pytest.fixture
def draw(model_and_tokenizer, encoded):
    def call(prompts=None, **changes):
        values = dict(n=3, temperature=1.0, max_new_tokens=5, rows=6, seed=0, what="test")
        return sample_prompts(*model_and_tokenizer, encoded if prompts is None else prompts, **(values | changes))

    return call


def test_each_prompt_gets_n_replies_with_lengths(draw, model_and_tokenizer):
    replies = draw()
    assert len(replies) == 6
    for reply in replies:
        assert set(reply) == {"samples", "tokens", "finished"}
        assert [len(reply[key]) for key in ("samples", "tokens", "finished")] == [3, 3, 3]
        assert all(1 <= tokens <= 5 and (done or tokens == 5) for tokens, done in zip(reply["tokens"], reply["finished"], strict=True))
        assert all(text == text.strip() for text in reply["samples"])


def test_a_reply_stands_with_its_own_prompt(draw, encoded, model_and_tokenizer):
    """Greedy replies, whatever the batches and the order of the prompts, are those of the prompt alone."""
    alone = [draw([prompt], n=1, temperature=0.0)[0] for prompt in encoded]
    assert len({reply["samples"][0] for reply in alone}) > 2
    for rows in (1, 4, 100):
        together = draw(n=2, temperature=0.0, rows=rows)
        assert together == [{key: value * 2 for key, value in reply.items()} for reply in alone]
    assert draw(encoded[::-1], n=1, temperature=0.0) == alone[::-1]


def test_replies_repeat_and_depend_on_seed_and_temperature_alone(draw):
    first = draw()
    state = torch.random.get_rng_state()
    torch.manual_seed(5)
    again = draw()
    torch.random.set_rng_state(state)
    assert again == first
    assert draw(seed=1) != first and draw(temperature=0.9) != first


def test_a_later_batch_does_not_depend_on_the_earlier_ones(draw):
    """Two batches of equal lengths: replacing the prompts of the first leaves the replies of the second."""
    short, long = [[5], [6]], [[7, 8, 9, 10], [11, 12, 13, 14]]
    first = draw(short + long)
    other = draw([[20], [21]] + long)
    assert first[2:] == other[2:] and first[:2] != other[:2]


def test_prompts_are_batched_by_length_within_the_rows_allowed(draw, monkeypatch):
    batches, prefill = [], sampling.prefill
    watched = lambda model, ids, mask: (batches.append(mask.sum(-1).tolist()), prefill(model, ids, mask))[1]
    monkeypatch.setattr(sampling, "prefill", watched)
    draw(n=3, rows=7)
    assert [len(batch) for batch in batches] == [2, 2, 2]
    lengths = [length for batch in batches for length in batch]
    assert lengths == sorted(lengths)
    batches.clear()
    draw(n=3, rows=1)
    assert [len(batch) for batch in batches] == [1] * 6, "one prompt at least"
