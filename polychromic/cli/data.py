"""The command that collects posts and replies. Parse, call polychromic.yours.collect, print; tracked data are never written."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from polychromic.base import paths
from polychromic.base.errors import UsageError
from polychromic.cli.options import refuse

if TYPE_CHECKING:
    from polychromic.yours.collect.source import Source

data_app = typer.Typer()
notes = Console(stderr=True)
TRACKED = (paths.RESULTS, paths.PAPER, paths.DATA, Path("store"))
NETWORK = ("base_url", "timeout", "retries")
COLUMNS = ("post", "reply", "author", "engagement", "id", "post_id", "created")


class Kind(StrEnum):
    """Where posts and replies come from."""

    package = "package"
    file = "file"
    apify = "apify"


def _column(name: str, what: str) -> type:
    return Annotated[str | None, typer.Option(name, help=f"Column with {what}.", rich_help_panel="Columns (a.b: column b within a)")]


@data_app.command()
def collect(
    context: typer.Context,
    kind: Annotated[Kind, typer.Argument(help="`package`: the chat corpus; `file`: JSONL, CSV or Parquet; `apify`: a dataset there.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of this collection: raw.jsonl, checkpoint.json, summary.json.")],
    what: Annotated[str | None, typer.Argument(help="The file, or the dataset's id (APIFY_TOKEN holds the token).")] = None,
    post: _column("--post", "the post; default: post") = None,
    reply: _column("--reply", "the reply; default: reply") = None,
    author: _column("--author", "who wrote the reply; default: author, if there is one") = None,
    engagement: _column("--engagement", "likes or the like; default: engagement, if there is one") = None,
    id: _column("--id", "the reply's id; default: id, if there is one, else a hash of the texts") = None,  # noqa: A002
    post_id: _column("--post-id", "the post's id; default: post_id, if there is one") = None,
    created: _column("--created", "the reply's time; default: created, if there is one") = None,
    author_cap: Annotated[int | None, typer.Option(min=1, help="At most so many records of one author.")] = None,
    keep_authors: Annotated[bool, typer.Option("--keep-authors", help="Write handles as they are, not pseudonyms.")] = False,
    max_items: Annotated[int | None, typer.Option(min=1, help="Stop after so many items; more can be had later.")] = None,
    page_size: Annotated[int, typer.Option(min=1, max=10_000, help="Items per request, and per checkpoint.")] = 500,
    base_url: Annotated[str, typer.Option("--base-url", help="apify: root of another API.")] = "https://api.apify.com",
    timeout: Annotated[float, typer.Option(min=0.1, max=3600, help="apify: seconds for one answer.")] = 60.0,
    retries: Annotated[int, typer.Option(min=0, max=50, help="apify: further tries of one request, with growing waits.")] = 8,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON document.")] = False,
) -> None:
    """Collect posts and replies into a raw log; the same command goes on where it was stopped."""
    from polychromic.yours.collect.authors import Authors, read_salt
    from polychromic.yours.collect.run import Options
    from polychromic.yours.collect.run import collect as run
    from polychromic.yours.collect.schema import Columns

    columns = Columns(post, reply, author, engagement, id, post_id, created)
    _check_out(out)
    _check_options(context, kind, what)
    source = _source(kind, what, base_url, timeout, retries)
    authors = Authors(None if keep_authors else read_salt())
    summary = run(source, columns, authors, out, Options(page_size, author_cap, max_items), _say)
    if json:
        from polychromic.base.io import dumps

        print(dumps(summary, indent=2))
    else:
        console = Console()
        console.print(_table(summary))
        console.print(_state(summary, out), highlight=False, markup=False, soft_wrap=True)


def _check_options(context: typer.Context, kind: Kind, what: str | None) -> None:
    """Raise UsageError for what this kind of source makes no use of, and for a source that is not named."""
    if kind is Kind.package:
        refuse(context, "collect package", ("what", *COLUMNS, *NETWORK), "--out, authors and limits")
    if kind is Kind.file:
        refuse(context, "collect file", NETWORK, "a file, its columns, --out, authors and limits")
    if what is None and kind is not Kind.package:
        raise UsageError(f"collect {kind} names nothing to collect. Allowed: collect file FILE, collect apify DATASET. Add it.")


def _source(kind: Kind, what: str | None, base_url: str, timeout: float, retries: int) -> Source:
    if kind is Kind.package:
        from polychromic.yours.collect.source import CorpusSource

        return CorpusSource()
    if kind is Kind.file:
        from polychromic.yours.collect.files import FileSource

        return FileSource(Path(what))
    from polychromic.yours.collect.apify import ApifySource
    from polychromic.yours.collect.http import Client, check_base, read_token

    token = read_token()
    base = check_base(base_url, token)
    return ApifySource(Client(token, timeout, retries, _say), base, what)


def _check_out(out: Path) -> None:
    for tracked in TRACKED:
        if out.resolve().is_relative_to(tracked.resolve()):
            raise UsageError(f"--out {out} lies in {tracked}/, which the pipeline owns. Allowed: any folder elsewhere, such as raw/mine.")


def _say(note: str) -> None:
    notes.print(note, highlight=False, markup=False, soft_wrap=True)


def _table(summary: dict) -> Table:
    """Counts by what became of the items."""
    table = Table("items", "count", "first at")
    table.add_row("read", str(summary["items"]), "")
    table.add_row("accepted", str(summary["accepted"]), "")
    for reason, entry in sorted(summary["rejected"].items(), key=lambda pair: (-pair[1]["count"], pair[0])):
        table.add_row(f"rejected: {escape(reason)}", str(entry["count"]), escape(", ".join(entry["first"])))
    return table


def _state(summary: dict, out: Path) -> str:
    state = "complete" if summary["complete"] else "stopped at --max-items"
    people = f"authors: {summary['authors']}; records without one: {summary['without_author']}"
    return f"{summary['collection']['source']}: {state}; {people}; {out / 'raw.jsonl'}"
