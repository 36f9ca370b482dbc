"""Replies of one system to many prompts: one prefill per prompt, large decode batches, uniforms of their own.

Knows a model, token ids and a decoding rule; not where the model came from nor what the replies are for.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from polychromic.base.progress import progress
from polychromic.models.decode import pad_sequences, prefill, sample, uniforms
from polychromic.models.prompts import end_tokens


@torch.inference_mode()
def sample_prompts(
    model: torch.nn.Module,
    tokenizer,  # noqa: ANN001
    encoded: Sequence[list[int]],
    *,
    n: int,
    temperature: float,
    max_new_tokens: int,
    rows: int,
    seed: int,
    what: str,
    min_p: float = 0.0,
) -> list[dict]:
    """Draw `n` replies per prompt.

    Args:
        encoded: token ids of each prompt.
        rows: replies decoded at once; prompts are batched by length, rows // n (at least one) at a time.
        seed: of the uniforms; those of a prompt depend on (seed, temperature, its place in `encoded`), not on its batch.
        min_p: see polychromic.models.decode.draw.

    Returns: for each prompt, in the order given: {"samples": [str], "tokens": [int] (end token included), "finished": [bool]}.
    """
    order = sorted(range(len(encoded)), key=lambda i: (len(encoded[i]), i))
    per_batch = max(1, rows // n)
    replies: list[dict] = [{} for _ in encoded]
    with progress(what, len(encoded)) as tick:
        for first in range(0, len(order), per_batch):
            chosen = order[first : first + per_batch]
            ids, mask = pad_sequences([encoded[i] for i in chosen], tokenizer.pad_token_id, left=True)
            start = prefill(model, ids.to(model.device), mask.to(model.device))
            drawn = sample(
                model,
                start,
                torch.arange(len(chosen), device=model.device).repeat_interleave(n),
                torch.cat([uniforms(n, max_new_tokens, seed, "sample", temperature, i) for i in chosen]),
                end_tokens=end_tokens(tokenizer, model),
                pad_token=tokenizer.pad_token_id,
                temperature=temperature,
                min_p=min_p,
            )
            texts = [text.strip() for text in tokenizer.batch_decode(drawn.contents(), skip_special_tokens=True)]
            lengths, finished = drawn.mask.sum(-1).tolist(), drawn.finished.tolist()
            for place, prompt in enumerate(chosen):
                part = slice(place * n, (place + 1) * n)
                replies[prompt] = {"samples": texts[part], "tokens": lengths[part], "finished": finished[part]}
            tick(first + len(chosen))
    return replies
