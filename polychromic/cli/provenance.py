"""The commands that lead from a printed value to its origin, and the one that hands the paper's sources on. Parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

provenance_app = typer.Typer()
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


# A printed value may begin with a minus: "-0.08" is a text, not an option.
@provenance_app.command(context_settings={"ignore_unknown_options": True})
def trace(
    what: Annotated[
        str, typer.Argument(help='A record ("listqa.primary.delta"), a label, "Figure 3", a file, or a printed text ("+0.19").')
    ],
    json: Json = False,
) -> None:
    """Lead from what the paper prints back to records, stages, cells, inputs and the commit."""
    from polychromic.provenance.trace import trace as run

    document = run(what)
    if json:
        _print_json(document)
    else:
        from polychromic.provenance import show

        Console().print(show.trace(document), highlight=False)


@provenance_app.command()
def diff(
    revision: Annotated[str, typer.Argument(help="A Git revision, or the name of a DVC experiment.")] = "HEAD",
    everything: Annotated[bool, typer.Option("--all", help="Also list the records that the text does not print.")] = False,
    json: Json = False,
) -> None:
    """Say which printed numbers differ between the workspace and a revision or experiment, and in which sentences."""
    from polychromic.provenance.diff import diff as run

    document = run(revision)
    if json:
        _print_json(document)
    else:
        from polychromic.provenance import show

        Console().print(show.difference(document, everything), highlight=False)


@provenance_app.command()
def verify(
    no_fresh: Annotated[bool, typer.Option("--no-fresh", help="Leave out whether every stage ran with what lies here.")] = False,
    draft: Annotated[
        bool, typer.Option("--draft", help="Where files differ from the last commit: note what only a commit must hold, and go on.")
    ] = False,
    json: Json = False,
) -> None:
    """Check that files, records, text, code and parameters agree with each other and with dvc.lock."""
    from polychromic.provenance import verify as checks
    from polychromic.provenance.state import failed

    rows = checks.verify(Path("."), fresh=not no_fresh, draft=draft)
    if json:
        _print_json(checks.document(rows))
    else:
        Console().print(checks.render(rows), highlight=False)
    if failed(rows):
        raise typer.Exit(1)


@provenance_app.command()
def audit(
    cells: Annotated[int, typer.Option("--cells", min=0, help="How many cells the hash draws; 0 drops entries that no longer hold.")] = 1,
    cell: Annotated[list[str] | None, typer.Option("--cell", help="A stage to run, such as lora@listqa-lora; repeatable.")] = None,
    seed_from: Annotated[str | None, typer.Option("--seed-from", help="Draw with this text instead of the commit's hash.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would run and how long it is expected to take.")] = False,
    intervals: Annotated[bool, typer.Option("--intervals", help="Compare metric means with the intervals (another CPU model).")] = False,
    out: Annotated[Path, typer.Option("--out", help="Where the result is written.")] = Path("benchmarks/results/audit.json"),
    json: Json = False,
) -> None:
    """Run cells again with an empty cache, and compare what comes out with dvc.lock byte for byte."""
    from polychromic.provenance import audit as audits
    from polychromic.provenance import show_audit
    from polychromic.provenance.state import State

    here = State(Path("."))
    planned = audits.plan(here, audits.choose(here, cells, cell or [], seed_from))
    if plan:
        if json:
            _print_json(show_audit.plan_document(planned))
        else:
            Console().print(show_audit.plan(planned), highlight=False)
        return
    if planned:
        Console(stderr=True).print(show_audit.plan(planned), highlight=False)
    done = audits.audit(here, [one.stage for one in planned], intervals, out, None if cell else len(audits.within_reach(here)))
    remedies = {one.stage: audits.remedy(here, one) for one in done}
    if json:
        _print_json({"cells": [one.model_dump(mode="json") | {"remedy": remedies[one.stage]} for one in done]})
    else:
        Console().print(show_audit.result(done, remedies), highlight=False)
    if not all(one.equal for one in done):
        raise typer.Exit(1)


@provenance_app.command()
def arxiv() -> None:
    """Pack what the PDF is compiled from into release/arxiv.tar.gz, which compiles alone with pdflatex; it is tried first."""
    from polychromic.report.arxiv import bundle

    print(bundle(Path(".")))


def _print_json(document: dict) -> None:
    from polychromic.base.io import dumps

    print(dumps(document, indent=2))
