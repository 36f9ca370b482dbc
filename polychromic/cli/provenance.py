"""The commands that lead from a printed value to its origin, and the one that hands the paper's sources on. Parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polychromic.base.errors import PolychromicError
from polychromic.cli.output import Json, notes, show
from polychromic.provenance.printed import brief

provenance_app = typer.Typer()


# A printed value may begin with a minus: "-0.08" is a text, not an option.
@provenance_app.command(context_settings={"ignore_unknown_options": True})
def trace(
    what: Annotated[str, typer.Argument(help='A record ("setup.lambda"), label, "Figure 3", file, or printed text ("+0.19").')],
    json: Json = False,
) -> None:
    """Lead from what the paper prints back to records, stages, cells, inputs and the commit."""
    from polychromic.provenance.trace import trace as run

    show(run(what), brief, json)


@provenance_app.command()
def diff(
    revision: Annotated[str, typer.Argument(help="A Git revision, or the name of a DVC experiment.")] = "HEAD",
    json: Json = False,
) -> None:
    """Say which printed numbers differ between the workspace and a revision or experiment, and in which sentences."""
    from polychromic.provenance.trace import diff as run

    document = run(revision)
    show(document, brief, json)
    if stale := document["stale"]:
        what = f"the numbers are not of what lies here: {len(stale)} stages did not run with it, such as {stale[0]}"
        raise PolychromicError(f"{what}. Run `dvc repro` first.")


@provenance_app.command()
def verify(
    no_fresh: Annotated[bool, typer.Option("--no-fresh", help="Leave out whether every stage ran with what lies here.")] = False,
    draft: Annotated[bool, typer.Option("--draft", help="Before a commit: note what only a commit must hold, and go on.")] = False,
    json: Json = False,
) -> None:
    """Check that files, records, text, code and parameters agree with each other and with dvc.lock."""
    from polychromic.provenance import verify as checks

    document = checks.verify(Path("."), fresh=not no_fresh, draft=draft)
    show(document, checks.render, json)
    if not document["ok"]:
        raise typer.Exit(1)


@provenance_app.command()
def audit(
    cells: Annotated[int, typer.Option("--cells", min=0, help="How many cells the hash draws; 0 drops entries that no longer hold.")] = 1,
    cell: Annotated[list[str] | None, typer.Option("--cell", help="A stage to run, such as tuned-dev@listqa-lora; repeatable.")] = None,
    seed_from: Annotated[str | None, typer.Option("--seed-from", help="Draw with this text instead of the commit's hash.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would run and how long it is expected to take.")] = False,
    intervals: Annotated[bool, typer.Option("--intervals", help="Compare metric means with the intervals (another CPU model).")] = False,
    json: Json = False,
) -> None:
    """Run cells again with an empty cache, and compare what comes out with dvc.lock byte for byte."""
    from polychromic.provenance import audit as audits
    from polychromic.provenance.workspace import Workspace

    here = Workspace()
    names = audits.choose(here, cells, cell or [], seed_from)
    if plan:
        show(audits.plan(here, names), brief, json)
        return
    notes.print(brief(audits.plan(here, names)))
    done = audits.audit(here, names, intervals, None if cell else len(audits.within_reach(here)))
    show({"cells": [one.model_dump(mode="json") | {"remedy": audits.remedy(one)} for one in done]}, brief, json)
    if not all(one.equal for one in done):
        raise typer.Exit(1)


@provenance_app.command()
def arxiv() -> None:
    """Pack what the PDF is compiled from into release/arxiv.tar.gz, which compiles alone with pdflatex; it is tried first."""
    from polychromic.report.paper import bundle

    print(bundle(Path(".")))
