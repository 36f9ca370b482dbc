"""The declared pairs of params.yaml, `judge`: their questions from what test sampled, and what the pipeline makes of the recorded calls.

While calls are made they stand in judge/calls.jsonl; at the end they are packed into judge/calls.jsonl.gz, which Git has.
judge/declared.json says whose answers are complete (models) or there at all (people). The pipeline has a stage `judge` where that file is,
and only replays: it opens no connection and needs no key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, read_jsonl, write_json, write_jsonl
from polychromic.base.locks import single_writer
from polychromic.data.records import read_records
from polychromic.judge import results
from polychromic.judge.providers import ANTHROPIC, PERSON
from polychromic.judge.questions import SET, SINGLE, Question, Replies, draw
from polychromic.judge.results import Judge, Plan
from polychromic.judge.rubric import rubric_of
from polychromic.judge.store import Store
from polychromic.params import Params

OPEN = paths.CALLS.with_suffix("")  # judge/calls.jsonl, of a run that goes on


def plan(params: Params) -> Plan:
    """All declared questions. Raises PolychromicError: test's samples or the data are not there."""
    asked, found = params.judge, []
    questions: list[Question] = []
    for domain in [name for name in asked.pairs if name in params.domains]:
        prompts = {record.id: record.prompt for record in read_records(paths.data_file(domain))}
        for pair in asked.of(domain):
            a, b = (_replies(params, domain, name, prompts) for name in pair)
            questions += draw(a, b, {SINGLE: 1, SET: asked.sets}, asked.prompts, asked.seed)
        found.append(domain)
    return Plan(questions, {domain: rubric_of(domain) for domain in found}, asked.seed, asked.repeats)


def _replies(params: Params, domain: str, system: str, prompts: dict[str, str]) -> Replies:
    """A system's replies on test at its first temperature, with the first training seeds."""
    cell = params.cell(domain, "test", system)
    seeds, temperature = cell.seeds[: params.judge.seeds], cell.temperatures[0]
    path = paths.cell_dir(domain, "test", cell.name) / paths.SAMPLES
    texts = {
        (row["seed"], row["id"]): row["samples"]
        for _, row in read_jsonl(path)
        if row["temperature"] == temperature and row["seed"] in seeds
    }
    if missing := sorted({name for _, name in texts} - prompts.keys()):
        raise PolychromicError(f"{path}: id {missing[0]!r} is not in {paths.data_file(domain)}. Run `dvc pull`, or `dvc repro`.")
    return Replies(domain, system, {name: prompts[name] for _, name in texts}, texts)


def store(write: bool) -> Store:
    """What was recorded: to append to (`write`), beside the packed file that Git has and with all that this one holds; or to read."""
    if not write:
        return Store(OPEN if OPEN.is_file() else paths.CALLS)
    with single_writer(OPEN, wait_seconds=1.0):
        packed, found = Store(paths.CALLS), Store(OPEN)
        found.extend(record for key, record in packed.records.items() if key not in found)
    return found


def keep(questions: Plan, params: Params, found: Store) -> str:
    """Put what the store holds into judge/calls.jsonl.gz, sorted by key (the same records give the same bytes), and note whose answers are
    complete; a line that says so and what to do next."""
    with single_writer(OPEN, wait_seconds=1.0):
        found.reread()
        if found.records:
            write_jsonl(paths.CALLS, (found.records[key] for key in sorted(found.records)))
        OPEN.unlink(missing_ok=True)
    there = note(questions, params, found)
    if names := [*there["models"], *there["people"]]:
        return f"{paths.JUDGED} names {', '.join(names)}: `polychromic pipeline`, then `dvc repro`, and commit {paths.JUDGED.parent}/"
    return f"no model's calls are complete and no people's answers recorded: no judge takes part in the pipeline ({paths.CALLS})"


def models(params: Params) -> list[Judge]:
    """Who is declared to judge."""
    return [Judge(ANTHROPIC, name) for name in params.judge.models]


def note(questions: Plan, params: Params, store: Store) -> dict[str, Any]:
    """Write judge/declared.json: which declared models' calls are all there, and which people answered; nothing is written, and what stood
    there is taken away, where there is neither. Returns it."""
    complete = [one.model for one in models(params) if not lacking(questions, one, store)]
    people = [one.model for one in results.judges(questions, store) if one.person]
    found = {"models": complete, "people": people}
    if complete or people:
        write_json(paths.JUDGED, found)
    else:
        paths.JUDGED.unlink(missing_ok=True)
    return found


def lacking(questions: Plan, judge: Judge, store: Store) -> int:
    """Calls of a judge that the store does not hold."""
    return sum(key not in store for _, key in questions.keyed(judge))


def included() -> Sequence[Judge]:
    """Whose answers judge/declared.json names. Raises PolychromicError: there is no such file."""
    if not paths.JUDGED.is_file():
        what = f"{paths.JUDGED}: file not found, so no judge's answers are recorded here"
        raise PolychromicError(f"{what}. Allowed in replay: a store with all calls. Run `polychromic judge` with a key first.")
    found = read_json(paths.JUDGED)
    return [*(Judge(ANTHROPIC, name) for name in found["models"]), *(Judge(PERSON, name) for name in found["people"])]


def stage(params: Params) -> dict[str, Any]:
    """Replay judge/calls.jsonl.gz into results/judge.json.

    Raises PolychromicError: a call of a model that judge/declared.json names is not in the store, as after a change of samples or rubrics.
    """
    questions, store, wanted = plan(params), Store(paths.CALLS), included()
    for judge in wanted:
        if not judge.person:
            results.check_complete(questions, judge, store)
    found = [results.answers(questions, one, store) for one in wanted]
    if unanswered := [one.judge.model for one in found if not one.records]:
        what = f"{paths.CALLS}: holds no answer of {', '.join(unanswered)} to these questions, though {paths.JUDGED} names them"
        raise PolychromicError(f"{what}. Restore the replies that they saw, or run `polychromic judge --people`, which notes who answered.")
    document = results.document(questions, found, params.judge.seed, params.analysis.bootstrap, params.analysis.confidence)
    document |= {"sets": params.judge.sets}
    write_json(paths.JUDGEMENT, document)
    return document
