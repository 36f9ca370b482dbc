"""What reads replies beside the policy: the sentence encoder, and the frozen base model, whose likelihood says how fluent a reply is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from polychromic.models import prompts
from polychromic.models.decode import Prefill, chosen_log_probs, evaluating, head, pad_sequences, prefill
from polychromic.models.flops import Flops
from polychromic.models.layouts import shared_states
from polychromic.models.load import cut_at, embed

ROWS = 64  # replies whose likelihood is taken at once
WINDOW = 3  # tokens in a row


class LiveReaders:
    """polychromic.data.domains.Readers while a model trains. Counts what it spends.

    Args:
        encoder: loads the sentence encoder, when it is first asked for.
        domain: its name, whose neutral prompt fluency is given.
        cut: gathers the texts that are longer than the encoder reads -> tokens that it reads.
    """

    def __init__(self, domain: str, norms: Mapping[str, Any], encoder: Callable[[], Any], cut: dict[str, int] | None = None):
        self.norms, self.flops = norms, 0.0  # operations so far
        self._domain, self._encoder, self._cut = domain, encoder, {} if cut is None else cut
        self._model: torch.nn.Module | None = None
        self._tokenizer: Any = None

    def bind(self, model: torch.nn.Module, tokenizer: Any) -> None:
        """The PEFT model that trains: with its adapter switched off it is the base model."""
        self._model, self._tokenizer, self._cost = model, tokenizer, replace(Flops.of(model), trained=0.0)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        encoder, distinct = self._encoder(), list(dict.fromkeys(texts))
        matrices = sum(p.numel() for name, p in encoder.named_parameters() if p.ndim == 2 and "embeddings" not in name)
        read = encoder.tokenizer(distinct, truncation=True, max_length=encoder.max_seq_length)["input_ids"]
        self.flops += 2.0 * matrices * sum(map(len, read))
        self._cut |= {text: int(limit) for text, limit in zip(texts, cut_at(encoder, texts), strict=True) if limit}
        return embed(encoder, texts)

    def fluency(self, replies: Sequence[str]) -> np.ndarray:
        distinct, chat = list(dict.fromkeys(replies)), neutral(self._tokenizer, self._domain)
        with evaluating(self._model), self._model.disable_adapter():
            values, tokens = fluencies(self._model, self._tokenizer, chat, distinct)
        p, read = float(len(chat)), float(tokens.sum())
        attended = p * (p + 1) / 2 + float((tokens * p + tokens * (tokens + 1) / 2).sum())
        self.flops += self._cost.forward(p + read, attended, read)
        found = dict(zip(distinct, values, strict=True))
        return np.array([found[reply] for reply in replies])


def neutral(tokenizer: Any, domain: str) -> list[int]:
    """Token ids of the prompt that asks for a text of the domain and for nothing in particular."""
    return prompts.encode(tokenizer, prompts.messages("neutral", domain, ""))


@torch.inference_mode()
def fluencies(model, tokenizer, chat: Sequence[int], replies: Sequence[str], rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:  # noqa: ANN001
    """(n, 2): mean natural log-probability per token of each reply (its end is one), and the lowest mean over WINDOW tokens in a row, which
    says whether it breaks off somewhere; and (n,) tokens. The last bits depend on all that is asked.

    Args: chat, token ids of the prompt. rows: replies run at once, of like lengths.
    """
    tokens = [[*tokenizer(reply, add_special_tokens=False)["input_ids"], prompts.reply_end(tokenizer)] for reply in replies]
    order = sorted(range(len(tokens)), key=lambda i: (len(tokens[i]), replies[i]))
    ids = torch.tensor([list(chat)], device=model.device)
    start, values = prefill(model, ids, torch.ones_like(ids)), np.zeros((len(tokens), 2))
    for first in range(0, len(order), rows):
        chosen = order[first : first + rows]
        index = torch.zeros(len(chosen), dtype=torch.long, device=model.device)
        for i, each in zip(chosen, _token_log_probs(model, tokenizer, start, index, [tokens[i] for i in chosen]), strict=True):
            values[i] = each.mean(), each.unfold(0, min(WINDOW, len(each)), 1).mean(-1).min()
    return values, np.array([len(row) for row in tokens], dtype=float)


def _token_log_probs(model, tokenizer, start: Prefill, index: torch.Tensor, replies: Sequence[list[int]]) -> list[torch.Tensor]:  # noqa: ANN001
    """Natural log-probabilities, float64 on the CPU, of the tokens of each reply. index: (R,) its prompt in `start`."""
    tokens, real = (tensor.to(model.device) for tensor in pad_sequences(replies, tokenizer.pad_token_id, left=False))
    states = shared_states(model, start, index, tokens, real)
    flat = chosen_log_probs(head(model, states[real.bool()]), tokens[real.bool()]).double().cpu()
    return list(flat.split([len(reply) for reply in replies]))


@torch.inference_mode()
def log_likelihoods(model, tokenizer, asked: Sequence[tuple[Sequence[int], Sequence[str]]], rows: int = ROWS) -> list[np.ndarray]:  # noqa: ANN001
    """Per prompt (n, 2): natural log-probability of each of its n >= 1 replies and of its end, given the prompt; and how many tokens.

    Temperature 1, nothing truncated; the end token counts, so that an empty reply has one token. The last bits depend on all that is asked.

    Args:
        asked: (token ids of the chat, up to where the reply starts; the replies to it) of each prompt.
        rows: replies run at once, at least; prompts are batched by length.
    """
    found: list[np.ndarray] = [np.zeros((0, 2)) for _ in asked]
    waiting: list[int] = []
    order = sorted(range(len(asked)), key=lambda i: (len(asked[i][0]), i))
    for i in order:
        waiting.append(i)
        if i == order[-1] or sum(len(asked[j][1]) for j in waiting) >= rows:
            ids, mask = pad_sequences([list(asked[j][0]) for j in waiting], tokenizer.pad_token_id, left=True)
            replies = [
                [*tokenizer(reply, add_special_tokens=False)["input_ids"], prompts.reply_end(tokenizer)]
                for j in waiting
                for reply in asked[j][1]
            ]
            index = torch.tensor([place for place, j in enumerate(waiting) for _ in asked[j][1]], device=model.device)
            each = _token_log_probs(model, tokenizer, prefill(model, ids.to(model.device), mask.to(model.device)), index, replies)
            both = np.array([[float(one.sum()), len(one)] for one in each])
            for j, part in zip(waiting, np.split(both, np.cumsum([len(asked[j][1]) for j in waiting])[:-1]), strict=True):
                found[j] = part
            waiting = []
    return found
