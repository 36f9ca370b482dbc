"""The opening of test, stage by stage. Parse, call one function, print."""

from __future__ import annotations

from typing import Annotated

import typer

test_app = typer.Typer()

Domain = Annotated[str, typer.Argument(help="A domain of `analysis.test` in params.yaml, such as listqa.")]


@test_app.command("sample-test")
def sample_test(domain: Domain, system: Annotated[str, typer.Argument(help="One of its systems, such as lora.")]) -> None:
    """Sample test with a system that was declared for it. Opens test: refused unless `analysis:` is committed as it stands."""
    from polychromic.base.locks import die_with_parent, single_writer
    from polychromic.params import load_params

    values = load_params()
    die_with_parent()
    from polychromic.sample.opening import sample_test as run
    from polychromic.sample.opening import samples_file

    with single_writer(samples_file(values, domain, system)):
        run(values, domain, system)


@test_app.command("score-test")
def score_test(domain: Domain) -> None:
    """Compute every metric of the domain per test prompt, for the declared systems."""
    from polychromic.params import load_params
    from polychromic.sample.opening import score_test as run

    run(load_params(), domain)


@test_app.command("open-test")
def open_test(
    domains: Annotated[list[str] | None, typer.Argument(help="Domains of `analysis.test`; all of params.yaml where none is named.")] = None,
    jobs: Annotated[int, typer.Option(help="Processes that share the machine; on a GPU about six.")] = 2,
) -> None:
    """Sample and score test for all declared systems at once, as the stages of dvc.yaml do one by one; `dvc repro` then records it."""
    from polychromic.params import load_params

    values = load_params()
    from polychromic.pipeline.parallel import open_test as run

    run(values, domains or values.domains, jobs)


@test_app.command("compare-test")
def compare_test(domain: Domain) -> None:
    """Test the contrasts that were declared for test."""
    from polychromic.compare.confirmation import compare_test as run
    from polychromic.params import load_params

    run(load_params(), domain)


@test_app.command("report-test")
def report_test(domain: Domain) -> None:
    """Write the paper's table, figure and numbers about test."""
    from polychromic.report.build import build_test

    build_test(domain)
