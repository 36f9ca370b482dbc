"""The command line: parse, call one function, print. Data go to stdout, everything else to stderr."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from polychromic import __version__
from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.cli.door import door_app
from polychromic.cli.output import Json, show
from polychromic.cli.provenance import provenance_app
from polychromic.cli.stages import ParamsOption, errors, load, stage_app
from polychromic.cli.yours import posts_app, replies_app

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Polychromic LoRA: train and judge a model by the *set* of its replies.",
)
PANELS = {
    "An adapter of your own": (door_app,),
    "Replies of any model": (replies_app,),
    "Your own posts": (posts_app,),
    "Where a number comes from": (provenance_app,),
    "Stages of the pipeline, which dvc.yaml runs": (stage_app,),
}
for panel, parts in PANELS.items():
    for command in [command for part in parts for command in part.registered_commands]:
        command.rich_help_panel = panel
        app.registered_commands.append(command)


def _version(show: bool) -> None:
    if show:
        print(f"polychromic {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a domain error.")] = False,
) -> None:
    _options.debug = debug


@app.command()
def doctor(
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Also try each wall of the sandbox of domain code with programs.")] = False,
    json: Json = False,
    params: ParamsOption = paths.PARAMS,
) -> None:
    """Check that the main job can run here: interpreter, packages, weights, data, store, LaTeX, GPU, keys, disk."""
    from polychromic.pipeline import doctor as checks

    values = load(params)
    document = checks.to_json(checks.diagnose(Path("."), {"model": values.model, "encoder": values.encoder}, sandbox))
    show(document, checks.render, json)
    if not document["ok"]:
        raise typer.Exit(1)


@app.command()
def smoke() -> None:
    """Run the pipeline on the real model with few steps, in a workspace of its own under .work/smoke (about five minutes)."""
    from polychromic.pipeline.workspace import run_smoke

    run_smoke(Path("."), Path(".work/smoke"))


@app.command()
def reproduce(
    jobs: Annotated[int, typer.Option(min=1, help="Stages that run at once; a cell uses one core.")] = 2,
    force: Annotated[bool, typer.Option("--force", help="Run every stage, also those that are up to date.")] = False,
) -> None:
    """Run the whole pipeline on several cores: what it is expected to take at the start, minutes per stage at the end."""
    from polychromic.pipeline.run import reproduce as run
    from polychromic.provenance.audit import foreseen

    errors.print(foreseen(jobs), highlight=False, soft_wrap=True)
    for stage, minutes in run(jobs, force).items():
        print(f"{minutes:6.1f} {stage}")


@app.command()
def release() -> None:
    """Copy the PDF, stamped with commit, dirty flag and the hash of dvc.lock, to release/."""
    from polychromic.provenance.commit import release as stamp

    print(stamp(Path(".")))


def main() -> None:
    """Run the app; a domain error, or a file that the system refuses, is one message and its exit code, a bug shows its traceback."""
    try:
        app(standalone_mode=True)
    except (PolychromicError, OSError) as error:
        refused = getattr(error, "filename", None)  # of an OSError that names its file
        if getattr(_options, "debug", False) or not (refused or isinstance(error, PolychromicError)):
            raise
        said = f"{refused}: {error.strerror}. Allowed: what can be read and written here. Give another place." if refused else str(error)
        errors.print(f"[bold red]error:[/] {escape(said)}", highlight=False, soft_wrap=True)
        sys.exit(getattr(error, "exit_code", 1))
