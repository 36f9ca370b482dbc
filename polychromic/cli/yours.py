"""The practitioner's commands: replies of any model evaluated, and posts made a reviewed data file. Parse, call polychromic.yours, print.

What is wrong with the options is found before anything heavy is imported. Tracked results and data are never written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polychromic.base import paths
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.visible import Terminal
from polychromic.cli.output import Json, check_out, check_place, check_temperature, print_json, refuse, say, show

if TYPE_CHECKING:  # seconds, which `--help` has not
    from polychromic.yours.evaluate.evaluate import Asked
    from polychromic.yours.evaluate.inputs import System

replies_app, posts_app = typer.Typer(), typer.Typer()
# What says how replies are drawn: for --base alone.
DRAWING = ("adapter", "data", "zero_shot", "few_shot", "prompt", "n", "temperature", "min_p", "max_new_tokens", "max_examples")

Metrics = Annotated[str | None, typer.Option("--metrics", help="Such as pass@10,self_bleu; default: all that the input allows.")]
Ks = Annotated[str | None, typer.Option("--k", help="Drafts a person sees; default: 1,3,5,10 as far as the samples reach.")]
NoEncoder = Annotated[bool, typer.Option("--no-encoder", help="Leave out the metrics that need sentence vectors.")]
Anew = Annotated[bool, typer.Option("--anew", help="Score replies again whose scores are known from an earlier command.")]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of the bootstrap, and of the replies that are drawn here.")]
Boot = Annotated[int, typer.Option("--bootstrap", min=200, max=1_000_000, help="Resamples of the intervals.")]
Columns = Annotated[str | None, typer.Option("--columns", help="What columns are called: prompt=question,samples=outputs.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for tables as CSV and LaTeX, the JSON document and figures.")]

COLUMNS = ("post", "reply", "author", "engagement", "id", "post_id", "created")
NETWORK = ("base_url", "retries")
UNUSED = {"package": ("what", *COLUMNS, *NETWORK), "file": NETWORK, "apify": ()}  # kind -> what it makes no use of
Kind = StrEnum("Kind", {name: name for name in UNUSED})
Folder = Annotated[Path, typer.Argument(help="What `polychromic curate` wrote: it holds candidates.jsonl.")]
Reviewer = Annotated[str, typer.Option("--reviewer", help="Whose pass this is; names the log review-NAME.jsonl in FOLDER.")]


def _column(name: str, what: str) -> type:
    return Annotated[str | None, typer.Option(name, help=f"Column with {what}.", rich_help_panel="Columns (a.b: column b within a)")]


@replies_app.command()
def evaluate(
    context: typer.Context,
    samples: Annotated[list[Path] | None, typer.Option(help="JSONL: prompt, samples; optional id, references, valid. Repeatable.")] = None,
    base: Annotated[str | None, typer.Option("--base", help="Draw replies from this model: a folder, or `default`.")] = None,
    adapter: Annotated[list[Path] | None, typer.Option("--adapter", help="With --base: a LoRA adapter's folder. Repeatable.")] = None,
    data: Annotated[Path | None, typer.Option(help="With --base: JSONL: prompt, and optional id, references, valid.")] = None,
    zero_shot: Annotated[bool, typer.Option("--zero-shot", help="With --adapter: the base model alone, too.")] = False,
    few_shot: Annotated[Path | None, typer.Option("--few-shot", help="The base model with the solved examples of this JSONL, too.")] = None,
    prompt: Annotated[str, typer.Option(help="DOMAIN/VARIANT of prompts.yaml, or a YAML file: `system`, `ask`.")] = "listqa/zero_shot",
    n: Annotated[int, typer.Option("--n", min=1, max=10_000, help="Replies per prompt.")] = 20,
    temperature: Annotated[float, typer.Option(help="Sampling temperature, 0 to 1000.")] = 1.0,
    min_p: Annotated[float, typer.Option("--min-p", min=0, max=1, help="Tokens below this share of the likeliest are dropped.")] = 0.0,
    max_new_tokens: Annotated[int, typer.Option(min=1, max=100_000, help="Longest reply in tokens.")] = 32,
    max_examples: Annotated[int | None, typer.Option(min=1, help="Only the first prompts.")] = None,
    columns: Columns = None,
    metrics: Metrics = None,
    k: Ks = None,
    no_encoder: NoEncoder = False,
    anew: Anew = False,
    seed: Seed = 0,
    bootstrap: Boot = 10_000,
    out: Out = None,
    json: Json = False,
) -> None:
    """Evaluate anybody's replies (--samples), or replies drawn here (--base, --adapter, --data)."""
    if bool(samples) == bool(base):
        raise UsageError("evaluate takes --samples FILE (replies that exist) or --base MODEL --data FILE (to draw some). Give one of them.")
    if samples:
        refuse(context, "evaluate --samples", DRAWING, "metrics and k, --no-encoder, --seed, --bootstrap, --out, --json")
    elif data is None or out is None:
        raise UsageError("--base needs --data FILE (the prompts) and --out FOLDER (where replies are kept, so that a run can be resumed).")
    check_out(out, "my-evaluation")
    asked = _asked(metrics, k, no_encoder, seed, bootstrap, anew)
    if columns and base:
        raise UsageError("--columns names columns of --samples files, and --base draws replies. Allowed: one of the two. Leave it out.")
    from polychromic.yours.evaluate import evaluate as evaluation

    files = samples
    if base:
        from polychromic.yours.evaluate.draw import Settings, draw_all, foreseen

        check_temperature(temperature)
        evaluation.check(foreseen(data, max_examples, n), asked)
        settings = Settings(n, temperature, max_new_tokens, seed, min_p)
        files = draw_all(out, base, adapter or [], data, zero_shot, few_shot, prompt, settings, max_examples)
    _finish(files, columns, lambda systems: evaluation.evaluate(systems, asked), out, json)


@replies_app.command()
def compare_files(
    files: Annotated[list[Path], typer.Argument(help="Files of replies, see `evaluate`, or folders that `evaluate --out` wrote.")],
    columns: Columns = None,
    metrics: Metrics = None,
    k: Ks = None,
    no_encoder: NoEncoder = False,
    anew: Anew = False,
    seed: Seed = 0,
    bootstrap: Boot = 10_000,
    out: Out = None,
    json: Json = False,
) -> None:
    """Compare systems of files of replies, prompt by prompt: paired contrasts with intervals, p-values and verdicts."""
    check_out(out, "my-evaluation")
    asked = _asked(metrics, k, no_encoder, seed, bootstrap, anew)
    from polychromic.yours.evaluate import evaluate as evaluation

    _finish(files, columns, lambda systems: evaluation.compare(systems, asked), out, json)


@replies_app.command()
def samples(
    files: Annotated[list[Path], typer.Argument(help="Files of replies; results/DOMAIN/SPLIT/CELL/samples.jsonl.gz are read, too.")],
    find: Annotated[str, typer.Option(help="Only prompts whose id, text or replies hold this.")] = "",
    n: Annotated[int, typer.Option("--n", min=1, help="Replies shown per system.")] = 5,
    limit: Annotated[int, typer.Option(min=1, help="Prompts shown.")] = 10,
    columns: Columns = None,
) -> None:
    """Read the replies of several systems side by side."""
    from polychromic.yours.evaluate import output
    from polychromic.yours.evaluate.inputs import read_systems

    systems = read_systems(files, _columns(columns))
    texts: dict[str, str] = {}  # id -> all that can be found there
    for (_, name), row in (item for system in systems for item in sorted(system.rows.items()) if item[0][0] == system.seeds[0]):
        texts[name] = "\n".join([texts.get(name, name), row.prompt, *row.samples]).lower()
    if not (ids := [name for name, text in texts.items() if find.lower() in text]):
        raise UsageError(f"no prompt fits --find {find!r}. Allowed: a part of an id, a prompt or a reply, such as {min(texts)}.")
    for name in ids[:limit]:
        Terminal().print(output.replies_table(systems, name, n))
    if len(ids) > limit:
        say(f"{len(ids) - limit} more prompts; --limit shows them")


def _asked(metrics: str | None, k: str | None, no_encoder: bool, seed: int, bootstrap: int, anew: bool) -> Asked:
    """What is to be computed. Raises UsageError for an unknown metric, and for k that are no numbers of drafts."""
    if k is not None and not re.fullmatch(r"\s*0*[1-9][0-9]{0,5}\s*(,\s*0*[1-9][0-9]{0,5}\s*)*", k):
        allowed = "whole numbers of 1 or more, below a million, with commas between, such as 1,5,10"
        raise UsageError(f"--k is {k[:80]!r}. Allowed: {allowed}.")
    ks = None if k is None else sorted({int(part) for part in k.split(",")})
    names = [name.strip() for name in metrics.split(",")] if metrics is not None else []
    if names:
        if not all(names):
            raise UsageError(f"--metrics is {metrics[:80]!r}. Allowed: names with commas between, such as pass@10,self_bleu.")
        from polychromic.score.metrics import metric

        for name in names:
            metric(name)
    from polychromic.yours.evaluate.evaluate import Asked

    return Asked(names or None, ks, not no_encoder, seed, bootstrap, anew)


def _columns(text: str | None) -> dict[str, str]:
    from polychromic.yours.evaluate.inputs import Row
    from polychromic.yours.train.rows import parse_columns

    return parse_columns(text, [name for name in Row.model_fields if name not in ("where", "raw")])


def _finish(files: Sequence[Path], columns: str | None, judge: Callable[[list[System]], dict], out: Path | None, json: bool) -> None:
    """Read the systems and judge them; say the notes, write the folder, print the document or its table."""
    from polychromic.yours.evaluate import output
    from polychromic.yours.evaluate.inputs import read_systems

    document = judge(systems := read_systems(files, _columns(columns)))
    say(*(f"note: {note}" for note in document["notes"]))
    if out is not None:
        say(f"wrote {', '.join(path.name for path in output.write(out, systems, document))} to {out}")
    show(document, output.table, json)


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
    refuse(context, f"collect {kind}", UNUSED[kind], f"{'a file, its columns, ' if kind == 'file' else ''}--out, authors and limits")
    if what is None and kind != "package":
        raise UsageError(f"collect {kind} names nothing to collect. Allowed: collect file FILE, collect apify DATASET. Add it.")
    from polychromic.yours.collect import apify, run, sources
    from polychromic.yours.collect.schema import read_salt

    if kind == "apify":
        source = apify.Apify(base_url, what, apify.read_token(), retries)
    else:
        source = sources.corpus() if kind == "package" else sources.of_file(Path(what))
    columns = {name: context.params[name] for name in COLUMNS}
    salt = None if keep_authors else read_salt()
    show(run.collect(source, columns, salt, out, say, page_size, author_cap, max_items), run.render, json)


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
    check_place(out)
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
def review(
    folder: Folder,
    reviewer: Reviewer = "reviewer",
    accept: Annotated[str | None, typer.Option(help="Read none: accept what is undecided and of these strata, or holds a text.")] = None,
) -> None:
    """Read the candidates one by one: accept, reject, edit. Quit at any time; the next call goes on."""
    from polychromic.yours.review import bulk, log, session

    if accept is not None:
        print(bulk.accept(log.read_candidates(folder), folder, reviewer, accept))
        return
    print(session.review(log.read_candidates(folder), folder, reviewer))


@posts_app.command("review-export")
def review_export(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", help="Folder to write replies.jsonl and replies-review.json to.")],
    reviewer: Reviewer = "reviewer",
) -> None:
    """Write what a reviewer accepted as a data file, and print the summary of the review as JSON."""
    check_place(out)
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
