"""Floating-point operations of training, counted from the tokens that were really run: the cost that does not depend on a machine.

A multiplication and an addition count two. A token costs 2 per parameter of the decoder's matrices, and 2 for each of its keys and
values per position that it attends to; its logits 2 per entry of the head. The backward pass goes through frozen matrices once (their
inputs' gradient) and through trained ones and attention twice (Kaplan et al. 2020, 2001.08361, app. B, for frozen weights). Padding,
norms and the optimiser are left out, and so is what identical beginnings save: it is the same for every method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from polychromic.models.decode import causal_lm


@dataclass(frozen=True)
class Flops:
    """What a model costs. frozen, trained: parameters of the decoder's matrices; head: of the output embedding; attention: FLOPs per
    token and position that it attends to."""

    frozen: float
    trained: float
    head: float
    attention: float

    @classmethod
    def of(cls, model: torch.nn.Module) -> Flops:
        """Read off a causal language model, with or without a PEFT wrapper."""
        language_model = causal_lm(model)
        decoder, embedding = language_model.get_decoder(), language_model.get_input_embeddings()
        looked_up = {id(p) for p in embedding.parameters()}
        sizes = {True: 0, False: 0}
        for parameter in decoder.parameters():
            if parameter.ndim == 2 and id(parameter) not in looked_up:
                # a 4-bit weight is stored in another shape and says its own
                shape = parameter.quant_state.shape if hasattr(parameter, "quant_state") else parameter.shape
                sizes[parameter.requires_grad] += shape[0] * shape[1]
        config = language_model.config.get_text_config()
        width = config.num_attention_heads * (getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
        head = language_model.get_output_embeddings().weight.shape
        return cls(float(sizes[False]), float(sizes[True]), float(head[0] * head[1]), 4.0 * config.num_hidden_layers * width)

    def forward(self, tokens: float, attended: float, logits: float) -> float:
        """A pass over `tokens`, which attend to `attended` positions in all; `logits` of them go through the head."""
        return 2 * (self.frozen + self.trained) * tokens + self.attention * attended + 2 * self.head * logits

    def backward(self, tokens: float, attended: float, logits: float) -> float:
        return (2 * self.frozen + 4 * self.trained) * tokens + 2 * self.attention * attended + 2 * self.head * logits

    def training(self, tokens: float, attended: float, logits: float) -> float:
        return self.forward(tokens, attended, logits) + self.backward(tokens, attended, logits)


def of_rows(model: torch.nn.Module, rows: Sequence[dict]) -> float:
    """Mean cost of training on one of the rows {"prompt": ids, "completion": ids}: what a step of LoRA takes per example."""
    flops, spent = Flops.of(model), 0.0
    for row in rows:
        p, c = float(len(row["prompt"])), float(len(row["completion"]))
        spent += flops.training(p + c, p * (p + 1) / 2 + c * p + c * (c + 1) / 2, c)
    return spent / len(rows)


def prompts(mask: Tensor) -> tuple[float, float]:
    """Tokens of prompts with mask (B, P), and the positions that they attend to, themselves included."""
    lengths = mask.sum(-1).double()
    return float(lengths.sum()), float((lengths * (lengths + 1) / 2).sum())


def replies(mask: Tensor, before: Tensor) -> tuple[float, float]:
    """Tokens of replies with mask (R, T) behind prompts of `before` (R,) tokens, and the positions that they attend to."""
    lengths, before = mask.sum(-1).double(), before.double()
    return float(lengths.sum()), float((lengths * before + lengths * (lengths + 1) / 2).sum())
