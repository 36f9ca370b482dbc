"""SIGTERM and Ctrl-C: the step is finished, a checkpoint written, training ends with one message; the same command goes on from there."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import TrainerCallback

from polychromic.base import processes
from polychromic.base.errors import PolychromicError

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StoppedError(PolychromicError):
    """The run was asked to stop, and saved what it had."""

    exit_code = 143  # 128 + SIGTERM, as a shell says it


class Stop(TrainerCallback):
    """Ends training with a checkpoint after the step in which a signal came; a second signal ends it at once."""

    def __init__(self) -> None:
        self.asked = self.stopped = False

    def ring(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def on_step_end(self, args, state, control, **kwargs):  # noqa: ANN001, ANN003, ANN201 - Trainer's signature
        # The signal reaches processes in different steps; a checkpoint is written by all of them.
        if processes.any_of(self.asked) and state.global_step < state.max_steps:
            self.stopped = control.should_save = control.should_training_stop = True

    @contextmanager
    def listening(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C ring here while the block runs; only the main thread of a process is told of signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.ring) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
