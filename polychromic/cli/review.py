"""From raw posts to a reviewed data file: curate, review. Parse, call one function, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from polychromic.base import paths
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.cli.options import refuse

review_app = typer.Typer()
notes = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
TRACKED = (paths.RESULTS, paths.PAPER, paths.DATA, Path("store"))
REBUILT = Path("data-rebuilt")


@review_app.command()
def curate(
    context: typer.Context,
    raw: Annotated[Path | None, typer.Argument(help="Your posts and replies, JSONL; without it the shipped data are rebuilt.")] = None,
    rules: Annotated[Path | None, typer.Option("--rules", help="With RAW: the filters; default: polychromic/yours/curate/rules.yaml.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write; needed with RAW, else data-rebuilt.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Without RAW: compare data/ with a rebuild and write nothing.")] = False,
    json: Json = False,
) -> None:
    """Filter your own posts into candidates for review; or, without RAW, rebuild the data files from the packages, bit for bit."""
    if raw is None:
        if rules is not None:
            raise UsageError(
                "--rules needs RAW, the log that they filter. Allowed: `polychromic curate RAW.jsonl --rules FILE --out FOLDER`."
            )
        if check:
            refuse(context, "curate --check", ("out", "json"), "nothing else: it compares data/ and writes nothing")
        _rebuild(out or REBUILT, check)
        return
    if check or out is None:
        got = "--check compares the shipped data, not RAW" if check else "RAW needs --out"
        raise UsageError(f"{got}. Allowed: `polychromic curate RAW.jsonl --rules FILE --out FOLDER`, or `polychromic curate --check`.")
    _refuse_tracked(out)
    from polychromic.yours.curate import report, run
    from polychromic.yours.curate.rules import DEFAULT, load_rules

    found = run.curate(raw, load_rules(rules or DEFAULT), out)
    notes.print(f"wrote {run.CANDIDATES} and {run.REPORT} to {out}", highlight=False, markup=False)
    if json:
        _print_json(found)
    else:
        Console().print(report.render(found, str(out)))


def _rebuild(out: Path, check: bool) -> None:
    from polychromic.data import curate as curation

    if not check:
        _print_json(curation.curate(out))
        return
    if differences := curation.check(paths.DATA):
        raise PolychromicError(
            "data/ is not what curation makes: "
            + "; ".join(differences)
            + ". Run `dvc checkout data.dvc`, or commit the new data with `dvc add data`."
        )
    print("data/ equals the rebuild")


@review_app.command()
def review(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="What `polychromic curate RAW` wrote: it holds candidates.jsonl.")],
    reviewer: Annotated[
        str, typer.Option("--reviewer", help="Whose pass this is; names the log review-NAME.jsonl in FOLDER.")
    ] = "reviewer",
    export: Annotated[Path | None, typer.Option("--export", help="Write what this reviewer accepted as DIR/replies.jsonl.")] = None,
    agreement: Annotated[
        tuple[Path, Path] | None, typer.Option("--agreement", help="Compare two logs: agreement, Cohen's kappa, disagreements.")
    ] = None,
    json: Json = False,
) -> None:
    """Read the candidates one by one: accept, reject, edit. Quit at any time; the next call goes on."""
    from polychromic.yours.review import log

    if export is not None and agreement is not None:
        raise UsageError("--export and --agreement exclude each other. Allowed: one of them per call.")
    if json and export is None and agreement is None:
        raise UsageError("--json is for --export and --agreement. Allowed: a review without it.")
    if agreement is not None:
        refuse(context, "review --agreement", ["reviewer"], "the two logs, which name their reviewers, and --json")
    candidates = log.read_candidates(folder)
    if agreement is not None:
        from polychromic.yours.review import agreement as comparison

        found = comparison.compare(candidates, *(_read_log(path, candidates) for path in agreement))
        _show(found, json, comparison.render)
    elif export is not None:
        from polychromic.yours.review import export as exporting

        found = exporting.export(candidates, _read_log(log.log_path(folder, reviewer), candidates), export)
        notes.print(f"wrote {exporting.DATA} and {exporting.SUMMARY} to {export}", highlight=False, markup=False)
        _show(found, json, exporting.render)
    else:
        from polychromic.yours.review.terminal import run

        print(run(candidates, folder, reviewer))


def _read_log(path: Path, candidates):  # noqa: ANN001, ANN202
    from polychromic.yours.review import log

    found = log.read_log(path, candidates)
    if found.cut:
        notes.print(f"note: {path}: {log.CUT}", highlight=False, markup=False, soft_wrap=True)
    return found


def _show(found: dict, json: bool, render) -> None:  # noqa: ANN001
    if json:
        _print_json(found)
    else:
        Console().print(render(found))


def _refuse_tracked(out: Path) -> None:
    for tracked in TRACKED:
        if out.resolve().is_relative_to(tracked.resolve()):
            raise UsageError(
                f"--out {out} lies in {tracked}/, which the pipeline owns. Allowed: any folder elsewhere, such as my-candidates."
            )


def _print_json(value: object) -> None:
    from polychromic.base.io import dumps

    print(dumps(value, indent=2))
