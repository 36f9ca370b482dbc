"""The report stages: from results/{domain}/{select,compare}.json to tables, figures and numbers. No torch, no statistics.

`build` is stage report@{domain}; `build_setup` writes what comes from params.yaml alone. Both read single named files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polychromic import paths
from polychromic.errors import PolychromicError
from polychromic.io import write_json, write_text
from polychromic.report import figures, numbers, results, tables
from polychromic.report.figures import Curves, Point
from polychromic.report.results import Compare, Estimate


def build(domain: str, results_dir: Path = paths.RESULTS, paper_dir: Path = paths.PAPER) -> list[Path]:
    """Write a domain's tables, figures and numbers.

    Everything is computed before the first byte is written, so an error leaves the old files as they were.

    Returns:
        The files written, sorted: paper/tables/{domain}-{systems,contrasts,lambda}.tex and -systems.md (for the README),
        paper/figures/{domain}-{frontier,passk,lambda,training}.pdf and -frontier.svg, paper/numbers/{domain}.tex,
        results/{domain}/numbers.json.

    Raises:
        PolychromicError: compare.json lacks what the paper states, or disagrees with select.json.
        DataError: a field is missing or malformed.
    """
    compare = results.load(domain, results_dir)
    records = numbers.domain_numbers(compare)
    texts = {
        paper_dir / "tables" / f"{domain}-systems.tex": tables.systems_table(compare),
        paper_dir / "tables" / f"{domain}-contrasts.tex": tables.contrasts_table(compare),
        paper_dir / "tables" / f"{domain}-lambda.tex": tables.lambda_table(compare),
        paper_dir / "tables" / f"{domain}-systems.md": tables.systems_markdown(compare),
        paper_dir / "numbers" / f"{domain}.tex": numbers.to_latex(records),
    }
    ablation = lambda_panels(compare)
    drawings = {
        paper_dir / "figures" / f"{domain}-frontier.pdf": figures.frontier(frontier_curves(compare), compare.quality, compare.primary),
        paper_dir / "figures" / f"{domain}-frontier.svg": figures.frontier(frontier_curves(compare), compare.quality, compare.primary),
        paper_dir / "figures" / f"{domain}-passk.pdf": figures.passk(passk_curves(compare), human_rates(compare)),
        paper_dir / "figures" / f"{domain}-lambda.pdf": figures.ablation(ablation, compare.chosen(compare.headline).lam or 0.0),
        paper_dir / "figures" / f"{domain}-training.pdf": figures.training(training_panels(compare)),
    }
    for path, text in texts.items():
        write_text(path, text)
    for path, figure in drawings.items():
        figures.save(figure, path)
    record_file = results_dir / domain / "numbers.json"
    write_json(record_file, numbers.to_json(records))
    return sorted([*texts, *drawings, record_file])


def build_setup(params: Mapping[str, Any], paper_dir: Path = paths.PAPER) -> list[Path]:
    """Write paper/numbers/setup.tex and paper/tables/setup.tex: every value of params.yaml as "setup.<dotted key>"."""
    texts = {
        paper_dir / "numbers" / "setup.tex": numbers.to_latex(numbers.setup_numbers(params)),
        paper_dir / "tables" / "setup.tex": tables.setup_table(params),
    }
    for path, text in texts.items():
        write_text(path, text)
    return sorted(texts)


def frontier_curves(compare: Compare) -> Curves:
    """Per method, one point per temperature, ascending."""
    curves: Curves = {}
    for label in compare.main_labels():
        rows = sorted((s for s in compare.systems if s.label == label), key=lambda s: s.temperature)
        curves[label] = [_point(s.metrics[compare.quality], s.metrics[compare.primary], f"{s.temperature:g}") for s in rows]
    return curves


def passk_curves(compare: Compare) -> Curves:
    """Per method, pass@k over the k that compare.json has, at the chosen temperature."""
    curves: Curves = {}
    for label in compare.main_labels():
        metrics = compare.chosen(label).metrics
        ks = sorted(int(name.removeprefix("pass@")) for name in metrics if name.startswith("pass@"))
        curves[label] = [_at(k, metrics[f"pass@{k}"]) for k in ks]
    return curves


def human_rates(compare: Compare) -> dict[str, float]:
    """Where a draft passes by matching a person: pass@10 of human replies to the same prompt and to others; else empty."""
    calibration = compare.calibration or {}
    return {
        f"humans, {name}": calibration[key] for key, name in (("ceiling", "same prompt"), ("floor", "other prompts")) if key in calibration
    }


def lambda_panels(compare: Compare) -> list[tuple[str, list[Point]]]:
    """(metric, points) for the primary metric, the quality metric and semantic diversity; λ = 0 is `lora`."""
    rows = compare.lambda_rows()
    names = dict.fromkeys([compare.primary, compare.quality, "semantic_diversity"])
    return [(name, [_at(0.0 if row.label == "lora" else row.lam or 0.0, row.metrics[name]) for row in rows]) for name in names]


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


def _point(x: Estimate, y: Estimate, note: str) -> Point:
    return Point(x.mean, y.mean, y.low, y.high, x.low, x.high, note)


def _at(x: float, y: Estimate) -> Point:
    return Point(x, y.mean, y.low, y.high)
