"""The report stages: from results/ and benchmarks/results/ to the paper's tables, figures and numbers. No torch, no statistics.

`outs` says what a stage writes without running it. Everything is computed before the first byte is written, so an error leaves the old
files as they were: PolychromicError where a file is missing (it names the command that makes it) or lacks what the paper states,
DataError where a field is missing. Examples are polychromic.report.examples, the appendix is polychromic.provenance.appendix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polychromic import report
from polychromic.base import paths
from polychromic.base.errors import UsageError
from polychromic.base.io import together, write_json, write_text
from polychromic.report import judged, measured_tables, results, tables

if TYPE_CHECKING:
    from polychromic.params import Params

# What needs matplotlib or the metrics is named by its package, and imported by `build`: that takes a second, which whoever asks for `outs`
# has not.
fronts = lambda c: report.figures.fronts(c)
spelled = lambda p: p.model_dump(mode="json", by_alias=True)

# Stage, or split of stage report -> file under paper/, where {} is the domain -> what it holds, of the split's compare.json (c) or of
# params.yaml (p). None: another function than `build` writes it.
FILES: Mapping[str, Mapping[str, Callable[[Any], Any] | None]] = {
    "dev": {
        "tables/{}-systems.tex": tables.systems_table,
        "tables/{}-systems.md": tables.markdown,
        "tables/{}-objectives.tex": tables.objectives_table,
        "tables/{}-contrasts.tex": tables.contrasts_table,
        "tables/{}-lambda.tex": tables.lambda_table,
        "figures/{}-fronts.pdf": fronts,
        "figures/{}-budgets.pdf": lambda c: report.figures.budgets(c),
        "figures/{}-doses.pdf": lambda c: report.figures.doses(c),
        "figures/{}-gaming.pdf": lambda c: report.figures.gaming(c),
        "figures/{}-training.pdf": lambda c: report.figures.training(c),
    },
    "test": {
        "tables/{}-test.tex": tables.systems_table,
        "tables/{}-test.md": tables.markdown,
        "tables/{}-test-contrasts.tex": tables.contrasts_table,
        "figures/{}-test-fronts.pdf": fronts,
        "figures/{}-test-fronts.svg": fronts,
    },
    "calibration": {"tables/people.tex": measured_tables.people_table},
    "examples": {"tables/{}-samples.tex": None, "tables/{}-lambda-samples.tex": None},
    "costs": {
        "tables/cost.tex": lambda p: measured_tables.cost_table(results.measured(f"step_cost-{p.domains[0]}")),
        "tables/gradient-variance.tex": lambda p: measured_tables.variance_table(results.measured("gradient_variance")),
    },
    "designs": {
        "tables/designs.tex": lambda p: measured_tables.designs_table(results.measured("fronts")),
        "tables/first-opening.tex": lambda p: measured_tables.opening_table(results.measured("first_opening")),
    },
    "summary": {
        "tables/summary.tex": lambda p: report.overview.table(report.overview.decisive(p)),
        "tables/summary.md": lambda p: report.overview.markdown(report.overview.decisive(p)),
        "tables/drafts.tex": lambda p: report.overview.drafts_table(report.overview.decisive(p)),
        "tables/drafts.md": lambda p: report.overview.drafts_markdown(report.overview.decisive(p)),
        "figures/overview.pdf": lambda p: report.overview.fronts(report.overview.decisive(p)),
        "figures/overview.svg": lambda p: report.overview.fronts(report.overview.decisive(p)),
        "figures/primary.pdf": lambda p: report.differences.primary(report.overview.decisive(p)),
    },
    "judge": {"tables/judge.tex": lambda p: judged.table(judged.load())},
    "setup": {
        "tables/setup.tex": lambda p: report.setup_table.setup_table(spelled(p)),
        "tables/definitions.tex": lambda p: report.setup_table.definitions_table(spelled(p)),
    },
    "numbers": {"numbers.tex": None},
}


def outs(what: str, domain: str | None = None, split: str | None = None) -> list[str]:
    """The paths, relative to the workspace, that a stage writes: "report" of a domain and a split, "examples" of a domain, or one that is
    about no single domain. Raises UsageError where there is no such stage."""
    allowed = paths.SPLITS if what == "report" else [name for name in FILES if name not in paths.SPLITS]
    if (key := split if what == "report" else what) not in allowed:
        raise UsageError(f"report: {key!r} does not exist. Allowed: {', '.join(allowed)}.")
    made = [(paths.PAPER / name.format(domain)).as_posix() for name in FILES[key]]
    return [*made, paths.NUMBERS.as_posix()] if what == "numbers" else made


def unmade(params: Params) -> set[str]:
    """What the stages of `report` would write of splits that a domain has not, and of domains that are left out; main.tex shows it only
    where it is there."""
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for domain in params.analysis.endpoints:
        for split in paths.SPLITS:
            found[domain in params.domains and bool(params.cells(domain, split))].update(outs("report", domain, split))
    return found[False] - found[True]  # a name may be without a domain


def build(params: Params, what: str, split: str | None = None) -> list[Path]:
    """Run a stage in the current folder: `report` of a domain and its split, or the one of the name `what`. Returns the files written.
    Raises PolychromicError, beside what the module says, where the manuscript asks for a number that nothing makes."""
    from polychromic.report import differences, figures, numbers, overview, records, setup_table, style  # noqa: F401 - which FILES names

    if what == "numbers":
        printed, kept, claims = numbers.asked(records.uses(paths.PAPER), spelled(params))
        lines = [f"\\definenumber{{{r.key}}}{{{r.text}}}%\n" for r in printed]  # paper/numbers.sty defines what reads them
        lines += [f"\\defineclaim{{{key}}}{{{words}}}{{{other}}}{{{why}}}%\n" for (key, words, other), why in claims.items()]
        contents = ["% generated by `polychromic report`; do not edit\n" + "".join(lines), [asdict(record) for record in kept]]
    else:
        of = results.load(what, split) if split else params
        made = cache(lambda make: make(of))  # a figure's PDF and SVG are of one drawing
        contents = [made(make) for make in FILES[split or what].values()]
    written = [Path(name) for name in (outs("report", what, split) if split else outs(what))]
    with together():
        for path, content in zip(written, contents, strict=True):
            if path.suffix in (".pdf", ".svg"):
                style.save(content, path)
            else:
                (write_json if path == paths.NUMBERS else write_text)(path, content)
    return sorted(written)
