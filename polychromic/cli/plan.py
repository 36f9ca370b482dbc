"""`polychromic plan`: parse, call one function, print."""

from __future__ import annotations

from typing import Annotated

import typer

from polychromic.base import paths
from polychromic.base.errors import UsageError
from polychromic.cli.output import Json, show
from polychromic.cli.stages import ParamsOption, Split, load

plan_app = typer.Typer()


@plan_app.command()
def plan(
    domains: Annotated[list[str] | None, typer.Argument(help="Domains of params.yaml; all where none is named.")] = None,
    split: Annotated[Split, typer.Option("--split", help="Which cells.")] = Split.dev,
    device: Annotated[str, typer.Option(help="l4, rtx4090, l40s, a100-40, a100-80, h100 or h200.")] = "h100",
    calibrate: Annotated[bool, typer.Option("--calibrate", help="Measure this machine with the model, a minute or so.")] = False,
    price: Annotated[float | None, typer.Option(min=0, help="Dollars per hour of the machine.")] = None,
    model: Annotated[str | None, typer.Option(help="Another entry of `models:` than params.yaml says, such as qwen3-8b.")] = None,
    json: Json = False,
    params: ParamsOption = paths.PARAMS,
) -> None:
    """Say what the cells will cost before they run: tokens, FLOPs, hours, dollars, memory and what to change where it does not fit."""
    values = load(params)
    for domain in domains or ():
        load(params, domain)
    from polychromic.params import Params, read_yaml
    from polychromic.pipeline import plan as plans
    from polychromic.pipeline.devices import device as named

    if model is not None:
        if model not in values.models:
            raise UsageError(f"--model {model} is no entry of `models:` in {params}. Allowed: {', '.join(values.models) or 'none'}.")
        values = Params.model_validate(read_yaml(params) | {"model": model})  # whose dtype stands for two precisions
    made = plans.make(values, domains or values.domains, None if calibrate else named(device))
    show(plans.document(made, domains or values.domains, split, price), plans.render, json)
