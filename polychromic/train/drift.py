"""How far an adapter has moved from the base model: KL(policy || base) over whole replies, in nats."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from polychromic.models.decode import head, pad_sequences, prefill, sample, uniforms
from polychromic.models.layouts import shared_states

STREAM = 16  # prompts whose replies share a stream of uniforms


@torch.no_grad()
def kl_to_base(
    model, tokenizer, encoded: Sequence[list[int]], n: int, horizon: int, seed: int, prompts_at_once: int = STREAM
) -> dict[str, float]:  # noqa: ANN001
    """Mean over prompts and sampled replies of the sum over tokens of the exact KL between the two next-token distributions.

    The exact KL at each step of a sampled reply has the mean of log pi - log pi_base and less variance.

    Args:
        model: PEFT model; its adapter is switched off for the base.
        encoded: token ids of the prompts. n: replies per prompt, at temperature 1. horizon: where replies are cut.
        prompts_at_once: a multiple of STREAM draws the same replies, up to rounding, whatever it is.

    Returns: {"kl_to_base": nats per reply, "reply_tokens": mean length, end token included}.
    """
    training = model.training
    model.eval()
    total, tokens, rows = 0.0, 0, 0
    for first in range(0, len(encoded), prompts_at_once):
        part = encoded[first : first + prompts_at_once]
        ids, mask = pad_sequences(part, tokenizer.pad_token_id, left=True)
        ids, mask = ids.to(model.device), mask.to(model.device)
        index = torch.arange(len(part), device=model.device).repeat_interleave(n)
        streams = [part[begin : begin + STREAM] for begin in range(0, len(part), STREAM)]
        numbers = torch.cat([uniforms(len(s) * n, horizon, seed, "drift", first + i * STREAM) for i, s in enumerate(streams)])
        policy = prefill(model, ids, mask)
        replies = sample(model, policy, index, numbers, end_token=tokenizer.eos_token_id, pad_token=tokenizer.pad_token_id)
        real = replies.mask.bool()
        log_p = _log_probs(model, policy, index, replies.tokens, replies.mask)
        with model.disable_adapter():
            log_q = _log_probs(model, prefill(model, ids, mask), index, replies.tokens, replies.mask)
        total += float((log_p.exp() * (log_p - log_q)).sum(-1).clamp_min(0).sum())
        tokens, rows = tokens + int(real.sum()), rows + len(index)
    model.train(training)
    return {"kl_to_base": total / rows, "reply_tokens": tokens / rows}


def _log_probs(model, start, index, tokens, mask) -> torch.Tensor:  # noqa: ANN001
    """(reply tokens, V) log-probabilities at the places of the mask, float32."""
    states = shared_states(model, start, index, tokens, mask)
    return torch.log_softmax(head(model, states[mask.bool()]).float(), dim=-1)
