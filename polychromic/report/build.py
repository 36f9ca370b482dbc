"""The report stages: from results/{domain}/{select,compare}.json to tables, figures and numbers. No torch, no statistics.

`build` is stage report@{domain}; `build_summary`, `build_costs`, `build_people`, `build_designs` and `build_setup` are the stages of these
names. All read single named files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from polychromic import paths
from polychromic.errors import PolychromicError
from polychromic.io import write_json, write_text
from polychromic.report import (
    cost_numbers,
    costs,
    designs,
    distributions,
    figures,
    labels,
    numbers,
    people,
    records,
    results,
    summary,
    tables,
)
from polychromic.report.figures import Curves, Panel, Point
from polychromic.report.results import Compare, Estimate

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
        results/{domain}/numbers.json.

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
    main, others = frontier_curves(compare)
    frontier = figures.frontier(main, others, compare.quality, compare.primary)
    drawings = {
        paper_dir / "figures" / f"{domain}-frontier.pdf": frontier,
        paper_dir / "figures" / f"{domain}-frontier.svg": frontier,
        paper_dir / "figures" / f"{domain}-passk.pdf": figures.passk(passk_curves(compare)),
        paper_dir / "figures" / f"{domain}-lambda.pdf": figures.ablation(lambda_panels(compare), compare.selection.grid.headline),
        paper_dir / "figures" / f"{domain}-training.pdf": figures.training(training_panels(compare)),
        paper_dir / "figures" / f"{domain}-cover.pdf": distributions.cover(pass_rates(compare)),
        paper_dir / "figures" / f"{domain}-forest.pdf": distributions.forest(effects(compare)),
        paper_dir / "figures" / f"{domain}-differences.pdf": headline_differences(compare),
    }
    return _write(texts, drawings, found, results_dir / domain / "numbers.json")


def build_costs(domain: str, results_dir: Path = paths.RESULTS, paper_dir: Path = paths.PAPER, benchmarks: Path = BENCHMARKS) -> list[Path]:
    """Write what training costs, and what `domain` gains for it.

    Returns:
        The files written, sorted: paper/tables/{cost,sampler,gradient-variance}.tex, paper/figures/cost-gain.pdf,
        paper/numbers/cost.tex, results/costs/numbers.json.

    Raises:
        PolychromicError: a file of benchmarks/results/ is missing (names `make bench`).
        DataError: a field is missing or malformed.
    """
    cost = costs.load(costs.StepCost, benchmarks / f"step_cost-{domain}.json")
    sampler = costs.load(costs.Sampler, benchmarks / "sampler.json")
    variance = costs.load(costs.GradientVariance, benchmarks / "gradient_variance.json")
    compare = results.load(domain, results_dir)
    found = cost_numbers.cost_numbers(cost, sampler, variance, compare.headline)
    texts = {
        paper_dir / "tables" / "cost.tex": costs.cost_table(cost, compare),
        paper_dir / "tables" / "sampler.tex": costs.sampler_table(sampler),
        paper_dir / "tables" / "gradient-variance.tex": costs.variance_table(variance),
        paper_dir / "numbers" / "cost.tex": records.to_latex(found),
    }
    drawings = {paper_dir / "figures" / "cost-gain.pdf": figures.cost_gain(gain_points(cost, compare), compare.primary)}
    return _write(texts, drawings, found, results_dir / "costs" / "numbers.json")


def build_people(domain: str, results_dir: Path = paths.RESULTS, paper_dir: Path = paths.PAPER) -> list[Path]:
    """Write drafts beside people: paper/tables/people.tex, paper/figures/people.pdf, paper/numbers/people.tex, results/people/numbers.json.

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
    return _write(texts, drawings, found, results_dir / "people" / "numbers.json")


def build_designs(results_dir: Path = paths.RESULTS, paper_dir: Path = paths.PAPER, benchmarks: Path = BENCHMARKS) -> list[Path]:
    """Write whether the intervals are right: paper/tables/designs.tex, paper/numbers/designs.tex, results/designs/numbers.json.

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
    return _write(texts, {}, found, results_dir / "designs" / "numbers.json")


def build_summary(domains: Sequence[str], results_dir: Path = paths.RESULTS, paper_dir: Path = paths.PAPER) -> list[Path]:
    """Write all domains together: paper/tables/summary.tex, paper/numbers/summary.tex, results/summary/numbers.json.

    Raises:
        PolychromicError: a domain's compare.json is missing, or lacks the headline's contrast with LoRA.
        DataError: a field is missing or malformed.
    """
    compares = [results.load(domain, results_dir) for domain in domains]
    found = summary.summary_numbers(compares)
    texts = {
        paper_dir / "tables" / "summary.tex": summary.summary_table(compares),
        paper_dir / "numbers" / "summary.tex": records.to_latex(found),
    }
    return _write(texts, {}, found, results_dir / "summary" / "numbers.json")


def _write(texts: Mapping[Path, str], drawings: Mapping[Path, Any], found: list[records.Number], record_file: Path) -> list[Path]:
    for path, text in texts.items():
        write_text(path, text)
    for path, figure in drawings.items():
        figures.save(figure, path)
    write_json(record_file, records.to_json(found))
    return sorted([*texts, *drawings, record_file])


def build_setup(params: Mapping[str, Any], paper_dir: Path = paths.PAPER) -> list[Path]:
    """Write paper/numbers/setup.tex, paper/tables/setup.tex (every value of params.yaml as "setup.<dotted key>") and definitions.tex."""
    texts = {
        paper_dir / "numbers" / "setup.tex": records.to_latex(numbers.setup_numbers(params)),
        paper_dir / "tables" / "setup.tex": tables.setup_table(params),
        paper_dir / "tables" / "definitions.tex": tables.definitions_table(params),
    }
    for path, text in texts.items():
        write_text(path, text)
    return sorted(texts)


def frontier_curves(compare: Compare) -> tuple[Curves, Curves]:
    """(baselines, best peers and the headline; all other methods): per method one point per temperature, ascending."""
    curves: Curves = {}
    for label in compare.method_labels():
        rows = sorted((s for s in compare.systems if s.label == label), key=lambda s: s.temperature)
        curves[label] = [_point(s.metrics[compare.quality], s.metrics[compare.primary], f"{s.temperature:g}") for s in rows]
    main = compare.main_labels()
    return {label: curves[label] for label in main}, {label: points for label, points in curves.items() if label not in main}


def passk_curves(compare: Compare) -> Curves:
    """Per method, pass@k over the k that compare.json has, at the chosen temperature."""
    curves: Curves = {}
    for label in compare.main_labels():
        metrics = compare.chosen(label).metrics
        ks = sorted(int(name.removeprefix("pass@")) for name in metrics if name.startswith("pass@"))
        curves[label] = [_at(k, metrics[f"pass@{k}"]) for k in ks]
    return curves


def pass_rates(compare: Compare) -> dict[str, list[list[float]]]:
    """Label -> share of passing drafts of each seed and prompt, at the chosen temperature."""
    return {label: compare.profiles[label]["pass@1"] for label in compare.main_labels()}


def effects(compare: Compare) -> list[distributions.Effect]:
    """Rows of the forest plot: contrasts of the primary and the quality metric, each side at its chosen temperature; quality apart.

    Of pairs that the primary family is about, and of those among the main systems; the table has the rest.
    """
    rows, main = [], set(compare.main_labels())
    declared = {(c.a, c.b) for c in compare.contrasts if c.family == "primary"}
    for name, family in (
        (compare.primary, f"{labels.metric(compare.primary).label}"),
        (compare.quality, labels.metric(compare.quality).label),
    ):
        for c in compare.contrasts:
            if (c.metric, c.rule) == (name, "chosen") and ((c.a, c.b) in declared or {c.a, c.b} <= main):
                pair = f"{labels.system_name(c.a, math=False)} \u2212 {labels.system_name(c.b, math=False)}"
                rows.append(distributions.Effect.scaled(pair, c.delta, c.low, c.high, c.d_z, family))
    return [row for row in rows if row is not None]


def headline_differences(compare: Compare) -> Figure:
    """The headline minus LoRA on the primary metric, prompt by prompt."""
    contrast = compare.contrast(compare.headline, "lora", compare.primary, ["chosen"])
    ours, theirs = (np.mean(compare.profiles[label][compare.primary], axis=0) for label in (contrast.a, contrast.b))
    return distributions.differences(ours - theirs, (contrast.low, contrast.high), compare.primary, contrast.a, contrast.b)


def lambda_panels(compare: Compare) -> list[Panel]:
    """What λ does: D at temperature 1 (where sampled), the primary and the quality metric at one temperature, with intervals over
    prompts; validation cross-entropy, KL to the base model and reply length of the development set, with the range over seeds.
    """
    panels = []
    policy = {s.label: s for s in compare.systems if s.temperature == 1}
    grid = compare.selection.grid.rows
    if all(weight.label in policy for weight in grid):
        points = [_at(weight.lam, policy[weight.label].metrics["objective"]) for weight in grid]
        panels.append(Panel("$D$ at $T=1$ \u2191", points))
    shared = {row.label: row for row in compare.lambda_rows()}
    for name in (compare.primary, compare.quality):
        points = [_at(weight.lam, shared[weight.label].metrics[name]) for weight in grid]
        panels.append(Panel(labels.title(name), points, labels.metric(name).percent))
    fields = {"validation_ce": "validation CE (nats) \u2193", "kl_to_base": "KL to base (nats)", "reply_tokens": "reply tokens"}
    for field, title in fields.items():
        points = [Point(w.lam, getattr(w, field), min(w.by_seed[field]), max(w.by_seed[field])) for w in grid]
        panels.append(Panel(title, points))
    return panels


def gain_points(cost: costs.StepCost, compare: Compare) -> dict[str, tuple[Point, bool]]:
    """Label -> (x: training cost relative to the plain trainer, y: primary metric at the chosen temperature; whether it is ours).

    Left out: methods that train as another one does and differ in decoding or rate alone. Ours are those that differ in their
    rollouts, which a line joins; ours with more steps or a pool of samples beside are points like any other.
    """
    points = {}
    for label, x in costs.relative(cost, compare).items():
        about = compare.methods[label]
        if about.trains_like == label or about.budget != 1:
            timed_alone = cost.variants[about.trains_like].part_seconds is not None
            joined = about.ours and about.budget == 1 and timed_alone
            points[label] = (_point(x, compare.chosen(label).metrics[compare.primary], ""), joined)
    return points


def training_panels(compare: Compare) -> list[tuple[str, dict[str, list[tuple[int, float]]]]]:
    """The set objective and the cross-entropy against the step, for the methods that have them.

    Raises:
        PolychromicError: no history holds the quantity.
    """
    panels = []
    for title, field in (("set objective $f$ (on-policy estimate)", "objective_mean"), ("cross-entropy of the batch", "ce_mean")):
        curves = {}
        for label in compare.main_labels():
            steps = [(row.step, getattr(row, field)) for row in compare.histories.get(label, ())]
            if points := [(step, value) for step, value in steps if value is not None]:
                curves[label] = points
        if not curves:
            raise PolychromicError(
                f"compare.json of {compare.domain}: no history has {field}. Allowed: step, objective_mean, ce_mean. Run `dvc repro`."
            )
        panels.append((title, curves))
    return panels


def _point(x: Estimate | costs.Relative, y: Estimate, note: str) -> Point:
    return Point(x.mean, y.mean, y.low, y.high, x.low, x.high, note)


def _at(x: float, y: Estimate) -> Point:
    return Point(x, y.mean, y.low, y.high)
