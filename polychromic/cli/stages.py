"""What dvc.yaml runs: split, cells, scores, comparisons, reports, the PDF. Parse, call one function, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from polychromic.base import paths
from polychromic.base.errors import UsageError
from polychromic.cli.options import refuse
from polychromic.cli.yours import Boot, Json, Ks, Metrics, NoEncoder, Seed, are_replies, compare_files

if TYPE_CHECKING:  # half a second, which `--help` has not
    from polychromic.params import Params

stage_app = typer.Typer()
errors = Console(stderr=True)

DomainArgument = Annotated[str, typer.Argument(help="A domain of params.yaml, such as listqa.")]
ParamsOption = Annotated[Path, typer.Option("--params", help="The parameter file.")]
Lam = Annotated[str | None, typer.Option("--lam", help="Weight of D, written as in the grid: 3.0, not 3.")]
DEFAULT_PARAMS = paths.PARAMS


def weight_of(text: str | None) -> float | None:
    """The weight of D that --lam names. Raises UsageError for what is none, or is spelt otherwise than in the grid."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"--lam is {text!r}. Allowed: a number >= 0, such as 0.3.") from None
    if text.startswith("-") or not 0 <= value < float("inf"):
        raise UsageError(f"--lam is {text}. Allowed: a finite number >= 0, such as 0.3.")
    if str(value) != text:
        raise UsageError(
            f"--lam is written {text!r}. Write {value}: the grid names its cells by this spelling, and another one makes a second cell."
        )
    return value


def say_precision(values: Params) -> None:
    """The cost up front, where the processor makes it much higher than the README says."""
    from polychromic.base.hardware import best_device, slow_precision

    notice = slow_precision({"train.precision": values.train.precision, "sampling.precision": values.sampling.precision})
    if notice and best_device() == "cpu":
        errors.print(f"[yellow]note:[/] {escape(notice)}", highlight=False, soft_wrap=True)


def _guard_tracked(params: Path, remedy: str = "Run it in a workspace of its own that holds this file as params.yaml.") -> None:
    """A run with another parameter file must not write where the pipeline's results are."""
    if params.resolve() != DEFAULT_PARAMS.resolve():
        raise UsageError(f"--params {params} would write into the tracked results/. Allowed: {DEFAULT_PARAMS}. {remedy}")


@stage_app.command()
def split(domain: DomainArgument, params: ParamsOption = DEFAULT_PARAMS) -> None:
    """Assign each record of a domain to train, dev or test: grouped, stratified, checked."""
    from polychromic.data import split as splitting
    from polychromic.data.domains import get_domain
    from polychromic.params import load_params

    _guard_tracked(params)
    get_domain(domain)
    values = load_params(params)
    splitting.run(domain, values.domain(domain).sizes.model_dump(), values.split.seed, values.split.tolerance)


@stage_app.command()
def cell(
    domain: DomainArgument,
    method: Annotated[str, typer.Argument(help="A method of params.yaml, such as lora.")],
    lam: Lam = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default: the tracked results/ folder of the cell.")] = None,
    params: ParamsOption = DEFAULT_PARAMS,
) -> None:
    """Train a method with every seed (if it trains) and sample dev."""
    from polychromic.base.locks import die_with_parent, single_writer
    from polychromic.params import load_params

    weight, values = weight_of(lam), load_params(params)
    die_with_parent()
    from polychromic.data.domains import get_domain
    from polychromic.sample.cells import cell_name, resolve, run_cell

    get_domain(domain)
    resolve(values, method, weight)
    folder = out or paths.cell_dir(domain, cell_name(method, weight))
    if out is None:
        _guard_tracked(params, "Add --out FOLDER.")
    say_precision(values)
    with single_writer(folder):
        run_cell(values, domain, method, weight, folder)


@stage_app.command()
def score(
    domain: DomainArgument,
    params: ParamsOption = DEFAULT_PARAMS,
) -> None:
    """Compute every metric of the domain per prompt, for the cells that dvc.yaml declares."""
    from polychromic.params import load_params

    _guard_tracked(params)
    values = load_params(params)
    from polychromic.score.score import declared_samples, run

    run(values, domain, declared_samples(domain))


@stage_app.command()
def select(domain: DomainArgument, params: ParamsOption = DEFAULT_PARAMS) -> None:
    """Choose each method's temperature on dev."""
    from polychromic.compare.compare import select as run
    from polychromic.params import load_params

    _guard_tracked(params)
    run(load_params(params), domain)


@stage_app.command()
def openers(
    domain: DomainArgument,
    method: Annotated[str, typer.Argument(help="A method of params.yaml, such as lora.")],
    lam: Lam = None,
    params: ParamsOption = DEFAULT_PARAMS,
) -> None:
    """Answer the messages that many people answered, with every seed of a method."""
    from polychromic.base.locks import die_with_parent
    from polychromic.params import load_params

    _guard_tracked(params)
    weight, values = weight_of(lam), load_params(params)
    die_with_parent()
    from polychromic.sample.cells import cell_name
    from polychromic.score.openers import run

    run(values, domain, method, weight, paths.cell_dir(domain, cell_name(method, weight)) / "openers.jsonl.gz")


@stage_app.command()
def beside(domain: DomainArgument, params: ParamsOption = DEFAULT_PARAMS) -> None:
    """Put these drafts beside people: how alike they are, and how many people they match."""
    from polychromic.params import load_params

    _guard_tracked(params)
    values = load_params(params)
    from polychromic.score.openers import beside as run

    run(values, domain)


@stage_app.command()
def compare(
    context: typer.Context,
    what: Annotated[list[str], typer.Argument(help="A domain of params.yaml; or two or more files of replies, see `evaluate`.")],
    metrics: Metrics = None,
    k: Ks = None,
    no_encoder: NoEncoder = False,
    common: Annotated[bool, typer.Option("--common", help="Use the prompts that all files have.")] = False,
    seed: Seed = 0,
    bootstrap: Boot = 10_000,
    out: Annotated[Path | None, typer.Option("--out", help="Files: folder for CSV, LaTeX and figures.")] = None,
    json: Json = False,
    params: ParamsOption = DEFAULT_PARAMS,
) -> None:
    """Test the declared contrasts of a domain, or compare files of replies, prompt by prompt."""
    if are_replies(what):
        refuse(context, "compare of files", ["params"], "metrics and k, --no-encoder, --common, --seed, --bootstrap, --out, --json")
        compare_files([Path(name) for name in what], metrics, k, no_encoder, common, seed, bootstrap, json, out)
        return
    of_files = ("metrics", "k", "no_encoder", "common", "seed", "bootstrap", "out", "json")
    refuse(context, "compare of a domain", of_files, "--params; the analysis is that of params.yaml")
    from polychromic.compare.compare import compare as run
    from polychromic.params import load_params

    _guard_tracked(params)
    run(load_params(params), what[0])


@stage_app.command()
def report(
    what: Annotated[
        str,
        typer.Argument(
            help="A domain; `audit` (cells that ran again), `costs` (benchmarks), `designs` (simulation), `people` (drafts beside people), "
            "`setup` (defaults), `summary`, `provenance` (where all that comes from), `readme`."
        ),
    ],
    params: ParamsOption = DEFAULT_PARAMS,
) -> None:
    """Write the paper's tables, figures and numbers of a domain."""
    from polychromic.params import load_params
    from polychromic.report import audit, build, readme

    values = load_params(params)
    if what == "setup":
        build.build_setup(values.model_dump(mode="json", by_alias=True))
    elif what == "readme":
        print(readme.write_readme())
    elif what == "summary":
        build.build_summary(values.domains)
    elif what == "costs":
        build.build_costs(values.domains)
    elif what == "designs":
        build.build_designs()
    elif what == "audit":
        audit.build_audit()
    elif what == "people":
        build.build_people("replies")
    elif what == "provenance":
        build.build_provenance(values.domains)
    elif what in values.domains:
        build.build(what)
    else:
        allowed = ", ".join([*values.domains, "audit", "costs", "designs", "people", "setup", "summary", "provenance", "readme"])
        raise UsageError(f"report {what!r} does not exist. Allowed: {allowed}.")


@stage_app.command()
def examples(domain: DomainArgument, params: ParamsOption = DEFAULT_PARAMS) -> None:
    """Write the paper's table of drafts side by side."""
    from polychromic.params import load_params
    from polychromic.report.examples import build_examples

    _guard_tracked(params)
    build_examples(load_params(params), domain)


@stage_app.command()
def paper(params: ParamsOption = DEFAULT_PARAMS) -> None:
    """Compile paper/main.tex to paper/main.pdf with latexmk."""
    from polychromic.params import load_params
    from polychromic.report.latex import compile_paper

    compile_paper(paths.PAPER, paths.PAPER / "main.pdf", paths.record_files(load_params(params).domains))
