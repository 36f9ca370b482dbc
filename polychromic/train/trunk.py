"""One training run per seed yields all budgets: prefixes that runs share, kept in the cache as checkpoints.

With a rate that is constant until the last DECAY of a budget, a run with a small budget is the beginning of one with a large one, and a
method that starts its rollouts late is LoRA until then. A run leaves a checkpoint at each such place, and starts from the furthest one
that is there: with the same bytes as without, since a resumed run ends with those of one that was not interrupted.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from transformers import TrainerCallback

from polychromic.base import processes
from polychromic.train.rollouts import ResumeState


class Mark(NamedTuple):
    """A place on the way of a run, and the checkpoint there: after so many steps, or the first step that has spent so many FLOPs."""

    folder: Path
    step: int | None = None
    flops: float | None = None

    def passed(self, step: int, before: float, flops: float) -> bool:
        """Whether the step that ended as number `step` reached it; it took FLOPs from `before` to `flops`."""
        return step == self.step if self.flops is None else before < self.flops <= flops


class Marks(TrainerCallback):
    """Leaves a checkpoint at each mark that is passed and was not there."""

    def __init__(self, marks: Sequence[Mark], state: ResumeState, checkpoints: Path):
        self.marks, self.state, self.checkpoints = marks, state, checkpoints
        self.before, self.due = 0.0, []

    def on_train_begin(self, args, state, control, **kwargs):  # noqa: ANN001, ANN003, ANN201 - Trainer's signature
        self.before = self.state.flops

    def on_step_end(self, args, state, control, **kwargs):  # noqa: ANN001, ANN003, ANN201
        places = (state.global_step, self.before, self.state.flops)
        self.due = [mark.folder for mark in self.marks if mark.passed(*places)]
        if self.due:
            self.due = processes.told([folder for folder in self.due if not folder.exists()])
        control.should_save |= bool(self.due)
        self.before = self.state.flops

    def on_save(self, args, state, control, **kwargs):  # noqa: ANN001, ANN003, ANN201
        if self.due:
            processes.wait()  # each process has a file of its own in a checkpoint
        for folder in self.due if processes.first() else ():
            part = folder.with_name(f".{folder.name}.{os.getpid()}")
            shutil.copytree(self.checkpoints / f"checkpoint-{state.global_step}", part)
            try:
                part.rename(folder)
            except OSError:  # another run was here first, with the same bytes
                shutil.rmtree(part)
        self.due = []


def furthest(marks: Sequence[Mark]) -> Path | None:
    """The last of the marks, in the order of the way, that has a checkpoint."""
    return next((mark.folder for mark in reversed(marks) if mark.folder.exists()), None)
