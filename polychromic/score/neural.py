"""Scores of replies that need a model: BERTScore against references, log-likelihood under a causal language model.

Slow, so each is made once and remembered by content (polychromic.score.probes). A score therefore depends on its own texts alone, to
the last bit: the shape of a batch, which decides the order of sums, never depends on the other replies in it. The metrics on top of them
are in polychromic.score.compute. torch is imported inside the functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json
from polychromic.score.quality import BERTSCORE_LAYER

ROWS = 8  # replies whose likelihood is taken at once


def bertscore_f1(candidates: Sequence[str], references: Sequence[Sequence[str]], encoder: Path) -> np.ndarray:
    """BERTScore F1 (Zhang et al. 2020, 1904.09675), best over references: (n,) float64, not rescaled.

    The encoder is the one whose vectors give semantic diversity: the two are not independent. A candidate without a token has
    neither precision nor recall; it scores 0, as bert_score declares ("Empty candidate sentence detected; setting raw BERTscores
    to 0"), which fails on it under transformers 5 before it gets there. The marks around a text weigh 0, but a token may match one.

    Args:
        candidates: n texts. references: n lists of at least one text.
        encoder: folder of the model.

    Raises:
        PolychromicError: unequal lengths, or a candidate without a reference that has text.
    """
    if len(candidates) != len(references):
        raise PolychromicError(f"bertscore: got {len(candidates)} candidates, {len(references)} lists of references. Allowed: as many.")
    for place, texts in enumerate(references):
        if not texts or not all(text.strip() for text in texts):
            raise PolychromicError(f"bertscore: candidate {place} has no reference, or an empty one. Allowed: one or more with text.")
    found = np.zeros(len(candidates))
    spoken = [i for i, text in enumerate(candidates) if text.strip()]
    if spoken:
        *_, f1 = _scorer(encoder).score([candidates[i] for i in spoken], [list(references[i]) for i in spoken], batch_size=1)
        found[spoken] = f1.double().numpy()
    return found


@lru_cache(maxsize=1)
def _scorer(encoder: Path):  # noqa: ANN202 - bert_score is imported inside
    from bert_score import BERTScorer

    config = read_json(encoder / "config.json")
    layers = min(BERTSCORE_LAYER, config["num_hidden_layers"])
    scorer = BERTScorer(model_type=str(encoder), num_layers=layers, idf=False, device="cpu", rescale_with_baseline=False)
    # The tokenizer's own limit is a placeholder that overflows; longer texts are cut.
    scorer._tokenizer.model_max_length = config["max_position_embeddings"]
    return scorer


def log_likelihoods(model, tokenizer, prompt: Sequence[int], replies: Sequence[str], rows: int = ROWS) -> np.ndarray:  # noqa: ANN001
    """(n, 2): natural log-probability of each reply and of its end, given the prompt; and how many tokens that were.

    The prompt is run once and its cache serves all replies. Temperature 1, nothing truncated; the end token counts, so that an
    empty reply has one token. Replies of one length run together, without padding.

    Args:
        model: causal language model. tokenizer: its tokenizer.
        prompt: token ids of the chat, up to where the reply starts.
        rows: replies run at once: always so many (the last one is repeated), so that a reply's length alone decides the shape.
    """
    import torch

    from polychromic.models.decode import prefill

    tokens = [[*tokenizer(reply, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id] for reply in replies]
    found = np.zeros((len(tokens), 2))
    with torch.inference_mode():
        ids = torch.tensor([list(prompt)], device=model.device)
        start = prefill(model, ids, torch.ones_like(ids))
        for length in sorted({len(row) for row in tokens}):
            members = [i for i, row in enumerate(tokens) if len(row) == length]
            for first in range(0, len(members), rows):
                chosen = members[first : first + rows]
                filled = [tokens[i] for i in chosen] + [tokens[chosen[-1]]] * (rows - len(chosen))
                found[chosen, 0] = _log_likelihoods(model, start, filled)[: len(chosen)]
                found[chosen, 1] = length
    return found


def _log_likelihoods(model, start, tokens: Sequence[Sequence[int]]) -> np.ndarray:  # noqa: ANN001
    """(R,) as log_likelihoods, of replies of one length as tokens, in one batch."""
    import torch

    from polychromic.models.decode import chosen_log_probs, head
    from polychromic.models.layouts import shared_states

    batch = torch.tensor(tokens, device=model.device)
    states = shared_states(model, start, torch.zeros(len(batch), dtype=torch.long, device=model.device), batch, torch.ones_like(batch))
    each = chosen_log_probs(head(model, states.flatten(0, 1)), batch.flatten())
    return each.unflatten(0, batch.shape).sum(-1).double().cpu().numpy()
