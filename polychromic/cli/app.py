"""The command line: parse, call one function, print. Data go to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.panel import Panel
from rich.text import Text

from polychromic import __version__
from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.visible import guarded
from polychromic.cli.door import door_app
from polychromic.cli.judge import judge_app
from polychromic.cli.output import Json, show
from polychromic.cli.plan import plan_app
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
USAGE = typer.BadParameter.__mro__[2]  # of click, or of the copy that typer brings: whatever is wrong with a command line
PANELS = {
    "An adapter of your own": (door_app,),
    "Replies of any model": (replies_app, judge_app),
    "Your own posts": (posts_app,),
    "Where a number comes from": (provenance_app,),
    "Before a machine is rented": (plan_app,),
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
    jobs: Annotated[int, typer.Option(min=1, max=1000, help="Stages that run at once; a cell uses one core.")] = 2,
    force: Annotated[bool, typer.Option("--force", help="Run every stage, also those that are up to date.")] = False,
) -> None:
    """Run the whole pipeline on several cores: what it is expected to take at the start, minutes per stage at the end."""
    from polychromic.pipeline.run import reproduce as run
    from polychromic.provenance.audit import foreseen

    errors.print(foreseen(jobs), soft_wrap=True)
    for stage, minutes in run(jobs, force).items():
        print(f"{minutes:6.1f} {stage}")


@app.command()
def release() -> None:
    """Copy the PDF, stamped with commit, dirty flag and the hash of dvc.lock, to release/."""
    from polychromic.provenance.commit import release as stamp

    print(stamp(Path(".")))


def main() -> None:
    """Run the app: what the user meets is one message and its exit code; a bug, or any error with --debug, shows its traceback."""
    with guarded():
        code = _run()
    sys.exit(code)


def _run() -> int:
    try:
        code = app(standalone_mode=False)
        if sys.stdout is not None:
            _flush()
        return code if isinstance(code, int) else 0
    except typer.Abort:
        said, code = "stopped", 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # who reads the output has left; nothing more can be said
        return 1
    except USAGE as error:
        return _misused(error)
    except (PolychromicError, OSError, RecursionError, MemoryError, UnicodeError, OverflowError) as error:
        if getattr(_options, "debug", False):
            raise
        said, code = _told(error), getattr(error, "exit_code", 1)
    errors.print(Text.assemble(("error:", "bold red"), " ", said), soft_wrap=True)
    return code


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left would be written, and fail, at the end again
        allowed = "a place with room. Let the output go elsewhere"
        raise PolychromicError(f"standard output: not all was written ({error.strerror}). Allowed: {allowed}.") from None


def _told(error: BaseException) -> str:
    """What is known of an error, and what to do next."""
    if isinstance(error, PolychromicError):
        return str(error)
    if refused := getattr(error, "filename", None):  # of an OSError that names its file
        cached = paths.real(os.fsdecode(refused)).is_relative_to(paths.real(paths.cache_dir()))
        remedy = "Set POLYCHROMIC_CACHE to a folder with room that you may write" if cached else "Give another place"
        return f"{refused}: {error.strerror}. Allowed: what can be read and written here. {remedy}."
    said = f"{type(error).__name__}: {' '.join(str(error).split())[:300] or 'no more is known'}"
    return f"the command stopped ({said}). Files are as before it, or whole. `polychromic --debug COMMAND` shows where it was."


def _misused(error: Exception) -> int:
    """The usage, and what of the command line it does not allow."""
    if type(error).__name__ == "NoArgsIsHelpError":  # typer has printed the help
        return error.exit_code
    if context := getattr(error, "ctx", None):
        errors.print(context.get_usage(), soft_wrap=True)
        errors.print(f"Try '{context.command_path} --help' for help.", style="dim", soft_wrap=True)
    said = error.format_message()
    names = getattr(getattr(error, "param", None), "opts", [])
    for word, following in zip(sys.argv[1:], [*sys.argv[2:], ""]):  # typer's own message does not repeat the value
        name, equals, value = word.partition("=")
        if name in names and (got := value if equals else following) and repr(got) not in said:
            said += f" (got {got[:80]!r})"
            break
    errors.print(Panel(said, border_style="red", title="Error", title_align="left"))
    return error.exit_code
