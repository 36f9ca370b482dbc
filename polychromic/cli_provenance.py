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
def arxiv() -> None:
    """Pack what the PDF is compiled from into release/arxiv.tar.gz, which compiles alone with pdflatex; it is tried first."""
    from polychromic.report.arxiv import bundle

    print(bundle(Path(".")))


def _print_json(document: dict) -> None:
    from polychromic.io import dumps

    print(dumps(document, indent=2))
