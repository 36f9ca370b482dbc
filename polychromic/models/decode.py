"""Rollouts over one prompt prefill: sample N replies, then hand out the hidden states that score them, with a gradient.

The prompt is run once per step. Its key-value cache, graph attached, serves the reference reply and the
log-probabilities of the samples; decoding runs from a detached copy. One policy samples and scores: the
model as it stands, temperature 1, nothing truncated. Knows tensors only, nothing of prompts as text.

Two savings are exact, in training and in evaluation. Tokens that every prompt of the batch starts with (the system
message) are run once. Replies to one prompt that begin alike share their computation until they part.

Shapes: P prompt length (left padded), T reply length (right padded), B prompts, R replies, d hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache

from polychromic.base.seeds import derive_seed
from polychromic.models.branches import reply_decoder

BLOCK = 256  # vocabulary entries per block in `draw`
AT_ONCE = 16  # rows of logits that `draw` turns into probabilities at once, on a processor


@dataclass(frozen=True)
class Prefill:
    """What one forward pass over the prompts leaves behind."""

    keys_values: list[tuple[Tensor, Tensor]]  # per layer (key, value), each (B, heads, P, head_dim); with the graph if made with grad
    hidden: Tensor  # (B, d) state at the last prompt position, from which the first reply token is predicted
    mask: Tensor  # (B, P) 1 for prompt tokens, 0 for padding, which stands before a prompt's own tokens, after shared ones

    def cache(self, index: Tensor) -> DynamicCache:
        """A cache of its own with one row per entry of `index` (prompt numbers, repeats allowed)."""
        cache = DynamicCache()
        for layer, (key, value) in enumerate(self.keys_values):
            cache.update(key.index_select(0, index), value.index_select(0, index), layer)
        return cache


@dataclass(frozen=True)
class Replies:
    """Sampled replies."""

    tokens: Tensor  # (R, T) with the end token where there was one, then padding
    mask: Tensor  # (R, T) 1 on reply tokens, end token included
    finished: Tensor  # (R,) whether an end token came within T

    def contents(self) -> list[list[int]]:
        """The tokens of each reply without its end."""
        lengths = (self.mask.sum(-1) - self.finished.long()).tolist()
        return [row[:length] for row, length in zip(self.tokens.tolist(), lengths, strict=True)]


def causal_lm(model: torch.nn.Module) -> torch.nn.Module:
    """The language model under a PEFT wrapper; its adapter layers stay in place."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """The model in evaluation mode, and afterwards in the mode it had."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def last_hidden(model: torch.nn.Module, **inputs: Tensor | DynamicCache) -> tuple[Tensor, DynamicCache]:
    """Hidden states (R, T, d) before the head, and the cache.

    The head is applied apart, to the rows of a matrix that need it: on the 3-d slice of `logits_to_keep`
    torch copies the whole embedding matrix, which took a third of a bfloat16 step on a CPU.
    """
    output = causal_lm(model).get_decoder()(**{"use_cache": True, **inputs})
    return output.last_hidden_state, output.past_key_values


def head(model: torch.nn.Module, hidden: Tensor) -> Tensor:
    """Logits (rows, V) of hidden states (rows, d)."""
    return causal_lm(model).get_output_embeddings()(hidden)


@torch.no_grad()
def check_head(model: torch.nn.Module) -> None:
    """ValueError for a model whose logits are not `head` of `last_hidden`, by which log-probabilities are taken.

    Some architectures (Gemma 2, Cohere, Granite) scale or cap their logits after the head.
    """
    language_model = causal_lm(model)
    ids = torch.arange(2, device=next(language_model.parameters()).device)[None]
    with evaluating(language_model):
        own = language_model(input_ids=ids, use_cache=False).logits[0].float()
        ours = head(language_model, last_hidden(language_model, input_ids=ids, use_cache=False)[0][0]).float()
    if not torch.allclose(own, ours, rtol=1e-2, atol=1e-2 * float(own.abs().max())):
        apart = float((own - ours).abs().max())
        raise ValueError(
            f"{type(language_model).__name__} changes its logits after the head (by up to {apart:.3g}), as models with logit scaling or "
            "soft caps do; rollouts are scored without that. Use a model whose logits are the head's, such as Llama or Qwen3."
        )


def shared_beginning(ids: Tensor, mask: Tensor) -> int:
    """How many tokens all prompts (two or more) of a left-padded batch start with; each keeps at least one token of its own."""
    if len(ids) < 2:
        return 0
    lengths = mask.sum(-1)
    shortest = int(lengths.min())
    first = ids.gather(1, (ids.shape[1] - lengths)[:, None] + torch.arange(shortest, device=ids.device))
    alike = int((first == first[:1]).all(0).long().cumprod(0).sum())
    return max(0, min(alike, shortest - 1))


def prefill(model: torch.nn.Module, ids: Tensor, mask: Tensor) -> Prefill:
    """Run the prompts once. ids, mask: (B, P), left padded so that the last position is a prompt token."""
    cache, shared = DynamicCache(), shared_beginning(ids, mask)
    if shared:
        start = ids.shape[1] - int(mask[0].sum())
        _, once = last_hidden(model, input_ids=ids[:1, start : start + shared], past_key_values=DynamicCache())
        for number, layer in enumerate(once.layers):
            cache.update(layer.keys.expand(len(ids), -1, -1, -1), layer.values.expand(len(ids), -1, -1, -1), number)
        # What is left of each prompt, left padded again: the same padding, fewer tokens behind it.
        ids = ids[:, shared:]
        mask = torch.cat([mask.new_ones(len(ids), shared), mask[:, : ids.shape[1]]], dim=-1)
    positions = (mask.cumsum(-1) - 1).clamp_min(0)[:, shared:]
    hidden, cache = last_hidden(model, input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache)
    return Prefill([(layer.keys, layer.values) for layer in cache.layers], hidden[:, -1], mask)


def pad_sequences(sequences: Sequence[list[int]], pad_token: int, left: bool) -> tuple[Tensor, Tensor]:
    """Token ids of different lengths to (ids, mask), both (len(sequences), longest)."""
    pad = partial(pad_sequence, batch_first=True, padding_side="left" if left else "right")
    tokens = [torch.tensor(sequence, dtype=torch.long) for sequence in sequences]
    return pad(tokens, padding_value=pad_token), pad([torch.ones_like(ids) for ids in tokens])


def uniforms(rows: int, width: int, seed: int, *names: str | int | float) -> Tensor:
    """(rows, width) uniforms in [0, 1) of the stream called `names`. Made on the CPU, so that devices agree."""
    generator = torch.Generator().manual_seed(derive_seed(seed, *names))
    return torch.rand(rows, width, generator=generator)


def draw(logits: Tensor, row: Tensor, uniform: Tensor, temperature: float, min_p: float = 0.0) -> Tensor:
    """One token per reply (R,): by inversion of the cumulative distribution, first over blocks of the vocabulary, then within the block.

    Several replies may draw from one row of logits. Inversion takes one uniform per reply; torch.multinomial draws one
    per vocabulary entry, which is several times slower on a CPU.

    Args:
        logits: (G, V). row: (R,) the row of logits of each reply. uniform: (R,) in [0, 1).
        temperature: the softmax is of logits / temperature; 0 is the argmax.
        min_p: tokens less probable than min_p times the most probable one are dropped (Nguyen et al. 2024, 2407.01082).
    """
    if temperature == 0:
        return logits.argmax(-1)[row]
    token = torch.empty_like(row)
    at_once = AT_ONCE if logits.device.type == "cpu" else len(logits)
    for first in range(0, len(logits), at_once):
        part = logits[first : first + at_once]
        here = ((row >= first) & (row < first + at_once)).nonzero()[:, 0]
        token[here] = _draw(part, row[here] - first, uniform[here], temperature, min_p)
    return token


def _draw(logits: Tensor, row: Tensor, uniform: Tensor, temperature: float, min_p: float) -> Tensor:
    """`draw` of few rows, whose probabilities stay in the processor's cache."""
    probability = torch.softmax(logits.float() / temperature, dim=-1)
    if min_p:
        probability = probability.where(probability >= min_p * probability.amax(-1, keepdim=True), 0.0)
    if missing := -logits.shape[-1] % BLOCK:
        probability = torch.nn.functional.pad(probability, (0, missing))
    blocks = probability.unflatten(-1, (-1, BLOCK))  # (G, V / BLOCK, BLOCK)
    block, rest = _invert(blocks.sum(-1)[row], uniform[:, None])
    place, _ = _invert(blocks[row, block.squeeze(-1)], rest)
    return (BLOCK * block + place).squeeze(-1)


def _invert(mass: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Where a uniform (R, 1) in [0, 1) falls in rows of mass (R, K): the place (R, 1), of positive mass, and how far into it, in [0, 1)."""
    cumulative = mass.cumsum(-1)
    total = cumulative[:, -1:]
    # Rounding may lift the product to the total, beyond which no place lies.
    target = torch.minimum(uniform * total, torch.nextafter(total, torch.zeros_like(total)))
    place = torch.searchsorted(cumulative, target, right=True)
    here = mass.gather(-1, place)
    into = (target - (cumulative.gather(-1, place) - here)) / here
    return place, into.clamp(0.0, 1.0 - 2**-24)


@torch.no_grad()
def sample(
    model: torch.nn.Module,
    start: Prefill,
    index: Tensor,
    uniform: Tensor,
    *,
    end_tokens: Sequence[int],
    pad_token: int,
    temperature: float = 1.0,
    min_p: float = 0.0,
) -> Replies:
    """Decode one reply per entry of `index`, from the numbers given: a function, not a process.

    The batch has one row per distinct (prompt, reply so far), whatever the number of replies that stand there; a row
    whose replies have ended is dropped, one whose replies part is split. A reply depends on its prompt and its own
    uniforms, not on the batch that it is drawn in (up to the rounding of matrix products).

    Args:
        index: (R,) prompt number of each reply; repeats give several replies to a prompt.
        uniform: (R, T) in [0, 1), one per reply and token; T is the horizon, where a reply is cut.
        end_tokens: a reply ends at the first of any of them (polychromic.models.prompts.end_tokens).
        temperature, min_p: see `draw`.
    """
    rows, horizon = uniform.shape
    device = index.device
    uniform, ends = uniform.to(device), torch.tensor(end_tokens, device=device)
    prompts, node = index.unique(return_inverse=True)
    past = [(key.detach().index_select(0, prompts), value.detach().index_select(0, prompts)) for key, value in start.keys_values]
    decoder = reply_decoder(causal_lm(model).get_decoder(), past, start.mask.index_select(0, prompts))
    logits = head(model, start.hidden.detach().index_select(0, prompts))
    tokens = torch.full((rows, horizon), pad_token, dtype=torch.long, device=device)
    lengths = torch.full((rows,), horizon, dtype=torch.long, device=device)
    finished = torch.zeros(rows, dtype=torch.bool, device=device)
    alive = torch.arange(rows, device=device)
    for t in range(horizon):
        token = draw(logits, node, uniform[alive, t], temperature, min_p)
        tokens[alive, t] = token
        ended = (token[:, None] == ends).any(-1)
        lengths[alive[ended]] = t + 1
        finished[alive[ended]] = True
        if t + 1 == horizon or ended.all():
            break
        alive, token, node = alive[~ended], token[~ended], node[~ended]
        vocabulary = logits.shape[-1]
        distinct, node = (node * vocabulary + token).unique(return_inverse=True)
        parent = distinct // vocabulary
        if len(parent) != len(logits) or not torch.equal(parent, torch.arange(len(logits), device=device)):
            decoder.split(parent)
        logits = head(model, decoder.step(distinct % vocabulary))
    width = int(lengths.max())
    steps = torch.arange(width, device=device)
    return Replies(tokens[:, :width], (steps[None] < lengths[:, None]).long(), finished)


def chosen_log_probs(logits: Tensor, token: Tensor) -> Tensor:
    """log softmax of logits (rows, V), in float32, at token (rows,)."""
    return -torch.nn.functional.cross_entropy(logits.float(), token, reduction="none")
