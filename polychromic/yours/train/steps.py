"""The steps of one run on a loaded model: what it will cost, drafts before, training that can be stopped and goes on, drafts after."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import EarlyStoppingCallback, PrinterCallback, TrainerCallback, TrainingArguments
from transformers.trainer_callback import ExportableState

from polychromic.base.errors import PolychromicError
from polychromic.base.hardware import best_device
from polychromic.base.io import read_json, write_json
from polychromic.base.progress import progress
from polychromic.method.sets import SetObjectiveConfig
from polychromic.models.flops import Flops
from polychromic.params.sections import Train
from polychromic.train.adapter import Tick, training_arguments
from polychromic.train.batches import encode_completion, encode_prompt
from polychromic.train.self_training import SelfTraining
from polychromic.train.stop import Stop, StoppedError
from polychromic.train.track import follow
from polychromic.train.trainer import PolychromicTrainer
from polychromic.yours.train.functions import Scoring
from polychromic.yours.train.measure import DRAFTS, Measured, judged, measure
from polychromic.yours.train.settings import MAX_GRAD_NORM, POOL, Settings
from polychromic.yours.train.watch import Finding, Watch

CHECKPOINTS = 10  # steps from one to the next, at most
WATCHED = 16  # prompts of dev that are drawn to on the way
# (temperature, min-p) of which the card gets the one with the largest D on dev; the first is what is trained.
DECODINGS = ((1.0, 0.0), (0.7, 0.0), (1.0, 0.1))
TIMED = 3  # passes of which the shortest is taken: the first one warms up, and other work may come between
LEAST_GAIN = 0.005  # in D, for which another decoding than training's is taken


class After(NamedTuple):
    """drafts: by (temperature, min-p); chosen: the one with the largest D; loss: dev's cross-entropy, None without dev."""

    drafts: dict[tuple[float, float], Measured]
    chosen: tuple[float, float]
    loss: float | None


class Clock(TrainerCallback, ExportableState):
    """Seconds of training, those before a kill included up to its last checkpoint."""

    def __init__(self, before: float = 0.0):
        self.before, self._since = before, time.monotonic()

    def on_train_begin(self, args, state, control, **kwargs):  # noqa: ANN001, ANN003, ANN201 - Trainer's signature
        self._since = time.monotonic()

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self._since

    def state(self) -> dict[str, Any]:
        return {"args": {}, "attributes": {"before": self.seconds}}


class Bench:
    """A PEFT model, what it trains on, and where it keeps what is not done.

    Args: rows, dev: examples with prompts as the model is asked. asked: dev's distinct prompts, with an id. say: writes a line to the user.
    """

    def __init__(
        self, model: Any, tokenizer: Any, settings: Settings, scoring: Scoring, rows: list[dict], dev: list[dict], asked: list[dict],
        work: Path, say: Callable[[str], None], tracker: str = "none",
    ):  # fmt: skip
        self.model, self.tokenizer, self.settings, self.scoring = model, tokenizer, settings, scoring
        self.rows, self.dev, self.asked, self.work, self.say, self.tracker = rows, dev, asked, work, say, tracker
        self.encoded = [encode_prompt(tokenizer, example["prompt"]) for example in asked]
        self.checked = 0  # replies of training that were judged
        self._trainer: PolychromicTrainer | None = None

    # what it will cost

    def tell_plan(self) -> None:
        s = self.settings
        what = {"lora": "", "rft": f"; at step {s.after} {POOL} replies to each prompt are drawn, and the good ones trained on"}
        if s.method == "polychromic":
            prompts = max(1, round(s.share * s.batch))
            times = max(0, -(-(s.steps - s.after) // s.every))
            all_ = times * prompts * s.n
            what["polychromic"] = f"; from step {s.after} on, {times} draw {s.n} replies to each of {prompts} prompts ({all_} in all)"
        where = f"{best_device()}, {s.precision}" + (f", {torch.get_num_threads()} threads" if best_device() == "cpu" else "")
        self.say(f"plan: {s.method}, {s.steps} steps of {s.batch} rows at rate {s.rate:g} ({where}){what[s.method]}")
        self.say(f"replies are cut at {s.max_new_tokens} tokens; training takes about {self._flops():.1e} floating-point operations")

    def _flops(self) -> float:
        """Of training, about: replies are taken to be as long as completions."""
        s, flops = self.settings, Flops.of(self.model)
        part = self.rows[:: max(1, len(self.rows) // 64)]
        p = sum(len(encode_prompt(self.tokenizer, row["prompt"])) for row in part) / len(part)
        c = min(s.max_new_tokens, sum(len(encode_completion(self.tokenizer, row["completion"])) for row in part) / len(part))
        attended = c * p + c * c / 2
        step = s.batch * flops.training(p + c, p * p / 2 + attended, c)
        reply = flops.forward(c, attended, c) + flops.training(c, attended, c)
        drawn = {
            "lora": 0.0,
            "rft": len(self.rows) * POOL,
            "polychromic": (s.steps - s.after) / s.every * max(1, round(s.share * s.batch)) * s.n,
        }
        return s.steps * step + drawn[s.method] * reply

    # drafts

    def before(self) -> Measured | None:
        """Drafts of the base on dev; kept, so that a run that goes on draws none."""
        if not self.asked:
            return None
        path = self.work / "before.json"
        if path.is_file():
            kept = read_json(path)
            return judged(self.asked, kept["samples"], kept["tokens"], self.scoring, self.settings.n, self.settings.good)
        started = time.monotonic()
        with self.model.disable_adapter():
            found = self.draw("drafts of the base")
        took = time.monotonic() - started
        self.say(f"base on {len(self.asked)} dev prompts: {told(found)}")
        if not found.values["pass@1"].any() and (best := max(max(row["quality"]) for row in found.rows)) < self.settings.good:
            self.say(f"note: none passes (--good {self.settings.good:g}); the best has quality {best:.2f}. pass@k is 0 until one does")
        replies = sum(len(row["samples"]) for row in found.rows)
        self.say(f"training takes about {self._minutes(took / replies):.0f} minutes here, and drafts at its end {4 * took / 60:.0f}")
        write_json(path, {"samples": [row["samples"] for row in found.rows], "tokens": [row["tokens"] for row in found.rows]})
        return found

    def draw(self, what: str, temperature: float = 1.0, min_p: float = 0.0, most: int | None = None, drafts: int = DRAFTS) -> Measured:
        s = self.settings
        return measure(
            self.model, self.tokenizer, self.asked[:most], self.encoded[:most], self.scoring, n=s.n, good=s.good, drafts=drafts,
            max_new_tokens=s.max_new_tokens, seed=s.seed, what=what, temperature=temperature, min_p=min_p,
        )  # fmt: skip

    def _minutes(self, per_reply: float) -> float:
        """Of training, about: a step is three passes, of which one is timed; a reply is drawn, and scored as a row is."""
        s, batch = self.settings, self.rows[: self.settings.batch]
        ids = [encode_prompt(self.tokenizer, row["prompt"]) + encode_completion(self.tokenizer, row["completion"]) for row in batch]
        width = max(map(len, ids))
        tokens = torch.tensor([row + [0] * (width - len(row)) for row in ids], device=self.model.device)
        passes = []
        for _ in range(TIMED):
            started = time.monotonic()
            with torch.inference_mode():
                self.model(input_ids=tokens, use_cache=False)
            passes.append(time.monotonic() - started)
        step = 3 * min(passes)
        rollouts = (s.steps - s.after) / s.every * max(1, round(s.share * s.batch)) * s.n
        drawn = {"lora": 0.0, "rft": len(self.rows) * POOL, "polychromic": rollouts}[s.method]
        return (s.steps * step + drawn * (per_reply + step / s.batch)) / 60

    def passed(self) -> tuple[float, int]:
        """Share of dev's drafts that pass now, and of how many: few prompts, one set each."""
        found = self.draw("drafts on dev", most=WATCHED, drafts=self.settings.n)
        return float(found.values["pass@1"].mean()), sum(len(row["samples"]) for row in found.rows)

    def after(self) -> After | None:
        """Drafts of the adapter on dev, at each of DECODINGS."""
        if not self.asked:
            return None
        drafts = {
            decoding: self.draw(f"drafts of the adapter, T {decoding[0]:g}, min-p {decoding[1]:g}", *decoding) for decoding in DECODINGS
        }
        worth = {decoding: float(found.values["objective"].mean()) for decoding, found in drafts.items()}
        best = max(worth, key=worth.get)
        if worth[best] < worth[DECODINGS[0]] + LEAST_GAIN:
            best = DECODINGS[0]
        loss = self._trainer.evaluate()["eval_loss"] if self._trainer else None
        return After(drafts, best, loss)

    # training

    def train(self) -> tuple[list[dict], list[Finding], float]:
        """(history, what the watch found, seconds): trains in place, from the last checkpoint where there is one.

        Raises StoppedError: SIGTERM or Ctrl-C came; PolychromicError: a function of the user's, or a number that is not finite.
        """
        s, checkpoints = self.settings, self.work / "checkpoints"
        trunk = Train(
            batch_size=s.batch, learning_rate=s.rate, warmup_steps=min(5, s.steps // 4), schedule="cosine", weight_decay=0.0,
            max_grad_norm=MAX_GRAD_NORM, eval_every=max(1, s.steps // 6), checkpoint_every=min(CHECKPOINTS, max(1, s.steps // 4)),
            kl_samples=1, precision=s.precision, report_to=self.tracker,
        )  # fmt: skip
        arguments = training_arguments(trunk, s.steps, s.seed, checkpoints, validate=bool(self.dev))
        patience = []
        if s.patience:
            arguments, patience = best_of(arguments, trunk.eval_every, s.after if s.method == "polychromic" else 0), [Patience(s.patience)]
        watch = self._watch()
        resume = last_checkpoint(checkpoints)
        clock = Clock(_seconds(resume))
        extras = self._extras()
        try:
            trainer = self._trainer = PolychromicTrainer(
                model=self.model, args=arguments,
                train_dataset=self.rows, eval_dataset=self.dev or None, processing_class=self.tokenizer,
                layout="shared" if best_device() == "cpu" else "packed", callbacks=[clock, watch, *patience], **extras,
            )  # fmt: skip
        except ValueError as error:
            raise PolychromicError(f"this base cannot be trained so: {error}") from None
        trainer.remove_callback(PrinterCallback)
        follow(trainer, self.tracker, self.work.parent)
        if resume:
            self.say(f"going on at step {resume.name.rpartition('-')[2]} of {s.steps}")
        with progress(f"train {s.method}", s.steps) as tick:
            stop = Stop()
            trainer.add_callback(Tick(tick))
            trainer.add_callback(stop)
            with stop.listening():
                trainer.train(resume_from_checkpoint=resume and str(resume))
        if stop.stopped:
            done = f"stopped at step {trainer.state.global_step} of {s.steps}, which is saved"
            raise StoppedError(f"{done}. Run the same command again to go on.")
        if trainer.state.global_step < s.steps:
            self.say(f"ended at step {trainer.state.global_step} of {s.steps}: dev's cross-entropy fell no more")
        if s.patience:
            self.say(f"the adapter is that of step {Path(trainer.state.best_model_checkpoint or '-0').name.rpartition('-')[2]}")
        if self.asked and watch.passed:
            watch.points = {trainer.state.global_step}
            watch.look(trainer.state)
        watch.tell(trainer.state.log_history, ended=True)
        self.checked = trainer.resume_state.checked
        return trainer.history, watch.said, clock.seconds

    def _watch(self) -> Watch:
        s = self.settings
        first = 0 if s.method == "lora" else s.after
        points = {first + round(part * (s.steps - first)) for part in (0, 1 / 3, 2 / 3)}
        about = {"lam": s.lam, "clip": s.clip if s.method == "polychromic" else None, "max_grad_norm": MAX_GRAD_NORM}
        return Watch(self.say, about, points, self.passed if self.asked else None)

    def _extras(self) -> dict[str, Any]:
        """What PolychromicTrainer takes for the method."""
        s = self.settings
        quality, similarity = self.scoring.of_examples()
        if s.method == "polychromic":
            objective = SetObjectiveConfig(
                quality=quality, similarity=similarity, lam=s.lam, n=s.n, max_new_tokens=s.max_new_tokens, share=s.share, every=s.every,
                after=s.after, max_grad_norm=s.clip, seed=s.seed,
            )  # fmt: skip
            return {"objective": objective}
        if s.method == "rft":
            passes = lambda example, replies: (quality(example, replies) >= s.good).astype(float)
            pool = SelfTraining(
                after=s.after, samples=POOL, quality=passes, similarity=similarity, max_new_tokens=s.max_new_tokens, seed=s.seed
            )
            return {"self_training": pool}
        return {}


class Patience(EarlyStoppingCallback):
    """transformers' early stopping, whose count is taken from the log, so that a run that goes on ends where an undisturbed one does."""

    def on_train_begin(self, args, state, control, **kwargs):  # noqa: ANN001, ANN003, ANN201 - Trainer's signature
        super().on_train_begin(args, state, control, **kwargs)
        best, self.early_stopping_patience_counter = float("inf"), 0
        for loss in (row["eval_loss"] for row in state.log_history if "eval_loss" in row):
            self.early_stopping_patience_counter = 0 if loss < best else self.early_stopping_patience_counter + 1
            best = min(best, loss)


def best_of(arguments: TrainingArguments, every: int, after: int) -> TrainingArguments:
    """The arguments with the checkpoint of the lowest validation cross-entropy as the result, among those from step `after` on: what is
    trained before D begins is not the method's."""
    found = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "greater_is_better": False, "save_total_limit": 2}
    return replace(arguments, **found, save_steps=every, eval_delay=after + 1 if after else 0)


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end (Trainer writes trainer_state.json last); others are removed."""
    whole = []
    for path in folder.glob("checkpoint-*"):
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
            whole.append(path)
        except (FileNotFoundError, ValueError):
            shutil.rmtree(path)
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2])) if whole else None


def _seconds(checkpoint: Path | None) -> float:
    if checkpoint is None:
        return 0.0
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    return float(state.get("stateful_callbacks", {}).get(Clock.__name__, {}).get("attributes", {}).get("before", 0.0))


def told(found: Measured) -> str:
    """Means in a line: "D 0.21, quality 0.35, pass@1 30 %, pass@4 55 %"."""
    means = {name: float(values.mean()) for name, values in found.values.items()}
    percent = [f"{name} {value:.0%}" for name, value in means.items() if name.startswith("pass@")]
    return ", ".join([f"D {means['objective']:.3f}", f"quality {means['quality']:.2f}", *percent])
