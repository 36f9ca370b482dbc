"""Prompt variants by name, and the one place where text becomes a chat prompt.

User text is placed in the chat as it is: it never passes through str.format or a template of ours.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from polychromic.errors import UsageError
from polychromic.seeds import derive_seed


@dataclass(frozen=True)
class PromptVariant:
    """A system message per domain, and whether solved examples precede the prompt."""

    system: dict[str, str]
    exemplars: bool = False


_TASK = {"listqa": "Reply with the name only.", "replies": "Reply to the post in one or two short sentences."}

VARIANTS = {
    "zero_shot": PromptVariant(_TASK),
    "few_shot": PromptVariant(_TASK, exemplars=True),
}


def variant(name: str) -> PromptVariant:
    if name not in VARIANTS:
        raise UsageError(f"prompt variant {name!r} does not exist. Allowed: {', '.join(VARIANTS)}. See polychromic/prompts.py.")
    return VARIANTS[name]


def choose_exemplars(pairs: Sequence[tuple[str, str]], count: int, seed: int) -> list[tuple[str, str]]:
    """`count` (prompt, reply) pairs drawn from training data, with a stream of their own."""
    if count > len(pairs):
        raise UsageError(f"few_shot.exemplars is {count}, but there are only {len(pairs)} training pairs. Lower it in params.yaml.")
    return random.Random(derive_seed(seed, "exemplars")).sample(list(pairs), count)


def messages(name: str, domain: str, prompt: str, exemplars: Sequence[tuple[str, str]] = ()) -> list[dict[str, str]]:
    """The chat of a prompt under a variant, as `apply_chat_template` takes it."""
    chosen = variant(name)
    chat = [{"role": "system", "content": chosen.system[domain]}]
    for question, answer in exemplars if chosen.exemplars else ():
        chat += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return [*chat, {"role": "user", "content": prompt}]


def encode(tokenizer, chat: list[dict[str, str]]) -> list[int]:  # noqa: ANN001 - keeps transformers out of the imports
    """Token ids of the chat up to where the reply starts. Thinking mode is off for the models that have one."""
    return list(tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=False, enable_thinking=False))
