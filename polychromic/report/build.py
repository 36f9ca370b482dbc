"""The report stages: from results/ and benchmarks/results/ to the paper's tables, figures and numbers. No torch, no statistics.

Each stage has one function here, and `outs` says what it writes without running it. Everything is computed before the first byte is
written, so an error leaves the old files as they were: PolychromicError where a file is missing (it names the command that makes it),
lacks what the paper states or was made from other choices, DataError where a field is missing or malformed. The functions return the
files written, sorted. Examples are polychromic.report.examples, the appendix is polychromic.provenance.appendix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polychromic.base import paths
from polychromic.base.errors import UsageError
from polychromic.base.io import write_json, write_text

if TYPE_CHECKING:  # drawing takes a second, which whoever asks for `outs` has not
    from matplotlib.figure import Figure

    from polychromic.params import Params

BENCHMARKS = Path("benchmarks/results")
OUTS = {  # stage, or split of stage report -> files under paper/; {} is the domain
    "dev": ("tables/{}-systems.tex", "tables/{}-systems.md", "tables/{}-metrics.tex", "tables/{}-peers.tex", "tables/{}-contrasts.tex",
            "tables/{}-lambda.tex", "tables/{}-tries.tex", "figures/{}-frontier.pdf", "figures/{}-frontier.svg", "figures/{}-passk.pdf",
            "figures/{}-lambda.pdf", "figures/{}-training.pdf", "figures/{}-cover.pdf", "figures/{}-forest.pdf",
            "figures/{}-differences.pdf"),
    "test": ("tables/{}-test.tex", "tables/{}-test.md", "tables/{}-test-contrasts.tex", "figures/{}-test-frontier.pdf",
             "figures/{}-test-frontier.svg", "figures/{}-test-gains.pdf"),
    "calibration": ("tables/people.tex", "figures/people.pdf"),
    "examples": ("tables/{}-samples.tex", "tables/{}-lambda-samples.tex"),
    "costs": ("tables/cost.tex", "tables/sampler.tex", "tables/gradient-variance.tex", "figures/cost-gain.pdf"),
    "designs": ("tables/designs.tex",),
    "summary": ("tables/summary.tex",),
    "setup": ("tables/setup.tex", "tables/definitions.tex"),
    "numbers": ("numbers.tex",),
}  # fmt: skip


def outs(what: str, domain: str | None = None, split: str | None = None) -> list[str]:
    """The paths, relative to the workspace, that a stage writes.

    Args:
        what: "report" (of a domain and a split), "examples" (of a domain), "costs", "designs", "summary", "setup" or "numbers".

    Raises:
        UsageError: there is no such stage.
    """
    allowed = paths.SPLITS if what == "report" else [name for name in OUTS if name not in paths.SPLITS]
    if (key := split if what == "report" else what) not in allowed:
        raise UsageError(f"report: {key!r} does not exist. Allowed: {', '.join(allowed)}.")
    made = [(paths.PAPER / name.format(domain)).as_posix() for name in OUTS[key]]
    return [*made, paths.NUMBERS.as_posix()] if what == "numbers" else made


def build(
    domain: str, split: str, results_dir: Path = paths.RESULTS, paper_dir: Path = paths.PAPER, benchmarks: Path = BENCHMARKS
) -> list[Path]:
    """Stage `report` of a domain's split: dev, test, or calibration (drafts beside people).

    Args:
        benchmarks: folder that may hold step_cost-{domain}.json; without it dev's table of peers has no costs.
    """
    wanted = outs("report", domain, split)
    from polychromic.report import differences, figures, people, points, results, tables, timings

    if split == "calibration":
        found = people.load(domain, results_dir)
        return _write(paper_dir, wanted, {"people.tex": people.people_table(found), "people.pdf": people.people_figure(found)})
    compare = results.load(domain, split, results_dir)
    drawn = figures.frontier(*points.frontier_curves(compare), compare.quality, compare.primary)
    if split == "test":
        made = {
            "test.tex": tables.test_table(compare),
            "test.md": tables.markdown(compare),
            "test-contrasts.tex": tables.contrasts_table(compare),
            "test-frontier.pdf": drawn,
            "test-frontier.svg": drawn,
            "test-gains.pdf": differences.gains(points.gain_rows(compare), compare.primary),
        }
    else:
        cost_file = benchmarks / f"step_cost-{domain}.json"
        cost = timings.load(timings.StepCost, cost_file) if cost_file.exists() else None
        made = {
            "systems.tex": tables.systems_table(compare),
            "systems.md": tables.markdown(compare),
            "metrics.tex": tables.metrics_table(compare),
            "peers.tex": tables.peers_table(compare, cost),
            "contrasts.tex": tables.contrasts_table(compare),
            "lambda.tex": tables.lambda_table(compare),
            "tries.tex": tables.tries_table(compare),
            "frontier.pdf": drawn,
            "frontier.svg": drawn,
            "passk.pdf": figures.passk(points.passk_curves(compare)),
            "lambda.pdf": figures.ablation(points.lambda_panels(compare), compare.selection.grid.headline),
            "training.pdf": figures.training(points.training_panels(compare)),
            "cover.pdf": figures.cover(points.pass_rates(compare)),
            "forest.pdf": differences.forest(points.forest_rows(compare)),
            "differences.pdf": points.headline_differences(compare),
        }
    return _write(paper_dir, wanted, {f"{domain}-{name}": content for name, content in made.items()})


def build_costs(
    domains: Sequence[str], results_dir: Path = paths.RESULTS, paper_dir: Path = paths.PAPER, benchmarks: Path = BENCHMARKS
) -> list[Path]:
    """Stage `costs`: what training costs, and what the first domain gains for it."""
    from polychromic.report import cost_tables, figures, points, results, timings

    cost = timings.load(timings.StepCost, benchmarks / f"step_cost-{domains[0]}.json")
    compare = results.load(domains[0], "dev", results_dir)
    made = {
        "cost.tex": cost_tables.cost_table(cost, compare),
        "sampler.tex": cost_tables.sampler_table(timings.load(timings.Sampler, benchmarks / "sampler.json")),
        "gradient-variance.tex": cost_tables.variance_table(timings.load(timings.GradientVariance, benchmarks / "gradient_variance.json")),
        "cost-gain.pdf": figures.cost_gain(points.cost_points(cost, compare), compare.primary),
    }
    return _write(paper_dir, outs("costs"), made)


def build_designs(paper_dir: Path = paths.PAPER, benchmarks: Path = BENCHMARKS) -> list[Path]:
    """Stage `designs`: whether the intervals are right."""
    from polychromic.report import cost_tables, timings

    found = timings.load(timings.Designs, benchmarks / "calibration.json")
    return _write(paper_dir, outs("designs"), {"designs.tex": cost_tables.designs_table(found)})


def build_summary(domains: Sequence[str], results_dir: Path = paths.RESULTS, paper_dir: Path = paths.PAPER) -> list[Path]:
    """Stage `summary`: all domains together, on test."""
    from polychromic.report import results, tables

    compares = [results.load(domain, "test", results_dir) for domain in domains]
    return _write(paper_dir, outs("summary"), {"summary.tex": tables.summary_table(compares)})


def build_setup(params: Mapping[str, Any], paper_dir: Path = paths.PAPER) -> list[Path]:
    """Stage `setup`: every value of params.yaml, and what the metrics in use are. params: as params.yaml spells it."""
    from polychromic.report import setup_table

    made = {"setup.tex": setup_table.setup_table(params), "definitions.tex": setup_table.definitions_table(params)}
    return _write(paper_dir, outs("setup"), made)


def build_numbers(
    params: Params | Mapping[str, Any], results_dir: Path = paths.RESULTS, paper_dir: Path = paths.PAPER, benchmarks: Path = BENCHMARKS
) -> list[Path]:
    """Stage `numbers`: paper/numbers.tex, the macros that the manuscript asks for, and results/numbers.json.gz, their records and those
    of their intervals.

    Raises:
        PolychromicError: beside what the module says, the manuscript asks for a key that nothing makes.
    """
    from polychromic.report import numbers, records

    spelled = params if isinstance(params, Mapping) else params.model_dump(mode="json", by_alias=True)
    printed, kept = numbers.asked(records.uses(paper_dir), numbers.Inputs(spelled, results_dir, benchmarks))
    record_file = results_dir / paths.NUMBERS.name
    write_json(record_file, records.to_json(kept))
    return sorted([record_file, *_write(paper_dir, outs("numbers")[:1], {"numbers.tex": records.to_latex(printed)})])


def _write(paper_dir: Path, wanted: Sequence[str], made: Mapping[str, str | Figure]) -> list[Path]:
    """Each wanted path with what was made under its name. Returns where they lie, sorted."""
    placed = {paper_dir / Path(path).relative_to(paths.PAPER): made[Path(path).name] for path in wanted}
    for path, content in placed.items():
        if isinstance(content, str):
            write_text(path, content)
        else:
            from polychromic.report.style import save

            save(content, path)
    return sorted(placed)
