"""Prompts: roles, exemplars, and user text that must arrive as it is."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from tokenizers import processors

from polychromic.base.errors import UsageError
from polychromic.data.domains import domain_names
from polychromic.models import prompts
from tests.tiny import CHATML, tiny_tokenizer

PAIRS = [(f"question {i}", f"answer {i}") for i in range(10)]


@pytest.mark.parametrize(("name", "shown"), [("zero_shot", 0), ("few_shot", 2), ("list", 0)])
def test_exemplars_stand_before_the_prompt_in_the_variants_that_say_so(name, shown):
    chat = prompts.messages(name, "listqa", "hello", PAIRS[:2])
    assert [turn["role"] for turn in chat] == ["system", *["user", "assistant"] * shown, "user"]
    assert [turn["content"] for turn in chat[1:-1]] == ["question 0", "answer 0", "question 1", "answer 1"][: 2 * shown]
    assert chat[-1]["content"].startswith("hello")
    assert chat[0] != prompts.messages("few_shot", "replies", "x")[0], "each domain has its own system message"


def test_an_unknown_variant_is_refused():
    named = "engineered, helpful, conversational, technical"
    for name, domain, said in [
        ("one_shot", "listqa", f"variant 'one_shot' does not exist for listqa. Allowed: zero_shot, few_shot, list, {named}. See"),
        ("list", "replies", f"prompt variant 'list' does not exist for replies. Allowed: zero_shot, few_shot, {named}. "),
        ("zero_shot", "poems", "has no prompts for domain 'poems'. It has: listqa, replies, creative, code. Add a section."),
    ]:
        with pytest.raises(UsageError, match=said):
            prompts.messages(name, domain, "x")


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


@pytest.mark.parametrize(("variant", "fragments"), [
    ("{system: Reply., sytem: x}", ["listqa.mine.sytem: Extra inputs are not permitted"]),
    ("{ask: '{prompt}'}", ["listqa.mine.system: Field required"]),
    ("{system: Reply., ask: Go on.}", ["listqa.mine: ", "ask must hold {prompt} once, got 'Go on.'"]),
    ("{system: Reply., list: 1}", ["list must be 2 or more, got 1"]),
    ("{system: 3, list: ten}", ["listqa.mine.system: ", "listqa.mine.list: ", "valid integer"]),
    ("Reply.", ["listqa.mine: ", "PromptVariant"]),
])  # fmt: skip
def test_a_bad_variant_is_one_message_with_its_key(variant, fragments, prompts_file):
    with pytest.raises(UsageError) as error:
        prompts_file(f"listqa:\n  {ZERO_SHOT}\n  mine: {variant}\n")
    for fragment in ["polychromic/models/prompts.yaml: ", *fragments, "Its head says what a variant may hold."]:
        assert fragment in str(error.value)


@pytest.mark.parametrize(("text", "replies"), [
    ("apple\nbanana\npear", "apple banana pear"), ("1. apple\n2.banana\n10) pear", "apple banana pear"),
    ("- apple\n* banana\n• pear", "apple banana pear"), ("(1) apple\n\n   \n 2: banana  ", "apple banana "), ("a\nb\nc\nd", "a b c"),
    ("7-UP\n1.5-litres\nA-B", "7-UP 1.5-litres A-B"), ("-\n1.\napple", "apple  "), ("", "  "),
])  # fmt: skip
def test_a_list_is_read_line_by_line_without_bullets_and_numbers(text, replies):
    assert prompts.split_list(text, 3) == replies.split(" ") and prompts.split_list("7 UP\n1.5 litres", 2) == ["7 UP", "1.5 litres"]


def test_encode_gives_a_plain_list_of_ids_and_switches_thinking_off_where_the_template_can():
    tokenizer = tiny_tokenizer()
    one = prompts.encode(tokenizer, prompts.messages("zero_shot", "listqa", "x"))
    assert isinstance(one, list) and all(type(token) is int for token in one)
    assert one == prompts.encode(tokenizer, prompts.messages("zero_shot", "listqa", "x"))
    tokenizer.chat_template = "{% if enable_thinking is defined and enable_thinking is false %}off{% else %}on{% endif %}"
    assert tokenizer.decode(prompts.encode(tokenizer, [{"role": "user", "content": "x"}])) == "off"


def test_exemplars_are_drawn_without_replacement_by_seed_and_leave_the_global_stream():
    state, chosen = random.getstate(), prompts.choose_exemplars(PAIRS, 4, seed=0)
    assert random.getstate() == state and chosen == prompts.choose_exemplars(PAIRS, 4, seed=0)
    assert len(set(chosen)) == 4 and set(chosen) <= set(PAIRS) and sorted(prompts.choose_exemplars(PAIRS, 10, seed=0)) == sorted(PAIRS)
    assert len({tuple(prompts.choose_exemplars(PAIRS, 4, seed=seed)) for seed in range(10)}) > 5
    with pytest.raises(UsageError, match="few_shot.exemplars is 11, but there are only 10"):
        prompts.choose_exemplars(PAIRS, 11, seed=0)


BOS, TURN, EOT, EOS = "<|endoftext|>", "<|im_start|>", "<|eot|>", "<|im_end|>"
TURNS = "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|eot|>' }}{% endfor %}"
PLAIN = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
OWN_EOS = "{% for m in messages %}{{ m['content'] }}{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"


def special_tokenizer(template: str | None, adds_bos: bool = False):  # noqa: ANN201
    """With <|endoftext|> as BOS, <|im_end|> as EOS, and a special <|eot|> that is neither."""
    tokenizer = tiny_tokenizer()
    tokenizer.bos_token, tokenizer.chat_template = BOS, template
    tokenizer.add_special_tokens({"additional_special_tokens": [EOT]})
    if adds_bos:
        of = tokenizer.convert_tokens_to_ids(BOS)
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(f"{BOS} $A", f"{BOS} $A $B", [(BOS, of)])
        assert tokenizer("x")["input_ids"][0] == of
    return tokenizer


@pytest.mark.parametrize("adds_bos", [True, False])
@pytest.mark.parametrize(("template", "in_chat"), [("{{ bos_token }}" + CHATML, 1), ("{{ bos_token }}" + PLAIN, 1), (TURNS, 0)])
def test_a_rendered_prompt_has_the_ids_of_its_chat_and_bos_once_where_the_template_has_it(template, in_chat, adds_bos):
    tokenizer = special_tokenizer(template, adds_bos)
    bos = tokenizer.convert_tokens_to_ids(BOS)
    for chat in ([{"role": "user", "content": "apple"}], [{"role": "system", "content": "Name."}, {"role": "user", "content": "apple"}]):
        ids = prompts.encode(tokenizer, chat)
        assert ids.count(bos) == in_chat
        assert prompts.encode_text(tokenizer, tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)) == ids


@pytest.mark.parametrize("template", [None, "{{ bos_token }}" + TURNS, TURNS, PLAIN])
def test_a_text_has_bos_once_where_the_tokenizer_adds_it_however_it_begins(template):
    for adds_bos in (True, False):
        tokenizer = special_tokenizer(template, adds_bos)
        bos = tokenizer.convert_tokens_to_ids(BOS)
        assert prompts.encode_text(tokenizer, "apple").count(bos) == adds_bos
        assert prompts.encode_text(tokenizer, f"{BOS}apple") == [bos, *tokenizer("apple", add_special_tokens=False)["input_ids"]]
    if template and "bos_token" in template:
        assert prompts.encode_text(special_tokenizer(template, True), f"{TURN}user")[0] == bos, "what lacks it was not made by the template"


@pytest.mark.parametrize(("template", "end"), [(CHATML, EOS), (TURNS, EOT), (OWN_EOS, EOS), (PLAIN, EOS), ("off", EOS), (None, EOS)])
def test_a_reply_ends_with_what_the_template_ends_it_with_and_is_drawn_up_to_any_end(template, end):
    tokenizer = special_tokenizer(template)
    pad, eos, end = (tokenizer.convert_tokens_to_ids(token) for token in (BOS, EOS, end))
    assert prompts.reply_end(tokenizer) == end
    for named, more in ((None, []), (eos, []), (pad, [pad]), ([eos, pad], [pad]), ([7, 9], [7, 9])):
        model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=named))
        assert prompts.end_tokens(tokenizer, model) == sorted({eos, end, *more})
    assert prompts.end_tokens(tokenizer, SimpleNamespace()) == sorted({eos, end}), "a model without a generation_config"
