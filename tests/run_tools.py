"""Training runs on tiny models: records, sentence vectors that need no encoder, and ways to train, watch and kill."""

from __future__ import annotations

import numpy as np

from polychromic.data.domains import get_domain
from polychromic.train import adapter as run
from polychromic.train.trainer import PolychromicTrainer
from tests.workspace import KINDS, listqa_record, small_params

TRAIN, DEV = [listqa_record(i) for i in range(6)], [listqa_record(i) for i in range(6, 9)]
# Three references each: two would lie equally far from each other, and loss deviation would weigh nothing.
THREE = [listqa_record(i, references=[f"red {kind}", f"reddish {kind}", f"{kind} of the sea"]) for i, kind in enumerate(KINDS[:6])]


def embed(texts) -> np.ndarray:
    """Letters counted, at unit length."""
    counts = np.array([[text.count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] + [1.0] for text in texts], dtype=np.float32)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


class Readers:
    """polychromic.data.domains.Readers without a model; what it was asked is counted as if an operation a text."""

    def __init__(self, lookup=embed, fluent=None, **norms):
        self.norms, self.lookup, self.fluent, self.flops = {"cosine": 0.0} | norms, lookup, fluent or {}, 0.0

    def bind(self, model, tokenizer) -> None:
        pass

    def embed(self, texts) -> np.ndarray:
        self.flops += len(texts)
        return self.lookup(texts)

    def fluency(self, replies) -> np.ndarray:
        return np.array([self.fluent[reply] for reply in replies], dtype=float)


def train(
    method: str = "polychromic", lam: float | None = 3.0, seed: int = 0, records=TRAIN, validation=DEV, unlabelled=(), **changes
) -> run.Trained:
    params = small_params(**changes)
    return run.train_adapter(params, get_domain("listqa"), params.methods[method], lam, seed, records, validation, Readers(), unlabelled)


def count_steps(monkeypatch, die_at: int | None = None) -> list[int]:
    """Global steps that are computed; `die_at` raises in the middle of that one."""
    original, steps = PolychromicTrainer.training_step, []

    def watched(self, *args, **kwargs):
        steps.append(self.state.global_step)
        if self.state.global_step == die_at:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(PolychromicTrainer, "training_step", watched)
    return steps
