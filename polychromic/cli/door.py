"""Training an adapter, on a domain of the paper or on rows of one's own, and drafts from it. Parse, call one function, print."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from polychromic.base import paths, processes
from polychromic.base.errors import UsageError
from polychromic.base.visible import Terminal
from polychromic.cli.output import check_out, check_temperature, refuse, say
from polychromic.cli.stages import Lam, ParamsOption, load

door_app = typer.Typer()

Method = StrEnum("Method", {name: name for name in ("lora", "polychromic", "rft")})
Combine = StrEnum("Combine", {name: name for name in ("product", "min", "mean")})
Preset = StrEnum("Preset", {name: name for name in ("default", "conservative")})
Tracker = StrEnum("Tracker", {name: name for name in ("none", "jsonl", "wandb", "tensorboard", "trackio", "mlflow")})
Select = StrEnum("Select", {name: name for name in ("likelihood", "diverse")})
# What says how rows of one's own are trained on, and what a domain of params.yaml is trained with.
OWN = (
    "base", "method_", "quality", "combine", "similarity", "columns", "dev", "dev_share", "n", "steps", "warm_up", "batch",
    "learning_rate", "share", "every", "clip", "rank", "max_new_tokens", "max_length", "good", "system", "plain", "encoder", "precision",
    "quality_seconds", "preset", "patience", "report_to",
)  # fmt: skip
QUALITY = (
    "answers, likeness, meaning, regex:..., json:FILE, length:5-30, tests, classifier:FOLDER, judge:URL,model=NAME, or a function of yours"
)


def _panel(name: str) -> dict[str, str]:
    return {"rich_help_panel": name}


ROWS, OBJECTIVE, STEPS = _panel("Rows of yours"), _panel("What is good, and what is different"), _panel("Training")


@door_app.command()
def train(
    context: typer.Context,
    domain: Annotated[str | None, typer.Argument(help="Without --data: a domain of params.yaml, such as listqa.")] = None,
    method: Annotated[str | None, typer.Argument(help="Without --data: a method of params.yaml that has an adapter.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the adapter, in PEFT format.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="Seed of training; of rows of yours: 0 if not given.")] = None,
    lam: Lam = None,
    params: ParamsOption = paths.PARAMS,
    data: Annotated[
        Path | None, typer.Option(help="Prompt and completion, or messages: JSONL, CSV, Parquet, a datasets folder.", **ROWS)
    ] = None,
    columns: Annotated[str | None, typer.Option(help="What columns are called: prompt=question,completion=answer.", **ROWS)] = None,
    dev: Annotated[Path | None, typer.Option(help="Rows to measure on; default: a part of --data.", **ROWS)] = None,
    dev_share: Annotated[float, typer.Option(help="Share of the prompts for that; 0: measure nothing.", **ROWS)] = 0.2,
    system: Annotated[str | None, typer.Option(help="A system message before every prompt that has none.", **ROWS)] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Prompts as they stand, not in the chat template.", **ROWS)] = False,
    max_length: Annotated[int, typer.Option(help="Rows longer than so many tokens are left out.", **ROWS)] = 1024,
    quality: Annotated[
        list[str] | None, typer.Option(help=f"{QUALITY} (module:function, file.py:function). Repeatable.", **OBJECTIVE)
    ] = None,
    combine: Annotated[Combine, typer.Option(help="Several qualities as one.", **OBJECTIVE)] = Combine.product,
    similarity: Annotated[str | None, typer.Option(help="answer, words, meaning, or a function of yours.", **OBJECTIVE)] = None,
    good: Annotated[float, typer.Option(help="Quality from which a draft passes (pass@k, rft).", **OBJECTIVE)] = 0.5,
    encoder: Annotated[str, typer.Option(help="Sentence encoder of `meaning`: a folder, or `default`.", **OBJECTIVE)] = "default",
    quality_seconds: Annotated[float, typer.Option(min=0.01, help="A call of your function may take.", **OBJECTIVE)] = 60.0,
    base: Annotated[str, typer.Option("--base", help="A folder, NAME/MODEL of the hub, or `default`.", **STEPS)] = "default",
    method_: Annotated[Method, typer.Option("--method", help="With --data.", **STEPS)] = Method.polychromic,
    n: Annotated[int, typer.Option("--n", help="Replies per set: as many drafts as a reader sees.", **STEPS)] = 4,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps; default: three passes, 30 to 300.", **STEPS)] = None,
    warm_up: Annotated[float, typer.Option(help="Share of the steps before D begins.", **STEPS)] = 0.5,
    batch: Annotated[int, typer.Option(help="Rows per step.", **STEPS)] = 8,
    learning_rate: Annotated[float | None, typer.Option(help="Default: 5e-4, 2e-4 from 1e9 parameters on.", **STEPS)] = None,
    share: Annotated[float, typer.Option(help="Share of a batch's prompts that are drawn to.", **STEPS)] = 1.0,
    every: Annotated[int, typer.Option(help="Draw at every so many steps.", **STEPS)] = 1,
    clip: Annotated[float, typer.Option(help="Norm at which D's gradient is clipped.", **STEPS)] = 10.0,
    rank: Annotated[int, typer.Option(help="LoRA's rank.", **STEPS)] = 16,
    max_new_tokens: Annotated[int | None, typer.Option(help="Longest reply; default: by the completions.", **STEPS)] = None,
    precision: Annotated[str, typer.Option(help="auto, bfloat16 or float32.", **STEPS)] = "auto",
    preset: Annotated[Preset, typer.Option(help="conservative: for few rows, with a part set aside for test.", **STEPS)] = Preset.default,
    patience: Annotated[int, typer.Option(help="End after so many validations without progress, with the best; 0: never.", **STEPS)] = 0,
    report_to: Annotated[
        Tracker, typer.Option("--report-to", help="A tracker, offline; jsonl: tracker.jsonl in --out.", **STEPS)
    ] = Tracker.none,
) -> None:
    """Train an adapter on rows of yours (--data), or on a domain of params.yaml (DOMAIN METHOD); the same command goes on after a stop."""
    if data is None:
        refuse(context, "train DOMAIN METHOD", OWN, "--lam, --seed, --out, --params; or --data FILE instead of a domain")
        _train_domain(domain, method, seed, out, lam, params)
        return
    refuse(context, "train --data", ("domain", "method", "params"), "no domain and no method of params.yaml; --method says how to train")
    if processes.world() > 1:
        allowed = "one process, which uses one GPU. Start it without torchrun; `train DOMAIN METHOD` takes several"
        raise UsageError(f"train --data got {processes.world()} processes. Allowed: {allowed}.")
    if out is None:
        raise UsageError("train --data needs --out FOLDER, which the adapter is written to. Allowed: a folder that does not exist. Add it.")
    check_out(out, "my-adapter")
    from polychromic.yours.train.rows import parse_columns
    from polychromic.yours.train.run import Request
    from polychromic.yours.train.run import train as run
    from polychromic.yours.train.settings import Settings

    settings = Settings(
        method_.value, 3.0 if lam is None else lam, n, steps, batch, learning_rate, warm_up, share, every, clip, rank, max_new_tokens,
        max_length, good, dev_share if dev is None else 0.0, seed or 0, system, plain, precision, patience=patience,
    )  # fmt: skip
    given = {name for name in context.params if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"}
    given |= ({"rate"} if "learning_rate" in given else set()) | ({"dev_share"} if dev is not None else set())
    settings = settings.preset(preset.value, given)
    request = Request(
        data, base, out, settings, parse_columns(columns), dev, quality or (), combine.value, similarity, encoder, quality_seconds,
        report_to.value,
    )  # fmt: skip
    card = run(request)
    if card["dev"]:
        from polychromic.base.io import read_jsonl
        from polychromic.yours.train.card import BASE, drafts_file, side_by_side, summary

        drafts = [[row for _, row in read_jsonl(drafts_file(out, name))] for name in (BASE, card["name"])]
        terminal = Terminal(stderr=True)
        for table in (*side_by_side(*drafts, card["name"]), summary(card)):
            terminal.print(table)
    for warning in card["warnings"]:
        say(f"warning: {warning['text']}")
    print(out)


def _train_domain(domain: str | None, method: str | None, seed: int | None, out: Path | None, lam: float | None, params: Path) -> None:
    needed = {"DOMAIN": domain, "METHOD": method, "--seed": seed, "--out": out}
    if missing := [name for name, value in needed.items() if value is None]:
        allowed = "train --data ROWS.jsonl --out FOLDER for rows of yours, or train DOMAIN METHOD --seed N --out FOLDER"
        raise UsageError(f"train got no --data, and no {', no '.join(missing)}. Allowed: {allowed}. Add what is missing.")
    check_out(out, "my-adapter")
    values, cell = load(params, domain, ("dev", method, lam))
    if values.methods[method].adapter == "none":
        trained = ", ".join(name for name, declared in values.methods.items() if declared.adapter == "lora")
        raise UsageError(f"method {method!r} has no adapter to train. Allowed: {trained}.")
    from polychromic.models.load import tell_cut
    from polychromic.sample.cells import Workbench
    from polychromic.train.adapter import export_adapter

    bench = Workbench(values, domain, cell)
    trained = bench.train(seed)
    if not processes.first():
        return
    export_adapter(trained, out)
    tell_cut(f"train {domain} {method}", bench.cut)
    print(out)


@door_app.command()
def export(
    adapter: Annotated[Path, typer.Argument(help="A folder that `train` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    base: Annotated[str | None, typer.Option(help="An entry of `models:`, a folder or NAME/MODEL@COMMIT; default: what it names.")] = None,
    merge: Annotated[bool, typer.Option("--merge", help="One model of base and adapter, which needs no PEFT.")] = False,
    precision: Annotated[str, typer.Option(help="Of a merged model: auto, bfloat16 or float32.")] = "auto",
    push_to_hub: Annotated[str | None, typer.Option(help="NAME/MODEL of yours on the hub; private unless --public.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Anybody may see it there.")] = False,
) -> None:
    """Hand an adapter on: a base that AutoPeftModel finds, a model card, merged into one model, on the hub."""
    check_out(out, "my-export")
    from polychromic.yours.export import Request
    from polychromic.yours.export import export as run

    for path in run(Request(adapter, out, base, merge, precision, push_to_hub, public)):
        print(path)


@door_app.command()
def draw(
    prompts: Annotated[str, typer.Option("--prompts", help="JSONL (prompt, or messages), a .txt with a prompt a line, or - for stdin.")],
    adapter: Annotated[
        list[Path] | None, typer.Option(help="A LoRA adapter's folder; several are merged into one model. Repeatable.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="A folder, NAME/MODEL of the hub, or `default`; default: what the adapter's card says.")
    ] = None,
    base_alone: Annotated[bool, typer.Option("--base-alone", help="With the adapter's settings, but without it: to compare.")] = False,
    k: Annotated[int | None, typer.Option("--k", "-k", min=1, max=10_000, help="Drafts per prompt; default: the card's, else 5.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSONL to write and to go on with; default: standard output.")] = None,
    select: Annotated[Select | None, typer.Option(help="Draw --pool drafts and keep k: the likeliest, or good ones that differ.")] = None,
    pool: Annotated[int | None, typer.Option(min=1, max=100_000, help="With --select: drafts to choose from; default: 4 k.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Default: the card's, else 1.")] = None,
    min_p: Annotated[float | None, typer.Option("--min-p", min=0, max=1, help="Default: the card's, else 0.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, max=100_000, help="Longest reply; default: the card's, else 128.")] = None,
    columns: Annotated[str | None, typer.Option(help="What columns are called, such as prompt=question.")] = None,
    system: Annotated[str | None, typer.Option(help="A system message before every prompt that has none; default: the card's.")] = None,
    plain: Annotated[
        bool | None, typer.Option("--plain/--chat", help="Prompts as they stand, or in the chat template; default: the card's.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of the drafts.")] = 0,
    precision: Annotated[str, typer.Option(help="auto, bfloat16 or float32.")] = "auto",
) -> None:
    """Draw k drafts per prompt from a base model and its adapters, as JSON lines, each as soon as it is there."""
    check_out(out.parent if out else None, "my-drafts")
    check_temperature(temperature)
    from polychromic.yours.drafts.run import Request
    from polychromic.yours.drafts.run import draw as run
    from polychromic.yours.train.rows import parse_columns

    request = Request(
        prompts, tuple(adapter or ()), base, base_alone, k, out, select.value if select else None, pool, temperature, min_p, max_new_tokens,
        parse_columns(columns), system, plain, seed, precision,
    )  # fmt: skip
    run(request)
    if out is not None:
        print(out)
