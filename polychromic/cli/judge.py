"""The judge: parse, call polychromic.judge, print. A missing key is told before anything is read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polychromic.base.errors import UsageError
from polychromic.cli.output import Json, check_out, refuse, say, show
from polychromic.cli.stages import load

if TYPE_CHECKING:  # seconds, which `--help` has not
    from polychromic.judge.results import Judge, Plan
    from polychromic.judge.store import Store

judge_app = typer.Typer()
Mode = StrEnum("Mode", ("record", "replay", "live"))
Provider = StrEnum("Provider", ("anthropic", "openai"))
# What makes no sense for the declared pairs, whose questions params.yaml gives; and for people, who need no service.
OF_FILES = ("sets", "single", "rubric", "seed", "prompts", "repeats", "out", "bootstrap")
OF_CALLS = ("model", "provider", "base_url", "mode", "direct", "budget", "price", "jobs", "dry_run", "again")
USUAL = "claude-haiku-5-5"
SERVICE, PEOPLE = "Calls", "People"


@judge_app.command()
def judge(
    context: typer.Context,
    a: Annotated[Path | None, typer.Option("--a", help="JSONL of one system: id, prompt, samples (docs/evaluate.md).")] = None,
    b: Annotated[Path | None, typer.Option("--b", help="JSONL of the other; without --a and --b: the pairs of params.yaml.")] = None,
    sets: Annotated[int, typer.Option("--sets", min=0, help="Also ask about sets of so many replies.")] = 0,
    single: Annotated[bool, typer.Option("--single/--no-single", help="Ask about single replies.")] = True,
    rubric: Annotated[str | None, typer.Option("--rubric", help="A domain's name, or a YAML file; default: the general one.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws of prompts, replies and orders, and of the bootstrap.")] = 0,
    prompts: Annotated[int | None, typer.Option(min=1, help="At most so many prompts.")] = None,
    repeats: Annotated[int, typer.Option(min=0, help="Ask so many questions once more, to see how stable verdicts are.")] = 0,
    out: Annotated[Path, typer.Option("--out", help="Folder for calls.jsonl (the store) and judge.json.")] = Path("my-judge"),
    model: Annotated[str | None, typer.Option("--model", help="Default: claude-haiku-5-5, or the models of params.yaml.")] = None,
    provider: Annotated[Provider, typer.Option("--provider", help="`openai`: any server with that format.")] = Provider.anthropic,
    base_url: Annotated[str | None, typer.Option("--base-url", help="Root of the API, such as http://localhost:8000/v1.")] = None,
    mode: Annotated[
        Mode, typer.Option("--mode", help="record: make missing calls; replay: none, a miss is an error; live: make all, keep none.")
    ] = Mode.record,
    direct: Annotated[bool, typer.Option("--direct", help="Call by call, at twice the price of a batch.", rich_help_panel=SERVICE)] = False,
    budget: Annotated[float | None, typer.Option(min=0, help="Dollars per model, at most.", rich_help_panel=SERVICE)] = None,
    price: Annotated[str | None, typer.Option("--price", help="IN,OUT: dollars per million tokens.", rich_help_panel=SERVICE)] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Direct calls at once.", rich_help_panel=SERVICE)] = 4,
    again: Annotated[bool, typer.Option("--again", help="Ask anew what failed or expired.", rich_help_panel=SERVICE)] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would cost.", rich_help_panel=SERVICE)] = False,
    people: Annotated[bool, typer.Option("--people", help="A person answers, in this terminal.", rich_help_panel=PEOPLE)] = False,
    reviewer: Annotated[str, typer.Option("--reviewer", help="Under which name.", rich_help_panel=PEOPLE)] = "reviewer",
    export: Annotated[Path | None, typer.Option("--export", help="Write a CSV to fill in instead.", rich_help_panel=PEOPLE)] = None,
    import_: Annotated[Path | None, typer.Option("--import", help="Take answers of such a CSV.", rich_help_panel=PEOPLE)] = None,
    bootstrap: Annotated[int, typer.Option(min=200, help="Resamples of the intervals.")] = 10_000,
    json: Json = False,
) -> None:
    """Which of two systems' replies, or sets of replies, are better? A model or people judge; every answer is kept."""
    if (a is None) != (b is None):
        raise UsageError("judge takes --a and --b (two files), or neither (the pairs of params.yaml). Give both, or none.")
    if a is None:
        refuse(context, "judge of the declared pairs", OF_FILES, "calls, people and --json; `judge:` of params.yaml has the rest")
    if people:
        refuse(context, "judge --people", OF_CALLS, "what is asked, --reviewer, --export, --import")
    elif export or import_ or context.get_parameter_source("reviewer").name == "COMMANDLINE":
        raise UsageError("--reviewer, --export and --import are about people's answers. Add --people.")
    if budget == float("inf"):  # it would stop nothing
        raise UsageError(f"--budget is {budget}. Allowed: dollars, such as 5. Give a number that can be reached.")
    if export and import_:
        raise UsageError("--export and --import at once. Allowed: one of them. Export, fill in, then import.")
    if model is None and provider is Provider.openai:
        raise UsageError("--provider openai needs --model, as the server calls it. Add it.")
    if not (people or dry_run or mode is Mode.replay):  # a key that is missing is told before anything else
        from polychromic.judge.providers import check_url, read_key

        check_url(base_url, read_key(provider, base_url))
    from polychromic.judge import output, results, work
    from polychromic.judge import people as persons
    from polychromic.judge.connect import connect
    from polychromic.judge.store import Store

    if a is None:
        from polychromic.judge import declared

        values = load()
        if mode is Mode.replay and model is None and not (people or dry_run):
            show(declared.stage(values), output.results, json)
            return
        plan, seed, folder = declared.plan(values), values.judge.seed, None
        store = Store(None) if mode is Mode.live else declared.store(write=mode is Mode.record and not dry_run)
        wanted = [results.Judge(provider, name) for name in ([model] if model else values.judge.models)]
        budget, bootstrap = values.judge.budget if budget is None else budget, values.analysis.bootstrap
    else:
        from polychromic.judge.files import plan as plan_of_files

        check_out(out, "my-judge")
        plan, folder = plan_of_files(a, b, sets, single, rubric, seed, prompts, repeats, say), out
        store = Store(None if mode is Mode.live else out / work.CALLS)
        wanted = [results.Judge(provider, model or USUAL)]
    if people:
        say(_people(plan, store, persons.person(reviewer), export, import_))
    settings = work.Settings(5.0 if budget is None else budget, price, direct, jobs, again)
    if dry_run:
        show({"models": [work.estimates(plan, one, store, settings) for one in wanted]}, output.costs, json)
        return
    stopped = []
    if people:
        wanted = []
    elif mode is Mode.replay:
        wanted = wanted if model or a is None else work.models_of(plan, store)
        for one in wanted:
            results.check_complete(plan, one, store)
    else:
        for one in wanted:
            work.price(one, price)
        for one in wanted:
            stopped += [work.ask(plan, connect(one.provider, one.model, base_url), store, settings, say)]
    if a is None and mode is Mode.record:
        say(declared.keep(plan, values, store))
    if export:
        return
    document = work.score(plan, store, wanted, seed, bootstrap, None if mode is Mode.live else folder)
    show(document, output.results, json)
    stopped += [f"{name}: no call gave a verdict. Look at the reasons, and ask anew with --again" for name in work.silent(document)]
    if stopped := [reason for reason in stopped if reason]:
        say(*stopped)
        raise typer.Exit(1)


def _people(plan: Plan, store: Store, who: Judge, export: Path | None, import_: Path | None) -> str:
    """A line that says what was done."""
    from polychromic.judge import people

    if export:
        count = people.export_csv(plan, who, export)
        return f"wrote {count:,} questions for {who.model} to {export}; fill in the column verdict (first, second or tie), then --import it"
    if import_:
        return f"took {people.import_csv(plan, who, import_, store):,} answers of {who.model}"
    return people.terminal(plan, who, store)
