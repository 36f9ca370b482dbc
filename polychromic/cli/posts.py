"""From posts somewhere to a reviewed data file, and the shipped data anew. Tracked data are never written."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from polychromic.base import paths
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.cli.output import Json, check_out, print_json, refuse, say, show

posts_app = typer.Typer()
COLUMNS = ("post", "reply", "author", "engagement", "id", "post_id", "created")
# kind -> what it makes no use of, and what it takes
REFUSED = {
    "package": (("what", *COLUMNS, "base_url", "retries"), "--out, authors and limits"),
    "file": (("base_url", "retries"), "a file, its columns, --out, authors and limits"),
    "apify": ((), ""),
}
Kind = StrEnum("Kind", {name: name for name in REFUSED})
Folder = Annotated[Path, typer.Argument(help="What `polychromic curate` wrote: it holds candidates.jsonl.")]
Reviewer = Annotated[str, typer.Option("--reviewer", help="Whose pass this is; names the log review-NAME.jsonl in FOLDER.")]


def _column(name: str, what: str) -> type:
    return Annotated[str | None, typer.Option(name, help=f"Column with {what}.", rich_help_panel="Columns (a.b: column b within a)")]


@posts_app.command()
def collect(
    context: typer.Context,
    kind: Annotated[Kind, typer.Argument(help="`package`: the chat corpus; `file`: JSONL, CSV or Parquet; `apify`: a dataset there.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of this collection: raw.jsonl and summary.json.")],
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
    page_size: Annotated[int, typer.Option(min=1, max=10_000, help="Items per request, and per write to the disk.")] = 500,
    base_url: Annotated[str, typer.Option("--base-url", help="apify: root of another API.")] = "https://api.apify.com",
    retries: Annotated[int, typer.Option(min=0, max=50, help="apify: further tries of one request, with growing waits.")] = 8,
    json: Json = False,
) -> None:
    """Collect posts and replies into a raw log; the same command goes on where it was stopped."""
    check_out(out, "raw/mine")
    refuse(context, f"collect {kind}", *REFUSED[kind])
    if what is None and kind != "package":
        raise UsageError(f"collect {kind} names nothing to collect. Allowed: collect file FILE, collect apify DATASET. Add it.")
    from polychromic.yours.collect import apify, run, sources
    from polychromic.yours.collect.schema import Authors, read_salt

    if kind == "apify":
        source = apify.Apify(base_url, what, apify.read_token(), retries)
    else:
        source = sources.corpus() if kind == "package" else sources.of_file(Path(what))
    columns = {name: context.params[name] for name in COLUMNS}
    authors = Authors(None if keep_authors else read_salt())
    show(run.collect(source, columns, authors, out, say, page_size, author_cap, max_items), run.render, json)


@posts_app.command()
def curate(
    raw: Annotated[Path, typer.Argument(help="Your posts and replies, JSONL.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    rules: Annotated[Path | None, typer.Option("--rules", help="The filters; default: polychromic/yours/curate/rules.yaml.")] = None,
    json: Json = False,
) -> None:
    """Filter your own posts and replies into candidates for review."""
    check_out(out, "my-candidates")
    from polychromic.yours.curate import run
    from polychromic.yours.curate.rules import DEFAULT, load_rules

    found = run.curate(raw, load_rules(rules or DEFAULT), out)
    say(f"wrote {run.CANDIDATES} and {run.REPORT} to {out}")
    show(found, run.render, json)


@posts_app.command("rebuild-data")
def rebuild_data(
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")] = Path("data-rebuilt"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing: compare data/ with the rebuild.")] = False,
) -> None:
    """Rebuild the shipped data files from the packages, bit for bit."""
    from polychromic.data import curate as curation

    if not check:
        print_json(curation.curate(out))
    elif differences := curation.check(paths.DATA):
        raise PolychromicError(
            f"data/ is not what curation makes: {'; '.join(differences)}. "
            "Run `dvc checkout data.dvc`, or commit the new data with `dvc add data`."
        )
    else:
        print("data/ equals the rebuild")


@posts_app.command()
def review(folder: Folder, reviewer: Reviewer = "reviewer") -> None:
    """Read the candidates one by one: accept, reject, edit. Quit at any time; the next call goes on."""
    from polychromic.yours.review import log, session

    print(session.review(log.read_candidates(folder), folder, reviewer))


@posts_app.command("review-export")
def review_export(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", help="Folder to write replies.jsonl and replies-review.json to.")],
    reviewer: Reviewer = "reviewer",
) -> None:
    """Write what a reviewer accepted as a data file, and print the summary of the review as JSON."""
    from polychromic.yours.review import log, results

    print_json(results.export(log.read_log(log.log_path(folder, reviewer), log.read_candidates(folder)), out))


@posts_app.command()
def agreement(
    folder: Folder,
    first: Annotated[Path, typer.Argument(help="Log of one pass, such as review-anna.jsonl.")],
    second: Annotated[Path, typer.Argument(help="Log of the other.")],
    json: Json = False,
) -> None:
    """Compare two passes over the same candidates: agreement, Cohen's kappa, disagreements."""
    from polychromic.yours.review import log, results

    candidates = log.read_candidates(folder)
    show(results.agreement(log.read_log(first, candidates), log.read_log(second, candidates)), results.render, json)
