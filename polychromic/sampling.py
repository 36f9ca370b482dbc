"""Replies of one system to many prompts: one prefill per prompt, large decode batches, streams of their own.

Knows a model, token ids and a temperature; not where the model came from nor what the replies are for.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from polychromic.progress import progress
from polychromic.seeds import derive_seed
from polychromic.training.rollout import prefill, sample
from polychromic.training.trainer import pad_sequences


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
) -> list[dict]:
    """Draw `n` replies per prompt.

    Args:
        encoded: token ids of each prompt.
        rows: replies decoded at once; prompts are batched by length, rows // n (at least one) at a time.
        seed: of the streams; a batch's stream depends on (seed, temperature, batch), so any batch can be redone alone.

    Returns: for each prompt, in the order given: {"samples": [str], "tokens": [int] (end token included), "finished": [bool]}.
    """
    order = sorted(range(len(encoded)), key=lambda i: (len(encoded[i]), i))
    per_batch = max(1, rows // n)
    replies: list[dict] = [{} for _ in encoded]
    with progress(what, len(encoded)) as tick:
        for batch, first in enumerate(range(0, len(order), per_batch)):
            chosen = order[first : first + per_batch]
            ids, mask = pad_sequences([encoded[i] for i in chosen], tokenizer.pad_token_id, left=True)
            generator = torch.Generator(device=model.device).manual_seed(derive_seed(seed, "sample", temperature, batch))
            start = prefill(model, ids.to(model.device), mask.to(model.device))
            drawn = sample(
                model,
                start,
                torch.arange(len(chosen), device=model.device).repeat_interleave(n),
                end_token=tokenizer.eos_token_id,
                pad_token=tokenizer.pad_token_id,
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                generator=generator,
            )
            texts = [text.strip() for text in tokenizer.batch_decode(drawn.tokens, skip_special_tokens=True)]
            lengths, finished = drawn.mask.sum(-1).tolist(), drawn.finished.tolist()
            for place, prompt in enumerate(chosen):
                part = slice(place * n, (place + 1) * n)
                replies[prompt] = {"samples": texts[part], "tokens": lengths[part], "finished": finished[part]}
            tick(first + len(chosen))
    return replies
