"""Three ways to lay prompts and replies out for scoring. All give the hidden state from which each reply token is predicted.

    shared    replies continue the key-value cache of one prefill, whose graph they share: the prompt is run once
    packed    prompt and all of its replies stand in one row, kept apart by a block mask: for gradient checkpointing,
              which switches the cache off
    repeated  every reply carries its prompt along: the usual way, N times the prompt's cost; kept as the yardstick

Equal values and gradients (tests/models/test_layouts.py); they differ in time and memory only.
Shapes as in polychromic.models.decode.
"""

from __future__ import annotations

import torch
from torch import Tensor

from polychromic.models.decode import Prefill, causal_lm, last_hidden

LAYOUTS = ("shared", "packed", "repeated")


def shared_states(model: torch.nn.Module, start: Prefill, index: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """States (R, T, d): the one at t predicts tokens[:, t].

    Args: index (R,) prompt number of each reply; tokens, mask (R, T), right padded.
    The first token is predicted by the prefill, so the last one need not pass through the model.
    """
    first = start.hidden.index_select(0, index)[:, None]
    if tokens.shape[1] == 1:
        return first
    prompt_mask = start.mask.index_select(0, index)
    fed, fed_mask = tokens[:, :-1], mask[:, :-1]
    rest, _ = last_hidden(
        model,
        input_ids=fed,
        attention_mask=torch.cat([prompt_mask, fed_mask], dim=-1),
        position_ids=prompt_mask.sum(-1, keepdim=True) + torch.arange(fed.shape[1], device=fed.device),
        past_key_values=start.cache(index),
    )
    return torch.cat([first, rest], dim=1)


def repeated_states(model: torch.nn.Module, ids: Tensor, prompt_mask: Tensor, index: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """The same states, each reply behind a copy of its prompt. ids, prompt_mask: (B, P), left padded."""
    width = ids.shape[1]
    everything = torch.cat([prompt_mask.index_select(0, index), mask], dim=-1)
    hidden, _ = last_hidden(
        model,
        input_ids=torch.cat([ids.index_select(0, index), tokens], dim=-1),
        attention_mask=everything,
        position_ids=(everything.cumsum(-1) - 1).clamp_min(0),
        use_cache=False,
    )
    return hidden[:, width - 1 : -1]


def packed_states(model: torch.nn.Module, ids: Tensor, prompt_mask: Tensor, index: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """The same states from one row per prompt: prompt | reply | reply ..., where a reply sees its prompt and itself alone."""
    b, p = ids.shape
    rows, t = tokens.shape
    device = ids.device
    order = torch.argsort(index, stable=True)
    counts = torch.bincount(index, minlength=b)
    before = counts.cumsum(0) - counts
    slot = torch.empty_like(index)
    slot[order] = torch.arange(rows, device=device) - before[index[order]]  # which of its prompt's replies each one is
    slots = int(counts.max())
    columns = p + slot[:, None] * t + torch.arange(t, device=device)  # (R, T) where a reply stands in its row

    def spread(prompt: Tensor, reply: Tensor, filler: int) -> Tensor:
        row = torch.cat([prompt, prompt.new_full((b, slots * t), filler)], dim=-1)
        row[index[:, None], columns] = reply
        return row

    lengths = prompt_mask.sum(-1)
    packed = spread(ids, tokens, int(ids[0, 0]))
    real = spread(prompt_mask, mask, 0).bool()
    position = spread((prompt_mask.cumsum(-1) - 1).clamp_min(0), lengths[index, None] + torch.arange(t, device=device), 0)
    block = torch.cat([torch.full((p,), -1), torch.arange(slots).repeat_interleave(t)]).to(device)
    causal = torch.ones(len(block), len(block), dtype=torch.bool, device=device).tril()
    visible = causal & ((block[None, :] == -1) | (block[None, :] == block[:, None]))
    itself = torch.eye(len(block), dtype=torch.bool, device=device)  # padding sees itself: no empty softmax
    allowed = visible[None] & real[:, None, :] | itself
    dtype = causal_lm(model).get_input_embeddings().weight.dtype
    bias = torch.zeros(allowed.shape, dtype=dtype, device=device).masked_fill(~allowed, torch.finfo(dtype).min)[:, None]
    hidden, _ = last_hidden(model, input_ids=packed, attention_mask=bias, position_ids=position, use_cache=False)
    last = hidden[index, p - 1][:, None]  # (R, 1, d) the prompt's last state predicts a reply's first token
    return torch.cat([last, hidden[index[:, None], columns[:, :-1]]], dim=1)
