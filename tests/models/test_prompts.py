"""Prompts: roles, exemplars, and user text that must arrive as it is."""

from __future__ import annotations

import pytest

from polychromic.base.errors import UsageError
from polychromic.data.domains import domain_names
from polychromic.models import prompts
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
    named = "engineered, helpful, conversational, technical"
    with pytest.raises(UsageError, match=f"variant 'one_shot' does not exist for listqa. Allowed: zero_shot, few_shot, list, {named}. See"):
        prompts.messages("one_shot", "listqa", "x")
    with pytest.raises(UsageError, match=f"prompt variant 'list' does not exist for replies. Allowed: zero_shot, few_shot, {named}. "):
        prompts.messages("list", "replies", "x")
    with pytest.raises(UsageError, match="has no prompts for domain 'poems'. It has: listqa, replies, creative, code. Add a section."):
        prompts.messages("zero_shot", "poems", "x")


ODD = ["a {b} {0} %s %(x)s $y 100%", "{{ message }} {% for x in y %}", "{prompt} {prompt}", "two\nlines  and\ttabs", "ça 🎉 ‮rtl", ""]


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("name", ["zero_shot", "list"])
def test_user_text_is_neither_formatted_nor_trimmed(name, text):
    tokenizer = tiny_tokenizer()
    decoded = tokenizer.decode(prompts.encode(tokenizer, prompts.messages(name, "listqa", text)))
    ask = {"zero_shot": "", "list": " Give ten different answers, one per line."}[name]
    assert f"<|im_start|>user\n{text}{ask}<|im_end|>" in decoded
    assert decoded.endswith("<|im_end|>\n<|im_start|>assistant\n")


@pytest.mark.parametrize("domain", domain_names())
@pytest.mark.parametrize("name", ["zero_shot", "few_shot", "engineered", "helpful", "conversational", "technical"])
def test_every_domain_has_the_named_variants(domain, name):
    chat = prompts.messages(name, domain, "x y", PAIRS[:1])
    assert chat[-1] == {"role": "user", "content": "x y"} and len(chat) == (4 if name == "few_shot" else 2)
    assert len({variant.system for variant in prompts.variants()[domain].values()}) >= 5, "each says it in its own way"


# prompts.yaml

ZERO_SHOT = "zero_shot: {system: Reply.}"


@pytest.fixture
def prompts_file(tmp_path, monkeypatch):
    """Reads another prompts.yaml: (text) -> what prompts.variants makes of it."""
    monkeypatch.setattr(prompts.resources, "files", lambda package: tmp_path)

    def read(text: str) -> dict:
        (tmp_path / "prompts.yaml").write_text(text, encoding="utf-8")
        prompts.variants.cache_clear()
        return prompts.variants()

    yield read
    prompts.variants.cache_clear()


def test_a_user_s_variant_is_used_as_written(prompts_file):
    prompts_file("listqa:\n  mine: {system: '50% {of} it', ask: 'Q: {prompt} {not a slot} %s', exemplars: true}\n")
    chat = prompts.messages("mine", "listqa", "{prompt}?", PAIRS[:1])
    assert [turn["content"] for turn in chat] == ["50% {of} it", "question 0", "answer 0", "Q: {prompt}? {not a slot} %s"]


@pytest.mark.parametrize(
    ("variant", "fragments"),
    [
        ("{system: Reply., sytem: x}", ["listqa.mine.sytem: Extra inputs are not permitted"]),
        ("{ask: '{prompt}'}", ["listqa.mine.system: Field required"]),
        ("{system: Reply., ask: Go on.}", ["listqa.mine: ", "ask must hold {prompt} once, got 'Go on.'"]),
        ("{system: Reply., ask: '{prompt} {prompt}'}", ["ask must hold {prompt} once"]),
        ("{system: Reply., list: 1}", ["list must be 2 or more, got 1"]),
        ("{system: Reply., list: ten}", ["listqa.mine.list: ", "valid integer"]),
        ("{system: Reply., exemplars: 4}", ["listqa.mine.exemplars: ", "valid boolean"]),
        ("Reply.", ["listqa.mine: ", "PromptVariant"]),
    ],
)
def test_a_bad_variant_is_one_message_with_its_key(variant, fragments, prompts_file):
    with pytest.raises(UsageError) as error:
        prompts_file(f"listqa:\n  {ZERO_SHOT}\n  mine: {variant}\n")
    for fragment in ["polychromic/models/prompts.yaml: ", *fragments, "Its head says what a variant may hold."]:
        assert fragment in str(error.value)


def test_all_mistakes_of_the_file_are_reported_at_once(prompts_file):
    with pytest.raises(UsageError) as error:
        prompts_file("listqa:\n  a: {system: 3}\nreplies:\n  b: {}\n")
    assert "listqa.a.system: " in str(error.value) and "replies.b.system: " in str(error.value)


# lists


@pytest.mark.parametrize(
    ("text", "replies"),
    [
        ("apple\nbanana\npear", ["apple", "banana", "pear"]),
        ("1. apple\n2.banana\n10) pear", ["apple", "banana", "pear"]),
        ("- apple\n* banana\n• pear", ["apple", "banana", "pear"]),
        ("(1) apple\n\n   \n 2: banana  ", ["apple", "banana", ""]),
        ("a\nb\nc\nd", ["a", "b", "c"]),
        ("7 UP\n1.5 litres\nA-B", ["7 UP", "1.5 litres", "A-B"]),
        ("-\n1.\napple", ["apple", "", ""]),
        ("", ["", "", ""]),
    ],
)
def test_a_list_is_read_line_by_line_without_bullets_and_numbers(text, replies):
    assert prompts.split_list(text, 3) == replies


def test_exemplars_are_shown_by_the_variants_that_say_so_alone():
    for name, shown in {"zero_shot": 0, "few_shot": 4, "list": 0}.items():
        assert len(prompts.messages(name, "listqa", "x", PAIRS[:2])) == 2 + shown


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
