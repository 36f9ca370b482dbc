"""Rows with a prompt and a completion, as TRL and the Hub have them, to padded tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polychromic.models.decode import pad_sequences

ALLOWED = "a string, a list of chat messages ({'role', 'content'}) or a list of token ids"


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, Sequence) and len(value):
        if all(isinstance(part, dict) and {"role", "content"} <= part.keys() for part in value):
            return "chat"
        if all(isinstance(part, int) for part in value):
            return "ids"
    raise ValueError(f"got {type(value).__name__} {str(value)[:60]!r}, expected {ALLOWED}, not empty")


def encode_prompt(tokenizer, prompt: str | Sequence) -> list[int]:  # noqa: ANN001
    """Token ids up to where the reply starts. A chat goes through the tokenizer's template, thinking mode off where there is one."""
    kind = _kind(prompt)
    if kind == "ids":
        return list(prompt)
    if kind == "chat":
        return list(
            tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=False, enable_thinking=False)
        )
    ids = tokenizer(prompt)["input_ids"]
    if not ids:  # the first token of a reply is predicted from the last of its prompt
        raise ValueError(f"got {prompt!r}, which has no token, expected {ALLOWED}, not empty")
    return ids


def encode_completion(tokenizer, completion: str | Sequence) -> list[int]:  # noqa: ANN001
    """Token ids of the reply, the end token last. Ids are taken as they are."""
    kind = _kind(completion)
    if kind == "ids":
        return list(completion)
    text = completion[-1]["content"] if kind == "chat" else completion
    return [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]


@dataclass(frozen=True)
class Collator:
    """Rows {"prompt", "completion", ...} to tensors: prompts padded left, completions right.

    A row may carry "weight", a factor of its quality loss (1 where absent). All columns travel along as "examples":
    quality and similarity functions read them.

    Raises:
        ValueError: a row lacks a column or holds something else than text, a chat or token ids (names row and column).
    """

    tokenizer: Any

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        encoded: dict[str, list[list[int]]] = {"prompt": [], "completion": []}
        for number, row in enumerate(rows):
            for column, encode in (("prompt", encode_prompt), ("completion", encode_completion)):
                try:
                    encoded[column].append(encode(self.tokenizer, row[column]))
                except KeyError:
                    raise ValueError(
                        f"row {number} of the batch has no column {column!r}; it has {', '.join(row)}. Rename the dataset's columns."
                    ) from None
                except ValueError as error:
                    raise ValueError(f"row {number} of the batch, column {column!r}: {error}") from None
        prompt, prompt_mask = pad_sequences(encoded["prompt"], self.tokenizer.pad_token_id, left=True)
        tokens, mask = pad_sequences(encoded["completion"], self.tokenizer.pad_token_id, left=False)
        weight = torch.tensor([float(row.get("weight", 1.0)) for row in rows])
        return {
            "prompt": prompt,
            "prompt_mask": prompt_mask,
            "tokens": tokens,
            "mask": mask,
            "weight": weight,
            "examples": [dict(row) for row in rows],
        }


def append_replies(
    batch: dict[str, Any], rows: Sequence[tuple[int, tuple[int, ...]]], weight: np.ndarray, pad_token: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The batch's references with sampled replies behind them, to be scored in one pass.

    Args: rows (number of the prompt, tokens) of each reply; weight (len(rows),).
    Returns: index (R,) prompt of each row, tokens and mask (R, T), R = references + replies; weight of the replies as a float32 tensor.
    """
    device = batch["prompt"].device
    b, reference = batch["tokens"].shape
    width = max([reference, *(len(tokens) for _, tokens in rows)])
    tokens = torch.full((b + len(rows), width), pad_token, device=device)
    mask = torch.zeros(b + len(rows), width, dtype=torch.long, device=device)
    tokens[:b, :reference], mask[:b, :reference] = batch["tokens"], batch["mask"]
    for number, (_, reply) in enumerate(rows, start=b):
        tokens[number, : len(reply)] = torch.tensor(reply, device=device)
        mask[number, : len(reply)] = 1
    index = torch.tensor([*range(b), *(place for place, _ in rows)], device=device)
    return index, tokens, mask, torch.as_tensor(weight, dtype=torch.float32, device=device)
