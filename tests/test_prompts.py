"""Prompts: roles, exemplars, and user text that must arrive as it is."""

from __future__ import annotations

import pytest

from polychromic import prompts
from polychromic.errors import UsageError
from tests.tiny import tiny_tokenizer

PAIRS = [(f"question {i}", f"answer {i}") for i in range(10)]


def test_zero_shot_is_system_and_user():
    chat = prompts.messages("zero_shot", "listqa", "Name one kind of fruit.", PAIRS)
    assert [turn["role"] for turn in chat] == ["system", "user"]
    assert chat[-1]["content"] == "Name one kind of fruit."


def test_few_shot_puts_the_exemplars_before_the_prompt():
    chat = prompts.messages("few_shot", "replies", "hello", PAIRS[:2])
    assert [turn["role"] for turn in chat] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert [turn["content"] for turn in chat[1:]] == ["question 0", "answer 0", "question 1", "answer 1", "hello"]
    assert chat[0] == prompts.messages("zero_shot", "replies", "x")[0]
    assert chat[0] != prompts.messages("few_shot", "listqa", "x")[0], "each domain has its own system message"


def test_an_unknown_variant_is_refused():
    with pytest.raises(UsageError, match="prompt variant 'one_shot' does not exist. Allowed: zero_shot, few_shot"):
        prompts.messages("one_shot", "listqa", "x")


@pytest.mark.parametrize("text", ["a {b} {0} %s %(x)s $y", "{{ message }} {% for x in y %}", "two\nlines  and\ttabs", "ça 🎉 ‮rtl", ""])
def test_user_text_is_neither_formatted_nor_trimmed(text):
    tokenizer = tiny_tokenizer()
    decoded = tokenizer.decode(prompts.encode(tokenizer, prompts.messages("zero_shot", "listqa", text)))
    assert f"<|im_start|>user\n{text}<|im_end|>" in decoded
    assert decoded.endswith("<|im_end|>\n<|im_start|>assistant\n")


def test_encode_gives_a_plain_list_of_ids_that_depends_on_the_prompt_alone():
    tokenizer = tiny_tokenizer()
    one = prompts.encode(tokenizer, prompts.messages("zero_shot", "listqa", "x"))
    assert isinstance(one, list) and all(type(token) is int for token in one)
    assert one == prompts.encode(tokenizer, prompts.messages("zero_shot", "listqa", "x"))


def test_thinking_is_switched_off_where_the_template_has_a_switch():
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{% if enable_thinking is defined and enable_thinking is false %}off{% else %}on{% endif %}"
    assert tokenizer.decode(prompts.encode(tokenizer, [{"role": "user", "content": "x"}])) == "off"


def test_exemplars_are_drawn_without_replacement_by_seed_and_leave_the_global_stream():
    import random

    state = random.getstate()
    chosen = prompts.choose_exemplars(PAIRS, 4, seed=0)
    assert random.getstate() == state
    assert len(set(chosen)) == 4 and set(chosen) <= set(PAIRS)
    assert prompts.choose_exemplars(PAIRS, 4, seed=0) == chosen
    assert len({tuple(prompts.choose_exemplars(PAIRS, 4, seed=seed)) for seed in range(10)}) > 5
    assert sorted(prompts.choose_exemplars(PAIRS, 10, seed=0)) == sorted(PAIRS)


def test_more_exemplars_than_pairs_are_refused():
    with pytest.raises(UsageError, match="few_shot.exemplars is 11, but there are only 10"):
        prompts.choose_exemplars(PAIRS, 11, seed=0)
