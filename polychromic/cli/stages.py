"""What dvc.yaml runs: split, cells, scores, comparisons, reports, the PDF; and what prints it. Parse, call one function, print."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from polychromic.base import paths
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.visible import Terminal
from polychromic.cli.output import check_file, check_place

stage_app = typer.Typer()
errors = Terminal(stderr=True)

Split = StrEnum("Split", paths.SPLITS)
DomainArgument = Annotated[str, typer.Argument(help="A domain of params.yaml, such as listqa.")]
SplitOption = Annotated[
    Split, typer.Option("--split", help="Which of the domain's prompts; test is opened once its declaration is committed.")
]
ParamsOption = Annotated[Path, typer.Option("--params", help="The parameter file.")]
Lam = Annotated[float | None, typer.Option("--lam", min=0, help="Weight of D; 3 means 3.0.")]
REPORTS = ("costs", "designs", "summary", "judge", "setup", "numbers", "provenance", "readme")  # of no single domain


def load(params: Path = paths.PARAMS, domain: str | None = None, cell: tuple[str, str, float | None] | None = None):  # noqa: ANN201 - slow to import
    """params.yaml (polychromic.params.Params); with a cell, a pair of it and the cell that (split, method, --lam) name.

    Raises UsageError: a mistake in the file, metrics included, a domain or a cell that it does not have. Metrics are slow to import and
    come last.
    """
    from polychromic.params import load_params

    values = load_params(params)
    if domain is not None and domain not in values.domains:
        raise UsageError(f"domain {domain!r} is not in `domains:` of {params}. Allowed: {', '.join(values.domains)}.")
    found = values.cell(domain, *cell) if cell else None
    from polychromic.score.metrics import check_metrics

    check_metrics(values)
    return (values, found) if cell else values


def _opened(values, domain: str, split: Split | None) -> None:  # noqa: ANN001 - Params, which is slow to import
    """Raises UsageError: test of a domain for which params.yaml declares nothing."""
    if split is Split.test:
        values.test_plan(domain)


@stage_app.command()
def split(domain: DomainArgument) -> None:
    """Assign each record of a domain to train, dev or test: grouped, stratified, checked."""
    from polychromic.data import split as splitting

    values = load(domain=domain)
    splitting.run(domain, values.domain(domain).sizes.model_dump(), values.split.seed, values.split.tolerance)


@stage_app.command()
def norms(domain: DomainArgument) -> None:
    """What people's replies to training prompts say, before any method is trained: how alike two of them are, and the like."""
    values = load(domain=domain)
    from polychromic.score.norms import write_norms

    found = write_norms(values, domain)["training"]
    print(", ".join(f"{name} {value}" for name, value in found.items() if isinstance(value, float)))


@stage_app.command()
def sample(
    domain: DomainArgument,
    method: Annotated[str, typer.Argument(help="A method of params.yaml, such as lora.")],
    split: SplitOption,
    lam: Lam = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default: the tracked results/ folder of the cell.")] = None,
    params: ParamsOption = paths.PARAMS,
) -> None:
    """A cell: train a method with every seed (if it trains) and sample the prompts of a split."""
    from polychromic.base.locks import die_with_parent, single_writer

    # another file's cell must not write where the pipeline's results are
    if out is None and paths.real(params) != paths.real(paths.PARAMS):
        raise UsageError(f"--params {params} would write into the tracked results/. Allowed: {paths.PARAMS}. Add --out FOLDER.")
    values, cell = load(params, domain, (split, method, lam))
    folder = check_place(out or paths.cell_dir(domain, split, cell.name))
    die_with_parent()
    from polychromic.sample.cells import sample_cell

    with single_writer(folder):
        sample_cell(values, domain, split, cell, folder)


@stage_app.command()
def score(domain: DomainArgument, split: SplitOption) -> None:
    """Compute every metric of the domain per prompt of a split, for the systems that params.yaml gives it."""
    values = load(domain=domain)
    _opened(values, domain, split)
    from polychromic.score.score import score as run

    run(values, domain, split)


@stage_app.command()
def compare(domain: DomainArgument, split: SplitOption) -> None:
    """Choose on dev, and test the declared contrasts; on calibration, put drafts beside people."""
    values = load(domain=domain)
    _opened(values, domain, split)
    if split is Split.calibration:
        from polychromic.compare.people import compare_people

        compare_people(values, domain)
        return
    from polychromic.compare.compare import compare as run

    run(values, domain, split)


@stage_app.command()
def report(
    what: Annotated[str, typer.Argument(help=f"A domain, with --split; or one of {', '.join(REPORTS)}.")],
    split: Annotated[Split | None, typer.Option("--split", help="With a domain: which split its tables and figures are about.")] = None,
) -> None:
    """Write the paper's tables and figures of a domain, or what is about no single one."""
    values = load()
    if what not in (*values.domains, *REPORTS):
        raise UsageError(f"report {what!r} does not exist. Allowed: {', '.join([*values.domains, *REPORTS])}.")
    if (what in values.domains) != (split is not None):
        rest = "needs --split, one of " + ", ".join(paths.SPLITS) if split is None else "takes no --split; leave it out"
        raise UsageError(f"report {what} {rest}.")
    _opened(values, what, split)
    if what == "provenance":
        from polychromic.provenance import appendix

        appendix.write(Path("."))
        return
    from polychromic.report.build import build
    from polychromic.report.paper import write_readme

    if what == "readme":
        print(write_readme())
    else:
        build(values, what, split)


@stage_app.command()
def examples(domain: DomainArgument) -> None:
    """Write the paper's tables of drafts side by side."""
    values = load(domain=domain)
    from polychromic.report.examples import build_examples

    build_examples(values, domain)


@stage_app.command()
def drafts(
    domain: DomainArgument,
    split: Annotated[Split | None, typer.Option("--split", help="dev or test alone; default: both, as far as the domain has them.")] = None,
) -> None:
    """Keep the drafts of some prompts, with validity and near-duplicates, for the page to explore."""
    values = load(domain=domain)
    if split is Split.calibration:
        raise UsageError("drafts has no --split calibration, on which there are no fronts. Allowed: dev, test. Name one of them.")
    from polychromic.explore.drafts import write_drafts

    for one in [split] if split else [one for one in ("dev", "test") if values.cells(domain, one)]:
        print(write_drafts(values, domain, one))


@stage_app.command()
def explore(
    domains: Annotated[list[str] | None, typer.Option("--domain", help="With --out: only this domain; repeatable.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help=f"File to write, which names the commit; default: {paths.EXPLORER}.")] = None,
) -> None:
    """Write one HTML page to explore: fronts, the drafts behind each point side by side, and where each number is from."""
    if domains and out is None:
        raise UsageError(f"explore --domain would leave the other domains out of {paths.EXPLORER}. Add --out FILE, or leave it out.")
    check_file(out, "my-explorer.html")
    values = load()
    if unknown := [domain for domain in domains or () if domain not in values.domains]:
        raise UsageError(f"domain {unknown[0]!r} is not in `domains:` of {paths.PARAMS}. Allowed: {', '.join(values.domains)}.")
    from polychromic.explore import page
    from polychromic.provenance.commit import current

    document, notes = page.explore(values, list(dict.fromkeys(domains or values.domains)))
    for note in notes:
        errors.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    print(page.write(out or paths.EXPLORER, document, current().name if out else ""))


@stage_app.command()
def paper() -> None:
    """Compile paper/main.tex to paper/main.pdf with latexmk."""
    from polychromic.report.paper import compile_paper

    compile_paper(paths.PAPER, paths.PAPER / "main.pdf", paths.NUMBERS)


@stage_app.command()
def pipeline(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail where dvc.yaml is not what would be printed.")] = False,
) -> None:
    """Print dvc.yaml from params.yaml, the imports of the code and what the paper reads."""
    from polychromic.base.io import write_text
    from polychromic.pipeline.stages import PIPELINE, to_yaml

    text = to_yaml(Path("."))
    same = PIPELINE.exists() and PIPELINE.read_text(encoding="utf-8") == text
    if check and not same:
        raise PolychromicError(f"{PIPELINE} is not what params.yaml, the code and paper/main.tex make it. Run `polychromic pipeline`.")
    if not check:
        write_text(PIPELINE, text)
    print(f"{PIPELINE}: {'as it was' if same else 'written'}")


@stage_app.command("open-test")
def open_test(
    domains: Annotated[list[str] | None, typer.Argument(help="Domains of `analysis.test`; all of them where none is named.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=1000, help="Processes that share the machine, 2 to 4 GB each; on a GPU about six.")] = 2,
) -> None:
    """Sample and score test for all declared systems at once, as the stages do one by one; `dvc repro` then records it."""
    values = load()
    opened = domains or [domain for domain in values.domains if values.cells(domain, "test")]
    for domain in opened or values.domains:  # where nothing is declared, the first one says so
        values.test_plan(domain)
    from polychromic.pipeline.run import open_test as run

    run(values, opened, jobs)
