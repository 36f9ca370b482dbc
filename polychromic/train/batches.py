"""Rows with a prompt and a completion, as TRL and the Hub have them, to padded tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from polychromic.models.decode import pad_sequences
from polychromic.models.prompts import encode, encode_text, reply_end

ALLOWED = "a string, a list of chat messages ({'role', 'content'}) or a list of token ids, not empty"


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, Sequence) and len(value):
        if all(isinstance(part, dict) and {"role", "content"} <= part.keys() for part in value):
            return "chat"
        if all(isinstance(part, int) for part in value):
            return "ids"
    raise ValueError(f"got {type(value).__name__} {str(value)[:60]!r}, expected {ALLOWED}")


def encode_prompt(tokenizer, prompt: str | Sequence) -> list[int]:  # noqa: ANN001
    """Token ids up to where the reply starts. A chat goes through the tokenizer's template, thinking mode off where there is one;
    a text that was rendered already is taken as it is."""
    kind = _kind(prompt)
    if kind == "ids":
        return list(prompt)
    if kind == "chat":
        return encode(tokenizer, prompt)
    ids = encode_text(tokenizer, prompt)
    if not ids:  # the first token of a reply is predicted from the last of its prompt
        raise ValueError(f"got {prompt!r}, which has no token, expected {ALLOWED}")
    return ids


def encode_completion(tokenizer, completion: str | Sequence) -> list[int]:  # noqa: ANN001
    """Token ids of the reply, last the end that the chat template gives it. Ids are taken as they are."""
    kind = _kind(completion)
    if kind == "ids":
        return list(completion)
    text = completion[-1]["content"] if kind == "chat" else completion
    return [*tokenizer(text, add_special_tokens=False)["input_ids"], reply_end(tokenizer)]


@dataclass(frozen=True)
class Collator:
    """Rows {"prompt", "completion", ...} to tensors: prompts padded left, completions right.

    A row may carry "weight", a factor of its quality loss (1 where absent). All columns travel along as "examples":
    quality and similarity functions read them.

    Raises ValueError: a row lacks a column or holds something else than text, a chat or token ids (names row and column).
    """

    tokenizer: Any

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        padded = []
        for column, ids_of in (("prompt", encode_prompt), ("completion", encode_completion)):
            encoded = []
            for number, row in enumerate(rows):
                if column not in row:
                    raise ValueError(f"row {number} of the batch has no column {column!r}; it has {', '.join(row)}. Rename them.")
                try:
                    encoded.append(ids_of(self.tokenizer, row[column]))
                except ValueError as error:
                    raise ValueError(f"row {number} of the batch, column {column!r}: {error}") from None
            padded += pad_sequences(encoded, self.tokenizer.pad_token_id, left=column == "prompt")
        prompt, prompt_mask, tokens, mask = padded
        weight = torch.tensor([float(row.get("weight", 1.0)) for row in rows])
        tensors = {"prompt": prompt, "prompt_mask": prompt_mask, "tokens": tokens, "mask": mask, "weight": weight}
        return tensors | {"examples": [dict(row) for row in rows]}


def append_replies(batch: dict[str, Any], rows: Sequence[tuple[int, tuple[int, ...]]], pad_token: int) -> tuple[Tensor, Tensor, Tensor]:
    """The batch's references with sampled replies behind them, to be scored in one pass.

    Args: rows (number of the prompt, tokens) of each reply.
    Returns: index (R,) prompt of each row, tokens and mask (R, T), R = references + replies.
    """
    device, (b, width) = batch["prompt"].device, batch["tokens"].shape
    tokens = torch.full((b + len(rows), max([width, *(len(reply) for _, reply in rows)])), pad_token, device=device)
    mask = torch.zeros_like(tokens)
    tokens[:b, :width], mask[:b, :width] = batch["tokens"], batch["mask"]
    for number, (_, reply) in enumerate(rows, start=b):
        tokens[number, : len(reply)] = torch.tensor(reply, device=device)
        mask[number, : len(reply)] = 1
    return torch.tensor([*range(b), *(place for place, _ in rows)], device=device), tokens, mask
