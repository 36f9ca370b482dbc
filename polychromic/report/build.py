"""The report stages: from results/ and benchmarks/results/ to the paper's tables, figures and numbers. No torch, no statistics.

`outs` says what a stage writes without running it. Everything is computed before the first byte is written, so an error leaves the old
files as they were: PolychromicError where a file is missing (it names the command that makes it) or lacks what the paper states,
DataError where a field is missing. Examples are polychromic.report.examples, the appendix is polychromic.provenance.appendix.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from polychromic.base import paths
from polychromic.base.errors import UsageError
from polychromic.base.io import write_json, write_text

if TYPE_CHECKING:  # drawing takes a second, which whoever asks for `outs` has not
    from matplotlib.figure import Figure

    from polychromic.params import Params

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


def build(params: Params, what: str, split: str | None = None) -> list[Path]:
    """Run a stage in the current folder: `report` of a domain and its split, or the one of the name `what`. Returns the files written.

    Raises:
        PolychromicError: beside what the module says, of numbers: the manuscript asks for a key that nothing makes.
    """
    wanted = outs("report", what, split) if split else outs(what)
    made = _content(params, what, split)
    for path in map(Path, wanted):
        if path == paths.NUMBERS:
            write_json(path, made[path.name])
        elif path.suffix in (".pdf", ".svg"):
            from polychromic.report.style import save

            save(made[path.name], path)
        else:
            write_text(path, made[path.name])
    return sorted(map(Path, wanted))


def _content(params: Params, what: str, split: str | None) -> dict[str, str | Figure | list[dict]]:
    """Name of a file -> what it holds. Of a domain whose steps `make bench` did not measure, the table of peers has no costs."""
    from polychromic.report import differences, figures, measured_tables, numbers, records, results, setup_table, tables

    spelled = params.model_dump(mode="json", by_alias=True)
    if split == "calibration":
        found = results.load(what, split)
        return {"people.tex": measured_tables.people_table(found), "people.pdf": figures.person(found)}
    if what == "costs":
        cost, compare = results.step_cost(params.domains[0]), results.load(params.domains[0], "dev")
        return {
            "cost.tex": measured_tables.cost_table(cost, compare),
            "sampler.tex": measured_tables.sampler_table(results.measured("sampler")),
            "gradient-variance.tex": measured_tables.variance_table(results.measured("gradient_variance")),
            "cost-gain.pdf": figures.cost_gain(cost, compare),
        }
    if what == "designs":
        return {"designs.tex": measured_tables.designs_table(results.measured("calibration"))}
    if what == "summary":
        return {"summary.tex": tables.summary_table([results.load(domain, "test") for domain in params.domains])}
    if what == "setup":
        return {"setup.tex": setup_table.setup_table(spelled), "definitions.tex": setup_table.definitions_table(spelled)}
    if what == "numbers":
        printed, kept = numbers.asked(records.uses(paths.PAPER), spelled)
        return {"numbers.tex": records.to_latex(printed), paths.NUMBERS.name: [asdict(record) for record in kept]}
    compare = results.load(what, split)
    drawn = figures.frontier(*figures.frontier_curves(compare), compare.quality, compare.primary)
    if split == "test":
        made = {
            "test.tex": tables.test_table(compare),
            "test.md": tables.markdown(compare),
            "test-contrasts.tex": tables.contrasts_table(compare),
            "test-frontier.pdf": drawn,
            "test-frontier.svg": drawn,
            "test-gains.pdf": differences.gains(compare),
        }
    else:
        made = {
            "systems.tex": tables.systems_table(compare),
            "systems.md": tables.markdown(compare),
            "metrics.tex": tables.systems_table(compare, body=False),
            "peers.tex": tables.peers_table(compare, results.step_cost(what, needed=False)),
            "contrasts.tex": tables.contrasts_table(compare),
            "lambda.tex": tables.lambda_table(compare),
            "tries.tex": tables.tries_table(compare),
            "frontier.pdf": drawn,
            "frontier.svg": drawn,
            "passk.pdf": figures.passk(figures.passk_curves(compare)),
            "lambda.pdf": figures.ablation(compare),
            "training.pdf": figures.training(compare),
            "cover.pdf": figures.cover({label: compare.profiles[label]["pass@1"] for label in compare.main_labels()}),
            "forest.pdf": differences.forest(differences.effects(compare)),
            "differences.pdf": differences.headline(compare),
        }
    return {f"{what}-{name}": content for name, content in made.items()}
