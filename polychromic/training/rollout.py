"""Rollouts over one prompt prefill: sample N replies, then score them under the policy with a gradient.

The prompt is run once per step. Its key-value cache, graph attached, serves the reference reply and the
log-probabilities of the samples; decoding runs from a detached copy. One policy samples and scores: the
model as it stands, temperature 1, nothing truncated. Knows tensors only, nothing of prompts as text.

Shapes: P prompt length (left padded), T reply length (right padded), B prompts, R = rows = B * N.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache


BLOCK = 256  # vocabulary entries per block in `draw`


@dataclass(frozen=True)
class Prefill:
    """What one forward pass over the prompts leaves behind.

    Attributes:
        keys_values: per layer (key, value), each (B, heads, P, head_dim); carries the graph if made with grad.
        logits: (B, V) at the last prompt position: the distribution of the first reply token.
        mask: (B, P) 1 for prompt tokens, 0 for padding on the left.
    """

    keys_values: list[tuple[Tensor, Tensor]]
    logits: Tensor
    mask: Tensor

    def rows(self, index: Tensor, detach: bool = False) -> tuple[DynamicCache, Tensor, Tensor]:
        """A cache of its own for the chosen prompts (repeats allowed), with logits (R, V) and mask (R, P)."""
        cache = DynamicCache()
        for layer, (key, value) in enumerate(self.keys_values):
            if detach:
                key, value = key.detach(), value.detach()
            cache.update(key.index_select(0, index), value.index_select(0, index), layer)
        logits = self.logits.detach() if detach else self.logits
        return cache, logits.index_select(0, index), self.mask.index_select(0, index)


@dataclass(frozen=True)
class Replies:
    """Sampled replies. tokens (R, T) with the end token where there was one, then padding; mask (R, T) 1 on
    reply tokens, end token included; finished (R,) whether the end token came within T."""

    tokens: Tensor
    mask: Tensor
    finished: Tensor


def causal_lm(model: torch.nn.Module) -> torch.nn.Module:
    """The language model under a PEFT wrapper; its adapter layers stay in place."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def last_hidden(model: torch.nn.Module, **inputs: Tensor | DynamicCache) -> tuple[Tensor, DynamicCache]:
    """Hidden states (R, T, d) before the head, and the cache.

    The head is applied apart, to the rows of a matrix that need it: on the 3-d slice of `logits_to_keep`
    torch copies the whole embedding matrix, which took a third of a bfloat16 step on a CPU.
    """
    output = causal_lm(model).get_decoder()(use_cache=True, **inputs)
    return output.last_hidden_state, output.past_key_values


def head(model: torch.nn.Module, hidden: Tensor) -> Tensor:
    """Logits (rows, V) of hidden states (rows, d)."""
    return causal_lm(model).get_output_embeddings()(hidden)


def prefill(model: torch.nn.Module, ids: Tensor, mask: Tensor) -> Prefill:
    """Run the prompts once. ids, mask: (B, P), left padded so that the last position is a prompt token."""
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    hidden, cache = last_hidden(model, input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=DynamicCache())
    return Prefill([(layer.keys, layer.values) for layer in cache.layers], head(model, hidden[:, -1]), mask)


def draw(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """One token per row from softmax(logits / temperature); (R, V) -> (R,). Temperature 0 is the argmax.

    By inversion of the cumulative distribution, first over blocks of the vocabulary, then within the block: one
    uniform per row, several times faster on a CPU than torch.multinomial, which draws one per vocabulary entry.
    """
    if temperature == 0:
        return logits.argmax(-1)
    probability = torch.softmax(logits.float() / temperature if temperature != 1 else logits.float(), dim=-1)
    if missing := -logits.shape[-1] % BLOCK:
        probability = torch.nn.functional.pad(probability, (0, missing))
    blocks = probability.unflatten(-1, (-1, BLOCK))  # (R, V / BLOCK, BLOCK)
    uniform = torch.rand(len(logits), 1, generator=generator, device=logits.device)
    block, rest = _invert(blocks.sum(-1), uniform)
    inner = blocks[torch.arange(len(logits), device=logits.device), block.squeeze(-1)]
    token = BLOCK * block + _invert(inner, rest)[0]
    return token.squeeze(-1).clamp_max(logits.shape[-1] - 1)


def _invert(mass: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Where a uniform (R, 1) in [0, 1) falls in rows of mass (R, K): the place (R, 1), and how far into it, in [0, 1)."""
    cumulative = mass.cumsum(-1)
    target = uniform * cumulative[:, -1:]
    place = torch.searchsorted(cumulative, target, right=True).clamp_max(mass.shape[-1] - 1)
    here = mass.gather(-1, place)
    into = (target - (cumulative.gather(-1, place) - here)) / here
    return place, into.clamp(0.0, 1.0 - 2**-24)


@torch.no_grad()
def sample(
    model: torch.nn.Module,
    start: Prefill,
    index: Tensor,
    *,
    end_token: int,
    pad_token: int,
    max_new_tokens: int,
    temperature: float,
    generator: torch.Generator,
) -> Replies:
    """Decode one reply per entry of `index` (R,) (prompt numbers, repeats give several replies to a prompt).

    All rows go in one batch; rows that ended are dropped from it. A reply is cut at `max_new_tokens`.
    """
    rows = len(index)
    cache, logits, mask = start.rows(index, detach=True)
    position = mask.sum(-1)
    tokens = torch.full((rows, max_new_tokens), pad_token, dtype=torch.long, device=mask.device)
    lengths = torch.full((rows,), max_new_tokens, dtype=torch.long, device=mask.device)
    finished = torch.zeros(rows, dtype=torch.bool, device=mask.device)
    alive = torch.arange(rows, device=mask.device)
    for t in range(max_new_tokens):
        token = draw(logits, temperature, generator)
        tokens[alive, t] = token
        ended = token == end_token
        lengths[alive[ended]] = t + 1
        finished[alive[ended]] = True
        if t + 1 == max_new_tokens or ended.all():
            break
        if ended.any():
            going = (~ended).nonzero().squeeze(-1)
            cache.batch_select_indices(going)
            alive, token, mask, position = alive[going], token[going], mask[going], position[going]
        mask = torch.cat([mask, mask.new_ones(len(alive), 1)], dim=-1)
        hidden, cache = last_hidden(model, input_ids=token[:, None], attention_mask=mask, position_ids=position[:, None], past_key_values=cache)
        logits = head(model, hidden[:, -1])
        position = position + 1
    width = int(lengths.max())
    steps = torch.arange(width, device=mask.device)
    return Replies(tokens[:, :width], (steps[None] < lengths[:, None]).long(), finished)


def log_probs(model: torch.nn.Module, start: Prefill, index: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """log pi(y_t | x, y_<t) for each reply token, with the graph of `start`; (R, T), 0 where mask is 0.

    Args: index (R,) prompt number of each row; tokens, mask (R, T), right padded.
    The first token is scored by the prefill's logits, so only reply tokens pass through the model and its head.
    """
    cache, first, prompt_mask = start.rows(index)
    result = torch.zeros(tokens.shape, dtype=torch.float32, device=tokens.device)
    result[:, 0] = _chosen(first, tokens[:, 0])
    if tokens.shape[1] > 1:
        fed, fed_mask = tokens[:, :-1], mask[:, :-1]
        hidden, _ = last_hidden(
            model,
            input_ids=fed,
            attention_mask=torch.cat([prompt_mask, fed_mask], dim=-1),
            position_ids=prompt_mask.sum(-1, keepdim=True) + torch.arange(fed.shape[1], device=fed.device),
            past_key_values=cache,
        )
        wanted = mask[:, 1:].bool()
        result[:, 1:][wanted] = _chosen(head(model, hidden[wanted]), tokens[:, 1:][wanted])
    return result


def _chosen(logits: Tensor, token: Tensor) -> Tensor:
    """log softmax of logits (rows, V), in float32, at token (rows,)."""
    return -torch.nn.functional.cross_entropy(logits.float(), token, reduction="none")
