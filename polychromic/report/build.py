"""The report stages: from results/{domain}/{select,compare,test}.json to tables, figures and numbers. No torch, no statistics.

`build` is stage report@{domain}, `build_test` report_test@{domain}; `build_summary`, `build_costs`, `build_people`, `build_designs`,
`build_setup` and `build_provenance` are the stages of these names. All read single named files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import write_json, write_text
from polychromic.provenance import appendix
from polychromic.report import (
    compute,
    confirmation,
    cost_numbers,
    costs,
    curves,
    designs,
    distributions,
    figures,
    numbers,
    people,
    records,
    results,
    setup_table,
    summary,
    tables,
)

BENCHMARKS = Path("benchmarks/results")


def build(domain: str, results_dir: Path = paths.RESULTS, paper_dir: Path = paths.PAPER, benchmarks: Path = BENCHMARKS) -> list[Path]:
    """Write a domain's tables, figures and numbers.

    Everything is computed before the first byte is written, so an error leaves the old files as they were.

    Args:
        benchmarks: folder that may hold step_cost-{domain}.json; without it the table of peers has no costs.

    Returns:
        The files written, sorted: paper/tables/{domain}-{systems,metrics,peers,lambda,tries,contrasts}.tex and -systems.md (for the
        README), paper/figures/{domain}-{frontier,passk,lambda,training,cover,forest,differences}.pdf and -frontier.svg,
        paper/numbers/{domain}.tex,
        results/{domain}/numbers.json.gz.

    Raises:
        PolychromicError: compare.json lacks what the paper states, or was made from another select.json.
        DataError: a field is missing or malformed.
    """
    compare = results.load(domain, results_dir)
    cost_file = benchmarks / f"step_cost-{domain}.json"
    cost = costs.load(costs.StepCost, cost_file) if cost_file.exists() else None
    found = numbers.domain_numbers(compare)
    if cost is not None:
        spent = cost_numbers.headline_numbers(cost, compare.headline, f"{domain}.cost")
        found = records.unique([*found, *spent, *cost_numbers.equal_cost_numbers(cost, compare)])
    texts = {
        paper_dir / "tables" / f"{domain}-systems.tex": tables.systems_table(compare),
        paper_dir / "tables" / f"{domain}-metrics.tex": tables.metrics_table(compare),
        paper_dir / "tables" / f"{domain}-peers.tex": tables.peers_table(compare, cost),
        paper_dir / "tables" / f"{domain}-contrasts.tex": tables.contrasts_table(compare),
        paper_dir / "tables" / f"{domain}-lambda.tex": tables.lambda_table(compare),
        paper_dir / "tables" / f"{domain}-tries.tex": tables.tries_table(compare),
        paper_dir / "tables" / f"{domain}-systems.md": tables.systems_markdown(compare),
        paper_dir / "numbers" / f"{domain}.tex": records.to_latex(found),
    }
    main, others = curves.frontier_curves(compare)
    frontier = figures.frontier(main, others, compare.quality, compare.primary)
    drawings = {
        paper_dir / "figures" / f"{domain}-frontier.pdf": frontier,
        paper_dir / "figures" / f"{domain}-frontier.svg": frontier,
        paper_dir / "figures" / f"{domain}-passk.pdf": figures.passk(curves.passk_curves(compare)),
        paper_dir / "figures" / f"{domain}-lambda.pdf": figures.ablation(curves.lambda_panels(compare), compare.selection.grid.headline),
        paper_dir / "figures" / f"{domain}-training.pdf": figures.training(curves.training_panels(compare)),
        paper_dir / "figures" / f"{domain}-cover.pdf": distributions.cover(curves.pass_rates(compare)),
        paper_dir / "figures" / f"{domain}-forest.pdf": distributions.forest(curves.effects(compare)),
        paper_dir / "figures" / f"{domain}-differences.pdf": curves.headline_differences(compare),
    }
    return _write(texts, drawings, found, results_dir / domain / "numbers.json.gz")


def build_costs(
    domains: Sequence[str], results_dir: Path = paths.RESULTS, paper_dir: Path = paths.PAPER, benchmarks: Path = BENCHMARKS
) -> list[Path]:
    """Write what training costs, what the first domain gains for it, and what the results of all of them took.

    Returns:
        The files written, sorted: paper/tables/{cost,sampler,gradient-variance}.tex, paper/figures/cost-gain.pdf,
        paper/numbers/cost.tex, results/costs/numbers.json.gz.

    Raises:
        PolychromicError: a file of benchmarks/results/ is missing (names `make bench`).
        DataError: a field is missing or malformed.
    """
    steps = {domain: costs.load(costs.StepCost, benchmarks / f"step_cost-{domain}.json") for domain in domains}
    sampler = costs.load(costs.Sampler, benchmarks / "sampler.json")
    variance = costs.load(costs.GradientVariance, benchmarks / "gradient_variance.json")
    compares = [results.load(domain, results_dir) for domain in domains]
    compare, cost = compares[0], steps[domains[0]]
    found = cost_numbers.cost_numbers(cost, sampler, variance, compare.headline)
    found = records.unique([*found, *compute.compute_numbers(compares, steps)])
    texts = {
        paper_dir / "tables" / "cost.tex": costs.cost_table(cost, compare),
        paper_dir / "tables" / "sampler.tex": costs.sampler_table(sampler),
        paper_dir / "tables" / "gradient-variance.tex": costs.variance_table(variance),
        paper_dir / "numbers" / "cost.tex": records.to_latex(found),
    }
    drawings = {paper_dir / "figures" / "cost-gain.pdf": figures.cost_gain(curves.gain_points(cost, compare), compare.primary)}
    return _write(texts, drawings, found, results_dir / "costs" / "numbers.json.gz")


def build_test(domain: str, results_dir: Path = paths.RESULTS, paper_dir: Path = paths.PAPER) -> list[Path]:
    """Write what test says of a domain: paper/tables/{domain}-test{,-contrasts}.tex and -test.md (for the README),
    paper/figures/{domain}-test-{frontier,gains}.pdf and -frontier.svg, paper/numbers/{domain}-test.tex,
    results/{domain}/test-numbers.json.gz.

    Raises:
        PolychromicError: test.json is missing or lacks a contrast that the text states.
        DataError: a field is missing or malformed.
    """
    test = results.parse(results.Confirmation, results_dir / domain / "test.json")
    found = confirmation.test_numbers(test)
    texts = {
        paper_dir / "tables" / f"{domain}-test.tex": confirmation.test_table(test),
        paper_dir / "tables" / f"{domain}-test.md": confirmation.test_markdown(test),
        paper_dir / "tables" / f"{domain}-test-contrasts.tex": tables.contrasts_table(test),
        paper_dir / "numbers" / f"{domain}-test.tex": records.to_latex(found),
    }
    frontier = figures.frontier(*confirmation.test_curves(test), test.quality, test.primary)
    drawings = {
        paper_dir / "figures" / f"{domain}-test-frontier.pdf": frontier,
        paper_dir / "figures" / f"{domain}-test-frontier.svg": frontier,
        paper_dir / "figures" / f"{domain}-test-gains.pdf": distributions.gains(confirmation.gains(test), test.primary),
    }
    return _write(texts, drawings, found, results_dir / domain / "test-numbers.json.gz")


def build_people(domain: str, results_dir: Path = paths.RESULTS, paper_dir: Path = paths.PAPER) -> list[Path]:
    """Write drafts beside people.

    paper/tables/people.tex, paper/figures/people.pdf, paper/numbers/people.tex, results/people/numbers.json.gz.

    Raises:
        PolychromicError: the domain has no person-match, or a file is missing.
        DataError: a field is missing or malformed.
    """
    compare = results.load(domain, results_dir)
    if compare.calibration is None:
        raise PolychromicError(f"compare.json of {domain} has no calibration of the person-match. Allowed: a domain judged by people.")
    openers = results.parse(people.Openers, results_dir / domain / "openers.json")
    found = people.people_numbers(openers, compare)
    texts = {
        paper_dir / "tables" / "people.tex": people.people_table(openers),
        paper_dir / "numbers" / "people.tex": records.to_latex(found),
    }
    drawings = {paper_dir / "figures" / "people.pdf": people.people_figure(openers)}
    return _write(texts, drawings, found, results_dir / "people" / "numbers.json.gz")


def build_designs(results_dir: Path = paths.RESULTS, paper_dir: Path = paths.PAPER, benchmarks: Path = BENCHMARKS) -> list[Path]:
    """Write whether the intervals are right: paper/tables/designs.tex, paper/numbers/designs.tex, results/designs/numbers.json.gz.

    Raises:
        PolychromicError: calibration.json is missing (names `make calibration`).
        DataError: a field is missing or malformed.
    """
    path = benchmarks / "calibration.json"
    if not path.exists():
        raise PolychromicError(f"{path}: file not found. The paper's check of its intervals comes from it; run `make calibration`.")
    document = results.parse(designs.Designs, path)
    found = designs.designs_numbers(document)
    texts = {
        paper_dir / "tables" / "designs.tex": designs.designs_table(document),
        paper_dir / "numbers" / "designs.tex": records.to_latex(found),
    }
    return _write(texts, {}, found, results_dir / "designs" / "numbers.json.gz")


def build_summary(domains: Sequence[str], results_dir: Path = paths.RESULTS, paper_dir: Path = paths.PAPER) -> list[Path]:
    """Write all domains together, on test: paper/tables/summary.tex, paper/numbers/summary.tex, results/summary/numbers.json.gz.

    Raises:
        PolychromicError: a domain's test.json is missing, or lacks the headline's contrast with LoRA.
        DataError: a field is missing or malformed.
    """
    compares = [results.parse(results.Confirmation, results_dir / domain / "test.json") for domain in domains]
    found = summary.summary_numbers(compares)
    texts = {
        paper_dir / "tables" / "summary.tex": summary.summary_table(compares),
        paper_dir / "numbers" / "summary.tex": records.to_latex(found),
    }
    return _write(texts, {}, found, results_dir / "summary" / "numbers.json.gz")


def _write(texts: Mapping[Path, str], drawings: Mapping[Path, Any], found: list[records.Number], record_file: Path) -> list[Path]:
    for path, text in texts.items():
        write_text(path, text)
    for path, figure in drawings.items():
        figures.save(figure, path)
    write_json(record_file, records.to_json(found))
    return sorted([*texts, *drawings, record_file])


def build_setup(params: Mapping[str, Any], results_dir: Path = paths.RESULTS, paper_dir: Path = paths.PAPER) -> list[Path]:
    """Write every value of params.yaml as "setup.<dotted key>", and what the metrics in use are.

    Returns:
        The files written, sorted: paper/tables/{setup,definitions}.tex, paper/numbers/setup.tex, results/setup/numbers.json.gz.
    """
    found = numbers.setup_numbers(params)
    texts = {
        paper_dir / "numbers" / "setup.tex": records.to_latex(found),
        paper_dir / "tables" / "setup.tex": setup_table.setup_table(params),
        paper_dir / "tables" / "definitions.tex": tables.definitions_table(params),
    }
    for path, text in texts.items():
        write_text(path, text)
    record_file = results_dir / "setup" / "numbers.json.gz"
    write_json(record_file, records.to_json(found))
    return sorted([*texts, record_file])


def build_provenance(domains: Sequence[str], root: Path = Path(".")) -> list[Path]:
    """Write paper/tables/provenance-{outputs,sources,numbers}.tex, see polychromic.provenance.appendix.

    Raises:
        PolychromicError: the text prints a record that does not exist, or an input of the pipeline is missing.
        DataError: a file is malformed.
    """
    return appendix.write(root, paths.record_files(domains))
