"""Decoding many replies to one prompt: what the prompt left in the cache is kept once per prompt, not once per reply.

A decoder holds one row per distinct (prompt, reply so far). `step` feeds each row its next token; `split` lets rows end
or part. Two of them, the same numbers up to rounding:

    Branches   a row carries the keys and values of its own reply alone; attention reads the prompt's from where the
               prefill left them, all rows of a prompt in one product (Hydragen, arXiv 2402.05099; cascade attention).
               With N replies to a prompt of P tokens a step reads P keys instead of N * P.
    Copies     a row carries a copy of its prompt's, as transformers does: for models whose attention is not known here.

Shapes: B prompts, R rows, H heads, K key-value heads, g = H / K, P prompt length, t reply length so far, h head size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, DynamicCache

ATTENTION = "polychromic_branches"
KNOWN = ("llama", "qwen2", "qwen3")  # model types whose attention is softmax(q k / sqrt(h)) v over all earlier tokens


def branch_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    *,
    scaling: float,
    branches: Branches,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of one new token per row to its prompt and to its own reply, in the form that transformers calls.

    Args: query (R, H, 1, h); key, value (R, K, t, h) of the replies. All rows are t tokens long, so nothing is masked among them.
    """
    prompt_key, prompt_value = branches.keys_values[module.layer_idx]
    rows = query.unflatten(1, (key.shape[1], -1)).squeeze(3)  # (R, K, g, h)
    to_prompt = branches.gather(rows) @ prompt_key.transpose(2, 3) * scaling + branches.bias
    to_reply = rows @ key.transpose(2, 3) * scaling
    width = to_prompt.shape[-1]
    weights = torch.softmax(torch.cat([branches.scatter(to_prompt), to_reply], dim=-1), dim=-1, dtype=torch.float32).to(query.dtype)
    mixed = branches.scatter(branches.gather(weights[..., :width]) @ prompt_value) + weights[..., width:] @ value
    return mixed.flatten(1, 2)[:, None], None  # (R, 1, H, h)


AttentionInterface.register(ATTENTION, branch_attention)


class Branches:
    """A decoder for the models in KNOWN; it starts with one row per prompt.

    Args: decoder, the language model below its head; keys_values, per layer (key, value), each (B, K, P, h), and mask (B, P) of the
    prompts, left padded.
    """

    def __init__(self, decoder: torch.nn.Module, keys_values: list[tuple[Tensor, Tensor]], mask: Tensor):
        self.decoder, self.keys_values, self.replies, self.t = decoder, keys_values, DynamicCache(), 0
        dtype = keys_values[0][0].dtype
        self.bias = torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(mask == 0, float("-inf"))[:, None, None]
        self.lengths = mask.sum(-1)
        self.prompt = torch.arange(len(mask), device=mask.device)  # (R,) ascending
        self.place, self.width = self.prompt, 1  # (R,) prompt * width + number of the row among its prompt's; most rows that a prompt has

    def gather(self, rows: Tensor) -> Tensor:
        """(R, K, g, n) by row -> (B, K, width * g, n) by prompt, 0 where a prompt has fewer rows."""
        b = len(self.bias)
        if len(rows) < b * self.width:
            given, rows = rows, rows.new_zeros(b * self.width, *rows.shape[1:])
            rows[self.place] = given
        return rows.unflatten(0, (b, self.width)).transpose(1, 2).flatten(2, 3)

    def scatter(self, prompts: Tensor) -> Tensor:
        """The way back."""
        rows = prompts.unflatten(2, (self.width, -1)).transpose(1, 2).flatten(0, 1)
        return rows if len(rows) == len(self.place) else rows[self.place]

    def split(self, parent: Tensor) -> None:
        """Row i goes on from row parent[i], ascending."""
        self.replies.batch_select_indices(parent)
        self.prompt = self.prompt[parent]
        counts = torch.bincount(self.prompt, minlength=len(self.bias))
        first, self.width = counts.cumsum(0) - counts, int(counts.max())
        self.place = self.prompt * self.width + torch.arange(len(self.prompt), device=parent.device) - first[self.prompt]

    def step(self, token: Tensor) -> Tensor:
        """Feed token (R,); returns the states (R, d) that predict the next one."""
        inputs = {"input_ids": token[:, None], "position_ids": (self.lengths[self.prompt] + self.t)[:, None]}
        config = self.decoder.config
        own, config._attn_implementation = config._attn_implementation, ATTENTION
        try:
            output = self.decoder(**inputs, past_key_values=self.replies, use_cache=True, branches=self)
        finally:
            config._attn_implementation = own
        self.t += 1
        return output.last_hidden_state[:, -1]


class Copies:
    """A decoder for any model; arguments and methods as Branches."""

    def __init__(self, decoder: torch.nn.Module, keys_values: list[tuple[Tensor, Tensor]], mask: Tensor):
        self.decoder, self.mask, self.cache = decoder, mask, DynamicCache()
        for layer, (key, value) in enumerate(keys_values):
            self.cache.update(key, value, layer)

    def split(self, parent: Tensor) -> None:
        self.cache.batch_select_indices(parent)
        self.mask = self.mask[parent]

    def step(self, token: Tensor) -> Tensor:
        position = self.mask.sum(-1, keepdim=True)
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], dim=-1)
        inputs = {"input_ids": token[:, None], "attention_mask": self.mask, "position_ids": position}
        output = self.decoder(**inputs, past_key_values=self.cache, use_cache=True)
        return output.last_hidden_state[:, -1]


def reply_decoder(decoder: torch.nn.Module, keys_values: list[tuple[Tensor, Tensor]], mask: Tensor) -> Branches | Copies:
    """The faster one that the model allows."""
    kinds = set(getattr(decoder.config, "layer_types", None) or ["full_attention"])
    known = decoder.config.model_type in KNOWN and kinds == {"full_attention"}
    return (Branches if known else Copies)(decoder, keys_values, mask)
