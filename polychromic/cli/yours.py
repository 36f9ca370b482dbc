"""The practitioner's commands: evaluate, compare-files, samples. Parse, call polychromic.yours.evaluate, print.

What is wrong with the options is found before anything heavy is imported. Tracked results are never written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from polychromic.base.errors import UsageError
from polychromic.cli.output import Json, check_out, refuse, say, show

if TYPE_CHECKING:  # seconds, which `--help` has not
    from polychromic.yours.evaluate.evaluate import Asked
    from polychromic.yours.evaluate.inputs import System

replies_app = typer.Typer()
# What says how replies are drawn: for --base alone.
DRAWING = ("adapter", "data", "zero_shot", "few_shot", "prompt", "n", "temperature", "min_p", "max_new_tokens", "max_examples")

Metrics = Annotated[str | None, typer.Option("--metrics", help="Such as pass@10,self_bleu; default: all that the input allows.")]
Ks = Annotated[str | None, typer.Option("--k", help="Drafts a person sees; default: 1,3,5,10 as far as the samples reach.")]
NoEncoder = Annotated[bool, typer.Option("--no-encoder", help="Leave out the metrics that need sentence vectors.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the bootstrap, and of the replies that are drawn here.")]
Boot = Annotated[int, typer.Option("--bootstrap", min=200, help="Resamples of the intervals.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for tables as CSV and LaTeX, the JSON document and figures.")]


@replies_app.command()
def evaluate(
    context: typer.Context,
    samples: Annotated[list[Path] | None, typer.Option(help="JSONL: id, prompt, samples; optional references, valid. Repeatable.")] = None,
    base: Annotated[str | None, typer.Option("--base", help="Draw replies from this model: a folder, or `default`.")] = None,
    adapter: Annotated[list[Path] | None, typer.Option("--adapter", help="With --base: a LoRA adapter's folder. Repeatable.")] = None,
    data: Annotated[Path | None, typer.Option(help="With --base: JSONL: prompt, and optional id, references, valid.")] = None,
    zero_shot: Annotated[bool, typer.Option("--zero-shot", help="With --adapter: the base model alone, too.")] = False,
    few_shot: Annotated[Path | None, typer.Option("--few-shot", help="The base model with the solved examples of this JSONL, too.")] = None,
    prompt: Annotated[str, typer.Option(help="DOMAIN/VARIANT of prompts.yaml, or a YAML file: `system`, `ask`.")] = "listqa/zero_shot",
    n: Annotated[int, typer.Option("--n", min=1, help="Replies per prompt.")] = 20,
    temperature: Annotated[float, typer.Option(min=0, help="Sampling temperature.")] = 1.0,
    min_p: Annotated[float, typer.Option("--min-p", min=0, max=1, help="Tokens below this share of the likeliest are dropped.")] = 0.0,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest reply in tokens.")] = 32,
    max_examples: Annotated[int | None, typer.Option(min=1, help="Only the first prompts.")] = None,
    metrics: Metrics = None,
    k: Ks = None,
    no_encoder: NoEncoder = False,
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
    asked = _asked(metrics, k, no_encoder, seed, bootstrap)
    from polychromic.yours.evaluate import evaluate as evaluation
    from polychromic.yours.evaluate.inputs import read_systems

    files = list(samples or ())
    if base:
        from polychromic.yours.evaluate.draw import Settings, draw_all

        settings = Settings(n, temperature, max_new_tokens, seed, min_p)
        files = draw_all(out, base, adapter or [], data, zero_shot, few_shot, prompt, settings, max_examples, _note)
    systems = read_systems(files)
    _finish(evaluation.evaluate(systems, asked), systems, out, json)


@replies_app.command()
def compare_files(
    files: Annotated[list[Path], typer.Argument(help="Files of replies, see `evaluate`, or folders that `evaluate --out` wrote.")],
    metrics: Metrics = None,
    k: Ks = None,
    no_encoder: NoEncoder = False,
    common: Annotated[bool, typer.Option("--common", help="Use the prompts that all files have.")] = False,
    seed: Seed = 0,
    bootstrap: Boot = 10_000,
    out: Out = None,
    json: Json = False,
) -> None:
    """Compare systems of files of replies, prompt by prompt: paired contrasts with intervals, p-values and verdicts."""
    check_out(out, "my-evaluation")
    asked = _asked(metrics, k, no_encoder, seed, bootstrap)
    from polychromic.yours.evaluate import evaluate as evaluation
    from polychromic.yours.evaluate.inputs import read_systems

    systems = read_systems(files)
    _finish(evaluation.compare(systems, asked, common), systems, out, json)


@replies_app.command()
def samples(
    files: Annotated[list[Path], typer.Argument(help="Files of replies; results/DOMAIN/SPLIT/CELL/samples.jsonl.gz are read, too.")],
    only: Annotated[str | None, typer.Option("--id", help="Only this prompt.")] = None,
    find: Annotated[str, typer.Option(help="Only prompts, or replies, that hold this text.")] = "",
    n: Annotated[int, typer.Option("--n", min=1, help="Replies shown per system.")] = 5,
    limit: Annotated[int, typer.Option(min=1, help="Prompts shown.")] = 10,
) -> None:
    """Read the replies of several systems side by side."""
    from polychromic.yours.evaluate import output
    from polychromic.yours.evaluate.inputs import read_systems

    systems = read_systems(files)
    texts: dict[str, str] = {}  # id -> all that can be found there
    for (_, name), row in (item for system in systems for item in sorted(system.rows.items()) if item[0][0] == system.seeds[0]):
        texts[name] = "\n".join([texts.get(name, ""), row.prompt, *row.samples]).lower()
    ids = [name for name, text in texts.items() if only in (None, name) and find.lower() in text]
    if not ids:
        raise UsageError(f"no prompt fits --id {only!r} --find {find!r}. Known ids: {', '.join(list(texts)[:5])}, ...")
    for name in ids[:limit]:
        Console().print(output.replies_table(systems, name, n))
    if len(ids) > limit:
        say(f"{len(ids) - limit} more prompts; --limit shows them")


def _asked(metrics: str | None, k: str | None, no_encoder: bool, seed: int, bootstrap: int) -> Asked:
    """What is to be computed. Raises UsageError for an unknown metric, and for k that are no numbers of drafts."""
    if k is not None and not re.fullmatch(r"\s*0*[1-9]\d*\s*(,\s*0*[1-9]\d*\s*)*", k):
        raise UsageError(f"--k is {k!r}. Allowed: whole numbers of 1 or more with commas between, such as 1,5,10.")
    ks = None if k is None else sorted({int(part) for part in k.split(",")})
    names = [name.strip() for name in (metrics or "").split(",") if name.strip()]
    if names:
        from polychromic.score.metrics import metric

        for name in names:
            metric(name)
    from polychromic.yours.evaluate.evaluate import Asked

    return Asked(names or None, ks, not no_encoder, seed, bootstrap)


def _note(*found: str) -> None:
    say(*(f"note: {note}" for note in found))


def _finish(document: dict, systems: Sequence[System], out: Path | None, json: bool) -> None:
    """Say the notes, write the folder, print the document or its table."""
    from polychromic.yours.evaluate import output

    _note(*document["notes"])
    if out is not None:
        say(f"wrote {', '.join(path.name for path in output.write(out, systems, document))} to {out}")
    show(document, output.table, json)
