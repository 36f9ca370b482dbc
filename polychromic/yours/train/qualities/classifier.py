"""The probability that a classifier from a local folder gives a label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from polychromic.base.errors import UsageError
from polychromic.score.text import shows
from polychromic.yours.train.rows import asked, text_of

READS = ("reply", "pair")
ROWS = 64


class Classifier:
    """The probability of `label` for a reply, in [0, 1]; 0 for a reply that shows nothing or is longer than the classifier reads.

    Longer, because what stands behind its last position is never seen: a reply could say anything there. A classifier is a fixed target and
    has texts that it likes and no reader does: ask for a length as well, look at drafts, and keep another judge for the end.

    Args:
        folder: as save_pretrained writes it, with tokenizer. label: its name or number; "" for a classifier with one label or two, of which
            the last is meant. reads: "reply", or "pair" for one that was trained on (prompt, reply).

    Raises UsageError: no classifier there, or no such label.
    """

    def __init__(self, folder: str, label: str = "", reads: str = "reply"):
        if reads not in READS:
            raise UsageError(f"--quality classifier:{folder},reads={reads}. Allowed: reads={' or reads='.join(READS)}. Correct it.")
        if not (Path(folder) / "config.json").is_file():
            allowed = "the folder of a sequence classifier as save_pretrained writes it, with its tokenizer"
            raise UsageError(f"--quality classifier:{folder}: no config.json there. Allowed: {allowed}. Check the path.")
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self.reads = reads
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True).eval()
        except (OSError, ValueError, KeyError) as error:
            allowed = "a sequence classifier with its tokenizer"
            raise UsageError(
                f"--quality classifier:{folder}: {str(error).splitlines()[0][:200]}. Allowed: {allowed}. Check the folder."
            ) from None
        from polychromic.models.load import usable_positions

        config = self._model.config
        names = {str(name).lower(): number for number, name in config.id2label.items()} | {str(n): n for n in config.id2label}
        if not label and config.num_labels > 2 or label and label.lower() not in names:
            known = ", ".join(map(str, config.id2label.values()))
            raise UsageError(f"--quality classifier:{folder}: label {label!r}. Allowed: label=NAME, one of {known}. Name one.")
        self._label = names[label.lower()] if label else config.num_labels - 1
        positions = usable_positions(self._model)
        self.limit = min(self._tokenizer.model_max_length, positions or self._tokenizer.model_max_length)

    def __call__(self, row: dict[str, Any], replies: Sequence[str]) -> np.ndarray:
        import torch

        prompt = text_of(asked("row", row)) if self.reads == "pair" else None
        found = np.zeros(len(replies))
        distinct = [reply for reply in dict.fromkeys(replies) if shows(reply) and self._length(prompt, reply) <= self.limit]
        known: dict[str, float] = {}
        for first in range(0, len(distinct), ROWS):
            part = distinct[first : first + ROWS]
            texts = (part,) if prompt is None else ([prompt] * len(part), part)
            with torch.inference_mode():
                logits = self._model(**self._tokenizer(*texts, padding=True, return_tensors="pt")).logits.float()
            values = torch.sigmoid(logits)[:, 0] if logits.shape[-1] == 1 else torch.softmax(logits, -1)[:, self._label]
            known |= dict(zip(part, values.tolist(), strict=True))
        for place, reply in enumerate(replies):
            found[place] = known.get(reply, 0.0)
        return found

    def _length(self, prompt: str | None, reply: str) -> int:
        texts = (reply,) if prompt is None else (prompt, reply)
        return len(self._tokenizer(*texts, verbose=False)["input_ids"])
