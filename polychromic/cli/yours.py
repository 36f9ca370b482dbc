"""The practitioner's commands: evaluate, compare, samples. Parse, call polychromic.yours.evaluate, print; tracked results are never written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from polychromic.base.errors import UsageError
from polychromic.cli.options import refuse

oneoff_app = typer.Typer()
notes = Console(stderr=True)
# What says how replies are drawn: for --base alone.
DRAWING = ("adapter", "data", "zero_shot", "few_shot", "prompt", "n", "temperature", "min_p", "max_new_tokens", "max_examples")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
Metrics = Annotated[
    str | None, typer.Option("--metrics", help="Names with commas between, such as pass@10,self_bleu; default: all that the input allows.")
]
Ks = Annotated[
    str | None, typer.Option("--k", help="Drafts a person sees, with commas between; default: 1,3,5,10 as far as the samples reach.")
]
NoEncoder = Annotated[bool, typer.Option("--no-encoder", help="Leave out the metrics that need sentence vectors.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the bootstrap, and of the replies that are drawn here.")]
Boot = Annotated[int, typer.Option("--bootstrap", min=200, help="Resamples of the intervals.")]


@oneoff_app.command()
def evaluate(
    context: typer.Context,
    samples: Annotated[
        list[Path] | None,
        typer.Option("--samples", help="JSONL of replies: id, prompt, samples, and optional references, valid. Repeatable."),
    ] = None,
    base: Annotated[str | None, typer.Option("--base", help="Draw replies from this model: a folder, or `default`.")] = None,
    adapter: Annotated[list[Path] | None, typer.Option("--adapter", help="With --base: a LoRA adapter's folder. Repeatable.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="With --base: JSONL of prompts: prompt, and optional id, references, valid.")
    ] = None,
    zero_shot: Annotated[bool, typer.Option("--zero-shot", help="With --adapter: the base model alone, too.")] = False,
    few_shot: Annotated[Path | None, typer.Option("--few-shot", help="The base model with the solved examples of this JSONL, too.")] = None,
    prompt: Annotated[
        str, typer.Option("--prompt", help="DOMAIN/VARIANT of prompts.yaml, or a YAML file with `system` and `ask`.")
    ] = "listqa/zero_shot",
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
    out: Annotated[Path | None, typer.Option("--out", help="Folder for table.csv, table.tex, evaluation.json and figures.")] = None,
    json: Json = False,
) -> None:
    """Evaluate anybody's replies (--samples), or replies drawn here (--base, --adapter, --data)."""
    from polychromic.yours.evaluate import folder, output
    from polychromic.yours.evaluate.inputs import read_systems

    if bool(samples) == bool(base):
        raise UsageError(
            "evaluate takes --samples FILE (replies that exist) or --base MODEL --data FILE (replies drawn here). Give one of them."
        )
    if samples:
        refuse(context, "evaluate --samples", DRAWING, "metrics and k, --no-encoder, --seed, --bootstrap, --out, --json")
    if out is not None:
        folder.check_out(out)
    files = list(samples or ())
    if base:
        if data is None or out is None:
            raise UsageError(
                "--base needs --data FILE (the prompts) and --out FOLDER (where replies are kept, so that a run can be resumed)."
            )
        from polychromic.yours.evaluate.draw import Settings

        settings = Settings(n, temperature, max_new_tokens, seed, min_p)
        files = _draw(out, base, adapter or [], data, zero_shot, few_shot, prompt, settings, max_examples)
    systems = read_systems(files)
    kept = folder.keep_replies(out, systems) if out is not None else {}
    document = _evaluate(systems, metrics, k, no_encoder, seed, bootstrap)
    if out is not None:
        for system in document["systems"]:
            system["replies"] = kept[system["system"]]
        _wrote(out, folder.write_evaluation(out, document))
    _show(document, json, lambda: output.metrics_table(document))


def _draw(
    out: Path, base: str, adapters: Sequence[Path], data: Path, zero_shot: bool, few_shot: Path | None, prompt: str, settings, limit
) -> list[Path]:  # noqa: ANN001
    """Files of replies of all systems asked for; everything that can be wrong in the input is found before the first draw."""
    from polychromic.base.locks import single_writer
    from polychromic.yours.evaluate import adapters as checks
    from polychromic.yours.evaluate import draw

    rows, variant = draw.read_prompts(data, limit), draw.read_variant(prompt)
    exemplars = draw.read_exemplars(few_shot) if few_shot else []
    runs = [("zero_shot", None, [])] if zero_shot or not (adapters or few_shot) else []
    runs += [("few_shot", None, exemplars)] if few_shot else []
    runs += [(adapter.resolve().name, adapter, []) for adapter in adapters]
    names = [name for name, _, _ in runs]
    if len(set(names)) < len(names):
        raise UsageError(f"the systems are {', '.join(names)}: two of one name. Allowed: different names, which the table prints. "
                         "Rename an adapter's folder.")  # fmt: skip
    for adapter in adapters:
        checks.read_config(adapter)
    model = draw.find_base(base, _params)
    _say(checks.check_adapters(adapters, base, model.folder))
    with single_writer(out):
        return [draw.draw(out, name, model, adapter, rows, variant, shots, settings) for name, adapter, shots in runs]


def are_replies(what: Sequence[str]) -> bool:
    """Whether compare's arguments are files of replies or folders of evaluations; a single word may be a domain of params.yaml."""
    from polychromic.yours.evaluate.inputs import EVALUATION

    only = Path(what[0])
    return len(what) > 1 or only.is_file() or (only / EVALUATION).is_file() or only.suffix != "" or only.name != what[0]


def compare_files(
    files: Sequence[Path], metrics: str | None, k: str | None, no_encoder: bool, common: bool, seed: int, bootstrap: int, json: bool,
    out: Path | None = None,
) -> None:  # fmt: skip
    """Paired contrasts of the systems in the files, or in the folders that `evaluate --out` wrote."""
    from polychromic.yours.evaluate import choice, folder, output
    from polychromic.yours.evaluate import evaluate as evaluation
    from polychromic.yours.evaluate.inputs import common_ids, read_systems

    if out is not None:
        folder.check_out(out)
    systems = read_systems(files)
    if len(systems) < 2:
        raise UsageError(
            f"compare has one system, {systems[0].name!r}. Allowed: two or more systems in files or folders, or a domain of params.yaml. "
            "Add a file."
        )
    common_ids(systems, common)
    names, left_out = choice.chosen_metrics(_names(metrics), _numbers(k), systems, not no_encoder)
    embed, encoder = _embedder(systems, names)
    document = evaluation.compare(systems, names, embed, seed, bootstrap, common, encoder, asked=metrics is not None)
    document["notes"] = left_out + document["notes"]
    _say(document["notes"])
    if out is not None:
        _wrote(out, folder.write_comparison(out, document))
    _show(document, json, lambda: output.contrasts_table(document))


@oneoff_app.command()
def samples(
    files: Annotated[list[Path], typer.Argument(help="Files of replies; results/DOMAIN/CELL/samples.jsonl.gz are read, too.")],
    only: Annotated[str | None, typer.Option("--id", help="Only this prompt.")] = None,
    find: Annotated[str | None, typer.Option(help="Only prompts, or replies, that hold this text.")] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Replies shown per system.")] = 5,
    limit: Annotated[int, typer.Option(min=1, help="Prompts shown.")] = 10,
) -> None:
    """Read the replies of several systems side by side."""
    from polychromic.yours.evaluate import output
    from polychromic.yours.evaluate.inputs import read_systems
    from polychromic.yours.evaluate.tracked import as_samples

    systems = read_systems([as_samples(path) for path in files])
    ids = [name for name in dict.fromkeys(name for system in systems for name in system.ids) if only in (None, name)]
    if find is not None:
        ids = [name for name in ids if any(_holds(system, name, find.lower()) for system in systems)]
    if not ids:
        raise UsageError(f"no prompt fits --id {only!r} --find {find!r}. Known ids: {', '.join(systems[0].ids[:5])}, ...")
    for name in ids[:limit]:
        Console().print(output.replies_table(systems, name, n))
    if len(ids) > limit:
        notes.print(f"{len(ids) - limit} more prompts; --limit shows them", highlight=False)


def _holds(system, name: str, text: str) -> bool:  # noqa: ANN001
    row = system.rows.get((system.seeds[0], name))
    return row is not None and any(text in found.lower() for found in (row.prompt, *row.samples))


def _evaluate(systems, metrics: str | None, k: str | None, no_encoder: bool, seed: int, bootstrap: int) -> dict:  # noqa: ANN001
    from polychromic.yours.evaluate import choice
    from polychromic.yours.evaluate import evaluate as evaluation

    names, left_out = choice.chosen_metrics(_names(metrics), _numbers(k), systems, not no_encoder)
    embed, encoder = _embedder(systems, names)
    document = evaluation.evaluate(systems, names, embed, seed, bootstrap, encoder, asked=metrics is not None)
    document["notes"] = left_out + document["notes"]
    _say(document["notes"])
    return document


def _embedder(systems, names: Sequence[str]):  # noqa: ANN001, ANN202
    """(vectors of all replies at once, the encoder's name) where a metric reads them; (None, "") else."""
    from polychromic.score.catalogue import metric

    if not any("vectors" in metric(name).needs for name in names):
        return None, ""
    import numpy as np

    from polychromic.score.probes import Embedder

    texts = list(dict.fromkeys(text for system in systems for row in system.rows.values() for text in row.samples))
    vectors = dict(zip(texts, Embedder(_params())(texts), strict=True))
    return lambda wanted: np.stack([vectors[text] for text in wanted]), str(_params().encoder)


def _params():  # noqa: ANN202 - polychromic.params.Params
    """params.yaml of this folder or, elsewhere, that of the installed repository: it names the pinned encoder."""
    from polychromic.base import paths
    from polychromic.params import load_params

    return load_params(paths.PARAMS if paths.PARAMS.exists() else Path(__file__).resolve().parents[2] / paths.PARAMS)


def _names(text: str | None) -> list[str] | None:
    from polychromic.score.catalogue import metric

    names = [name.strip() for name in text.split(",") if name.strip()] if text else None
    for name in names or ():
        metric(name)
    return names


def _numbers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise UsageError(f"--k is {text!r}. Allowed: whole numbers with commas between, such as 1,5,10.") from None
    if numbers[0] < 1:
        raise UsageError(f"--k is {text!r}. Allowed: 1 or more.")
    return numbers


def _say(found: Sequence[str]) -> None:
    for note in found:
        notes.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)


def _wrote(out: Path, written: Sequence[Path]) -> None:
    notes.print(f"wrote {', '.join(path.name for path in written)} to {out}", highlight=False, markup=False, soft_wrap=True)


def _show(value: object, json: bool, table) -> None:  # noqa: ANN001
    if json:
        from polychromic.base.io import dumps

        print(dumps(value, indent=2))
    else:
        Console().print(table())
