"""Prompt variants by name (prompts.yaml), and the one place where text becomes a chat prompt, and where it is said how a reply ends.

User text is placed in the chat as it is: it never passes through str.format or a template of ours.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator
from ruamel.yaml import YAML

from polychromic.base.errors import UsageError, problems
from polychromic.base.seeds import derive_seed

SLOT = "{prompt}"
_ASKED, _MARK = [{"role": "user", "content": "prompt"}], "polychromic"  # what a template is asked to render, to see what it puts around
_BULLET = re.compile(r"^\s*(?:[-*•]+|\(?\d+[.):](?!\d))\s*")  # "1.5 litres" is no item 1


class PromptVariant(BaseModel):
    """See the head of prompts.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    system: str
    exemplars: bool = False
    list: int | None = None
    ask: str = SLOT

    @model_validator(mode="after")
    def _consistent(self) -> PromptVariant:
        if self.ask.count(SLOT) != 1:
            raise ValueError(f"ask must hold {SLOT} once, got {self.ask!r}")
        if self.list is not None and self.list < 2:
            raise ValueError(f"list must be 2 or more, got {self.list}")
        return self


@cache
def variants() -> dict[str, dict[str, PromptVariant]]:
    """domain -> variant -> its text. Raises UsageError for a file that is not as its head says."""
    source = resources.files("polychromic.models").joinpath("prompts.yaml")
    try:
        return TypeAdapter(dict[str, dict[str, PromptVariant]]).validate_python(YAML(typ="safe").load(source.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise UsageError(f"polychromic/models/prompts.yaml: {problems(error)}. Its head says what a variant may hold.") from None


def variant(domain: str, name: str) -> PromptVariant:
    """Raises UsageError for a domain or variant that prompts.yaml does not have."""
    table = variants().get(domain)
    if table is None:
        has = f"It has: {', '.join(variants())}. Add a section."
        raise UsageError(f"polychromic/models/prompts.yaml has no prompts for domain {domain!r}. {has}")
    if name not in table:
        allowed = f"Allowed: {', '.join(table)}. See polychromic/models/prompts.yaml."
        raise UsageError(f"prompt variant {name!r} does not exist for {domain}. {allowed}")
    return table[name]


def choose_exemplars(pairs: Sequence[tuple[str, str]], count: int, seed: int) -> list[tuple[str, str]]:
    """`count` (prompt, reply) pairs drawn from training data, with a stream of their own."""
    if count > len(pairs):
        raise UsageError(f"few_shot.exemplars is {count}, but there are only {len(pairs)} training pairs. Lower it in params.yaml.")
    return random.Random(derive_seed(seed, "exemplars")).sample(list(pairs), count)


def messages(name: str, domain: str, prompt: str, exemplars: Sequence[tuple[str, str]] = ()) -> list[dict[str, str]]:
    """The chat of a prompt under a variant, as `apply_chat_template` takes it."""
    chosen = variant(domain, name)
    chat = [{"role": "system", "content": chosen.system}]
    for question, answer in exemplars if chosen.exemplars else ():
        chat += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    before, after = chosen.ask.split(SLOT)
    return [*chat, {"role": "user", "content": before + prompt + after}]


def encode(tokenizer, chat: list[dict[str, str]]) -> list[int]:  # noqa: ANN001 - keeps transformers out of the imports
    """Token ids of the chat up to where the reply starts. Thinking mode is off for the models that have one."""
    return list(tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=False, enable_thinking=False))


def encode_text(tokenizer, text: str) -> list[int]:  # noqa: ANN001
    """Token ids of a prompt as text, with the special tokens that the tokenizer adds (BOS, if any) unless it was rendered already.

    Rendered is what begins with BOS or, where what the chat template makes does not, with any special token. So a rendered chat has the
    ids of the chat.
    """
    return list(tokenizer(text, add_special_tokens=not _is_rendered(tokenizer, text))["input_ids"])


def _is_rendered(tokenizer, text: str) -> bool:  # noqa: ANN001
    bos = tokenizer.bos_token
    if bos and text.startswith(bos):
        return True
    if not tokenizer.chat_template or bos and tokenizer.apply_chat_template(_ASKED, tokenize=False).startswith(bos):
        return False
    return any(about.special and text.startswith(about.content) for about in tokenizer.added_tokens_decoder.values())


def reply_end(tokenizer) -> int:  # noqa: ANN001
    """The token with which the chat template ends a reply; the tokenizer's end token where there is no template, or it puts none there."""
    if getattr(tokenizer, "chat_template", None):
        chat = [*_ASKED, {"role": "assistant", "content": _MARK}]
        _, found, behind = tokenizer.apply_chat_template(chat, tokenize=False).rpartition(_MARK)
        special = {token for token, about in tokenizer.added_tokens_decoder.items() if about.special} | {tokenizer.eos_token_id}
        ids = tokenizer(behind, add_special_tokens=False)["input_ids"] if found else []
        return next((token for token in ids if token in special), tokenizer.eos_token_id)
    return tokenizer.eos_token_id


def end_tokens(tokenizer, model) -> list[int]:  # noqa: ANN001
    """All tokens at which a sampled reply ends: the tokenizer's, those of the model's generation_config, and the chat template's."""
    named = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    named = named if isinstance(named, Sequence) else [] if named is None else [named]
    return sorted({tokenizer.eos_token_id, reply_end(tokenizer), *named})


def split_list(text: str, count: int) -> list[str]:
    """The first `count` lines of a list reply without bullets and numbers; "" for the lines that are missing."""
    lines = [stripped for line in text.splitlines() if (stripped := _BULLET.sub("", line).strip())]
    return (lines + [""] * count)[:count]
