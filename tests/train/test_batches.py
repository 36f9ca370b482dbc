"""Rows of text, chats and token ids to tensors, and what is said about rows that are none of these."""

from __future__ import annotations

import pytest
import torch

from polychromic.train.batches import Collator, append_replies, encode_completion, encode_prompt
from tests.models.test_prompts import EOT, TURNS, special_tokenizer
from tests.symbols import END, PAD, Symbols
from tests.tiny import tiny_tokenizer

CHAT = [{"role": "system", "content": "Name one kind of fruit."}, {"role": "user", "content": "apple banana"}]


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


def test_prompts_are_padded_on_the_left_and_replies_on_the_right():
    """A pad token within a sequence is no padding."""
    rows = [{"prompt": [PAD, 6], "completion": [7, END]}, {"prompt": [8], "completion": [9, 1, END], "weight": 0.5, "row": 3}]
    batch = Collator(Symbols(END + 1))(rows)
    assert batch["prompt"].tolist() == [[PAD, 6], [PAD, 8]] and batch["prompt_mask"].tolist() == [[1, 1], [0, 1]]
    assert batch["tokens"].tolist() == [[7, END, PAD], [9, 1, END]] and batch["mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert batch["weight"].tolist() == [1.0, 0.5]
    assert batch["examples"] == rows and batch["examples"][0] is not rows[0]


def test_text_chat_and_ids_of_the_same_conversation_are_the_same_tokens(tokenizer):
    text = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in CHAT) + "<|im_start|>assistant\n"
    ids = tokenizer(text)["input_ids"]
    assert encode_prompt(tokenizer, CHAT) == encode_prompt(tokenizer, text) == encode_prompt(tokenizer, ids) == ids
    assert tokenizer.decode(ids) == text

    reply = encode_completion(tokenizer, "pear")
    assert reply[-1] == tokenizer.eos_token_id and reply.count(tokenizer.eos_token_id) == 1
    assert tokenizer.decode(reply[:-1]) == "pear"
    assert encode_completion(tokenizer, [{"role": "assistant", "content": "pear"}]) == reply
    assert encode_completion(tokenizer, reply) == reply
    assert encode_completion(tokenizer, reply[:-1]) == reply[:-1], "ids are taken as they are"


def test_a_target_ends_as_the_template_ends_a_reply_and_a_rendered_prompt_gets_no_second_bos():
    tokenizer = special_tokenizer("{{ bos_token }}" + TURNS, adds_bos=True)
    chat = [{"role": "user", "content": "apple"}]
    text = tokenizer.apply_chat_template(chat, tokenize=False)
    batch = Collator(tokenizer)([{"prompt": text, "completion": "pear"}, {"prompt": chat, "completion": chat}])
    assert batch["prompt"][0].tolist() == batch["prompt"][1].tolist() and batch["prompt"][0].tolist().count(tokenizer.bos_token_id) == 1
    assert batch["tokens"][0, batch["mask"][0].sum() - 1] == tokenizer.convert_tokens_to_ids(EOT) != tokenizer.eos_token_id


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "a", "completion": "b"}, "row 1 of the batch has no column 'prompt'; it has text, completion. Rename them"),
        ({"prompt": "a", "answer": "b"}, "row 1 of the batch has no column 'completion'; it has prompt, answer"),
        ({"prompt": 7, "completion": "b"}, "row 1 of the batch, column 'prompt': got int '7', expected a string, a list of chat messages"),
        ({"prompt": "a", "completion": None}, "row 1 of the batch, column 'completion': got NoneType 'None', expected"),
        ({"prompt": [], "completion": "b"}, "row 1 of the batch, column 'prompt': got list '\\[\\]', expected .* not empty"),
        ({"prompt": ["a", "b"], "completion": "b"}, "column 'prompt': got list .* a list of token ids"),
        ({"prompt": [{"role": "user"}], "completion": "b"}, "column 'prompt': got list .*\\{'role', 'content'\\}"),
        ({"prompt": "", "completion": "b"}, "row 1 of the batch, column 'prompt'"),  # no state to predict a reply from
    ],
)
def test_bad_rows_are_named(tokenizer, row, message):
    with pytest.raises(ValueError, match=message):
        Collator(tokenizer)([{"prompt": "a", "completion": "b"}, row])


def test_replies_are_appended_behind_the_references():
    batch = Collator(Symbols(END + 1))([{"prompt": [5], "completion": [7, END]}, {"prompt": [8], "completion": [9]}])
    index, tokens, mask = append_replies(batch, [(1, (3, 4, END)), (1, (2,)), (0, (6, END))], PAD)
    assert index.tolist() == [0, 1, 1, 1, 0]
    assert tokens.tolist() == [[7, END, PAD], [9, PAD, PAD], [3, 4, END], [2, PAD, PAD], [6, END, PAD]]
    assert mask.sum(-1).tolist() == [2, 1, 3, 1, 2] and mask[3].tolist() == [1, 0, 0]
    index, tokens, mask = append_replies(batch, [], PAD)
    assert index.tolist() == [0, 1] and torch.equal(tokens, batch["tokens"]) and torch.equal(mask, batch["mask"])
