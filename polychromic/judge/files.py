"""The questions about two files of anybody's replies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from polychromic.base.errors import UsageError
from polychromic.judge.questions import SET, SINGLE, Replies, draw
from polychromic.judge.results import Plan
from polychromic.judge.rubric import FOLDER, GENERAL, Rubric, load_rubric, rubric_of
from polychromic.yours.evaluate.inputs import System, other_prompts, read_systems

YAML = (".yaml", ".yml")


def plan(
    a: Path, b: Path, sets: int = 0, single: bool = True, rubric: str | None = None, seed: int = 0, prompts: int | None = None,
    repeats: int = 0, say: Callable[[str], None] = print,
) -> Plan:  # fmt: skip
    """The questions about two files of replies (docs/evaluate.md), of one system each.

    Args:
        sets: replies of a set; 0 asks about single replies alone. single: whether those are asked about at all.
        rubric: a domain's name, or a YAML file; None: the general one. say: is told where the files answer different prompts.

    Raises PolychromicError: see polychromic.yours.evaluate.inputs and polychromic.judge.questions.draw; UsageError: nothing is asked about,
    a file with several systems, or no such rubric.
    """
    sizes = ({SINGLE: 1} if single else {}) | ({SET: sets} if sets else {})
    if not sizes or sets == 1:
        raise UsageError(f"nothing to ask about (sets of {sets}). Allowed: single replies, sets of 2 or more (--sets 5), or both.")
    found = _rubric(rubric)
    systems = read_systems([a, b])
    if len(systems) != 2:
        names = ", ".join(one.name for one in systems)
        what = f"{a} and {b} hold {len(systems)} systems ({names})"
        raise UsageError(f"{what}. Allowed: one each. Put one system at one temperature into each file.")
    name = rubric if rubric and not rubric.endswith(YAML) else GENERAL
    if differ := other_prompts(*systems):
        say(f"{differ}; the questions are about those in common")
    left, right = (_replies(one, name) for one in systems)
    return Plan(draw(left, right, sizes, prompts, seed), {name: found}, seed, repeats)


def _rubric(name: str | None) -> Rubric:
    if name and name.endswith(YAML):
        return load_rubric(Path(name))
    if name and not (FOLDER / f"{name}.yaml").is_file():
        allowed = ", ".join(sorted(path.stem for path in FOLDER.glob("*.yaml")))
        raise UsageError(f"--rubric {name!r} does not exist. Allowed: {allowed}, or a YAML file of your own.")
    return rubric_of(name or GENERAL)


def _replies(of: System, domain: str) -> Replies:
    return Replies(domain, of.name, of.prompts, {key: row.samples for key, row in of.rows.items()})
