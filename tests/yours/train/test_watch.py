"""What a run says of itself: each warning on a log that shows its fault, none on one that does not."""

from __future__ import annotations

import re

import numpy as np
import pytest

from polychromic.yours.train.watch import DRAWS, LOGS, PASSED, Watch, findings

ABOUT = {"lam": 3.0, "clip": 10.0, "max_grad_norm": 5.0}


def log(steps: int = 40, quality: float = 0.4, rise: float = 0.2, clipped: float = 0.0, norm: float = 1.0, seed: int = 0) -> list[dict]:
    rng = np.random.default_rng(seed)
    return [
        {"loss": 2.0, "grad_norm": norm, "step": i, "objective": 0.2 + rise * i / steps + 0.05 * rng.normal(), "quality": quality,
         "objective_clipped": float(rng.random() < clipped)}
        for i in range(steps)
    ]  # fmt: skip


def kinds(rows: list[dict], **more) -> list[str]:
    return [finding.kind for finding in findings(rows, **ABOUT | more)]


def test_a_healthy_run_says_nothing():
    assert kinds(log()) == kinds(log(), ended=True) == kinds([]) == []
    assert kinds([{"loss": 2.0, "grad_norm": 1.0, "step": i} for i in range(60)], ended=True) == []  # without rollouts


@pytest.mark.parametrize(("rows", "kind", "said"), [
    (log(quality=0.0), "quality 0", "quality 0: D has no gradient there, and its rollouts are paid for.*--warm-up"),
    (log(quality=1.0), "quality 1", "quality 1: only their difference is learned.*a second --quality"),
    (log(rise=0.0), "D does not rise", r"no more than chance.*--lam \(now 3\)"), (log(rise=-0.2), "D does not rise", "D was 0"),
    (log(clipped=0.9), "D clipped", r"gradient of D was clipped in .*raise --clip \(now 10\)"),
    (log(norm=7.0), "the quality loss clipped", "lower --learning-rate"),
    ([*log(), {PASSED: 0.6, DRAWS: 64, "step": 20}, {PASSED: 0.3, DRAWS: 64, "step": 30}], "pass@1 falls", "30% pass, 60% did.*--lam"),
])  # fmt: skip
def test_each_fault_is_found_and_says_what_to_do(rows, kind, said):
    (found,) = findings(rows, **ABOUT)
    assert found.kind == kind
    assert re.search(said, found.text)


def test_what_may_be_chance_is_not_said():
    short = log(steps=2 * LOGS - 1, rise=0.0)
    assert kinds(short) == [] and kinds(short, ended=True) == ["D does not rise"]  # D has its chance until the end
    assert kinds(log(steps=LOGS - 1, quality=0.0)) == []
    mixed = log(quality=0.0)
    for row in mixed[::5]:
        row["quality"] = 0.25
    assert "quality 0" not in kinds(mixed)
    assert kinds([*log(), {PASSED: 0.5, DRAWS: 32, "step": 20}, {PASSED: 0.4, DRAWS: 32, "step": 30}]) == []
    assert kinds(log(clipped=0.2)) == []


def test_a_finding_is_said_once_and_not_again_after_a_kill():
    said: list[str] = []

    class State:
        log_history, global_step = log(quality=0.0), 40

    watch = Watch(said.append, ABOUT, (), None)
    for end in range(1, 41):
        watch.tell(State.log_history[:end])
    assert len(said) == 1 and said[0].startswith("warning: all replies")
    again = Watch(said.append, ABOUT, (), None)
    again.on_train_begin(None, State, None)
    again.on_log(None, State, None)
    assert len(said) == 1 and again.said == watch.said


def test_dev_is_drawn_to_at_the_points_once():
    class State:
        log_history, global_step = [], 3

    shares = iter([(0.9, 100), (0.2, 100)])
    said: list[str] = []
    watch = Watch(said.append, ABOUT, (3, 6), lambda: next(shares))
    for State.global_step in (3, 3, 4, 6):
        watch.on_step_end(None, State, None)
    assert [row["step"] for row in State.log_history] == [3, 6] and "20% pass, 90% did before" in said[0]
