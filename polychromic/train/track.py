"""What a tracker is told beside the history: rates, memory and shares of clipping, a row per logged step, in a local JSONL file and, on
request, through transformers' own integration of a tracker. Clocks go there alone: the history is compared byte by byte.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import TrainerCallback

from polychromic.base import processes
from polychromic.base.errors import UsageError
from polychromic.base.io import dumps
from polychromic.models.flops import Flops
from polychromic.params.sections import TRACKERS

FILE = "tracker.jsonl"
NOTHING, FILE_ALONE = "none", "jsonl"
# What keeps a tracker on this machine; whoever wants it online sets the variable first.
OFFLINE = {"WANDB_MODE": "offline", "MLFLOW_TRACKING_URI": "file:./mlruns", "TRACKIO_SPACE_ID": ""}


def reporting(name: str, folder: Path) -> dict[str, Any]:
    """What TrainingArguments takes. folder: where a tracker with files of its own keeps them.

    Raises UsageError: the tracker's package is not installed.
    """
    if name in (NOTHING, FILE_ALONE):
        return {"report_to": []}
    if find_spec(name if name != "tensorboard" else "tensorboard") is None:
        allowed = ", ".join(one for one in TRACKERS if one in (NOTHING, FILE_ALONE) or find_spec(one))
        raise UsageError(f"report_to is {name}, and the package {name} is not installed. Allowed here: {allowed}. Or `pip install {name}`.")
    for key, value in OFFLINE.items():
        if value:
            os.environ.setdefault(key, value)
    if name == "tensorboard":
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(folder / "tensorboard"))
    return {"report_to": [name], "run_name": folder.name}


class Track(TrainerCallback):
    """Adds to what the trackers are told, and writes it to FILE in `folder`. To be the first of a trainer's callbacks (`follow`).

    Keys beside the history's, of the steps since the run began or went on:
        clipped_share, objective_clipped_share: of steps whose gradient was cut, of L_quality and of D.
        objective_gradient_share: of lam * D's gradient in the sum of the two norms, after clipping; 0 to 1.
        sampler_tokens_per_second, step_seconds, memory_gib (peak of the GPU, else of this process), flops_total.
    """

    def __init__(self, trainer: Any, folder: Path):
        self.trainer, self.folder = trainer, folder
        self.clipped: dict[str, list[float]] = {"clipped_share": [], "objective_clipped_share": []}
        self.tokens, self.seconds, self.since = 0.0, 0.0, time.monotonic()
        if trainer.flops is None:
            trainer.flops = Flops.of(trainer.model)
        if trainer.rollouts is not None:
            self._time(trainer.rollouts)

    def _time(self, rollouts: Any) -> None:
        draw = rollouts.draw

        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.monotonic()
            drawn = draw(*args, **kwargs)
            self.tokens += float(drawn.mask.sum())  # which waits for the GPU
            self.seconds += time.monotonic() - started
            return drawn

        rollouts.draw = timed

    def on_log(self, args, state, control, logs=None, **kwargs):  # noqa: ANN001, ANN003, ANN201 - Trainer's signature
        if logs is None:
            return
        if "loss" in logs:
            logs |= self.shares(logs) | self.clocks()  # the history has a copy of its own, made before
        if processes.first():
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / FILE).open("a", encoding="utf-8") as file:
                file.write(dumps({**logs, "step": state.global_step}) + "\n")

    def shares(self, logs: Mapping[str, float]) -> dict[str, float]:
        limit, objective, found = self.trainer.args.max_grad_norm, self.trainer.objective, {}
        if (norm := logs.get("grad_norm")) is not None:
            self.clipped["clipped_share"].append(float(norm > limit))
        if "objective_clipped" in logs:
            self.clipped["objective_clipped_share"].append(logs["objective_clipped"])
            ours = objective.lam * min(logs["objective_grad_norm"], objective.max_grad_norm)
            found["objective_gradient_share"] = ours / max(ours + min(norm, limit), 1e-12)
        return found | {name: sum(values) / len(values) for name, values in self.clipped.items() if values}

    def clocks(self) -> dict[str, float]:
        now, found = time.monotonic(), {"flops_total": self.trainer.resume_state.flops}
        found |= {"step_seconds": now - self.since}
        if self.seconds:
            found["sampler_tokens_per_second"] = self.tokens / self.seconds
        gpu = torch.cuda.is_available()
        found["memory_gib"] = (torch.cuda.max_memory_allocated() if gpu else psutil.Process().memory_info().rss) / 2**30
        self.tokens, self.seconds, self.since = 0.0, 0.0, now
        return found


def follow(trainer: Any, name: str, folder: Path) -> None:
    """Has a trainer tracked, unless `name` is "none"."""
    if name != NOTHING:
        trainer.callback_handler.callbacks.insert(0, Track(trainer, folder))
