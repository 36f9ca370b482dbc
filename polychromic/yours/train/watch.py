"""Training that watches itself: what is going wrong, found in the log so far, said once, with what to do.

`findings` is a function of the log alone, so that a run that goes on after a kill finds what an undisturbed one does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from transformers import TrainerCallback

LOGS = 10  # in a row, in which nothing but 0 or nothing but 1 is no chance
WINDOW = 20  # logs over which clipping is counted
LEAST = 10  # logs with rollouts, from which on D is asked whether it rises
OFTEN = 0.5  # share of them that is most of the time
PASSED, DRAWS = "dev_pass@1", "dev_draws"  # of the log: share of dev's drafts that pass, and of how many drafts


class Finding(NamedTuple):
    """kind: what it is called in the card; text: what was seen, and what to do."""

    kind: str
    text: str


def findings(
    log: Sequence[Mapping[str, float]], lam: float, clip: float | None, max_grad_norm: float, ended: bool = False
) -> list[Finding]:
    """What the log shows.

    Args:
        log: rows of Trainer's log_history. lam, clip: of D, where the method has it; max_grad_norm: of the quality loss.
        ended: whether training is over, after which D has had its chance.
    """
    found: list[Finding] = []
    drawn = [row for row in log if "objective" in row]
    q = [row["quality"] for row in drawn]
    runs = [q[i : i + LOGS] for i in range(len(q) - LOGS + 1)]
    if any(max(run) <= 0 for run in runs):
        found.append(Finding("quality 0", (
            f"all replies of {LOGS} logged steps in a row have quality 0: D has no gradient there, and its rollouts are paid for. "
            "Read some drafts; then train longer before D begins (--warm-up, --steps), grade the quality instead of asking for all or "
            "nothing, or ask for less. If the drafts are good, the quality function is wrong: try it on rows of yours."
        )))  # fmt: skip
    if any(min(run) >= 1 for run in runs):
        found.append(Finding("quality 1", (
            f"all replies of {LOGS} logged steps in a row have quality 1: only their difference is learned, and whatever the quality "
            "does not see is free. Read some drafts; then ask for more (a second --quality), or stop here."
        )))  # fmt: skip
    if len(drawn) >= (LEAST if ended else 2 * LEAST) and not any(row.kind == "quality 0" for row in found):
        third = max(3, len(drawn) // 3)
        first, last = (np.array([row["objective"] for row in part]) for part in (drawn[:third], drawn[-third:]))
        rise, noise = last.mean() - first.mean(), 2 * sqrt(first.var(ddof=1) / third + last.var(ddof=1) / third)
        if rise < noise:
            found.append(Finding("D does not rise", (
                f"D was {first.mean():.3f} in the first {third} logged steps with rollouts and {last.mean():.3f} in the last {third}, "
                f"which is no more than chance (+-{noise:.3f}). Train longer (--steps), raise --lam (now {lam:g}) or the share of prompts "
                "that are drawn to (--share 1 --every 1); where quality is graded and near 0, ask for less."
            )))  # fmt: skip
    clipped = {
        "D": [row["objective_clipped"] for row in log if "objective_clipped" in row][-WINDOW:],
        "the quality loss": [float(row["grad_norm"] > max_grad_norm) for row in log if "grad_norm" in row][-WINDOW:],
    }
    for term, values in clipped.items():
        if len(values) >= LOGS and np.mean(values) > OFTEN:
            limit = clip if term == "D" else max_grad_norm
            act = f"raise --clip (now {limit:g}), or lower --lam instead of clipping" if term == "D" else "lower --learning-rate"
            found.append(Finding(f"{term} clipped", (
                f"the gradient of {term} was clipped in {np.mean(values):.0%} of the last {len(values)} logged steps: it acts less than "
                f"its weight says. To do: {act}."
            )))  # fmt: skip
    if fall := _fall([row for row in log if PASSED in row]):
        found.append(Finding("pass@1 falls", (
            f"of dev's drafts {fall[1]:.0%} pass, {fall[0]:.0%} did before: drafts become different at the price of being good. "
            "Lower --lam, stop earlier (--steps), or make the quality stricter where it lets through what you would not."
        )))  # fmt: skip
    return found


def _fall(rows: Sequence[Mapping[str, float]]) -> tuple[float, float] | None:
    """(before, now) where the newest share is below the first by more than two standard errors of drawing."""
    if len(rows) < 2:
        return None
    (p, m), (now, k) = ((row[PASSED], row[DRAWS]) for row in (rows[0], rows[-1]))
    noise = sqrt(p * (1 - p) / m + now * (1 - now) / k)
    return (p, now) if p - now > 2 * noise + 1e-9 else None


class Watch(TrainerCallback):
    """Says each finding once, as soon as the log shows it.

    Args:
        say: writes a line for the user. about: lam, clip and max_grad_norm of `findings`.
        points: steps after which dev is drawn to; the first is where D begins. passed: the share that passes, and of how many drafts.
    """

    def __init__(
        self, say: Callable[[str], None], about: Mapping[str, Any], points: Iterable[int], passed: Callable[[], tuple[float, int]] | None
    ):
        self.say, self.about, self.points, self.passed = say, about, set(points), passed
        self.said: list[Finding] = []

    def on_train_begin(self, args, state, control, **kwargs):  # noqa: ANN001, ANN003, ANN201 - Trainer's signature
        for end in range(1, len(state.log_history) + 1):  # said before the kill
            self.tell(state.log_history[:end], silent=True)
        if 0 in self.points and state.global_step == 0:
            self.look(state)

    def on_step_end(self, args, state, control, **kwargs):  # noqa: ANN001, ANN003, ANN201
        if state.global_step in self.points:
            self.look(state)

    def on_log(self, args, state, control, logs=None, **kwargs):  # noqa: ANN001, ANN003, ANN201
        self.tell(state.log_history)

    def look(self, state: Any) -> None:
        if self.passed is not None and not any(PASSED in row and row["step"] == state.global_step for row in state.log_history):
            share, draws = self.passed()
            # Not through Trainer.log, after which the step's own log would not be written.
            state.log_history.append({PASSED: share, DRAWS: draws, "step": state.global_step})
            self.tell(state.log_history)

    def tell(self, log: Sequence[Mapping[str, float]], ended: bool = False, silent: bool = False) -> None:
        """Says what is new, or only takes note of it."""
        known = {finding.kind for finding in self.said}
        for finding in findings(log, **self.about, ended=ended):
            if finding.kind not in known:
                self.said.append(finding)
                if not silent:
                    self.say(f"warning: {finding.text}")
