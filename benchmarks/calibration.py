"""Are intervals and tests over prompts right? Simulated experiments with a known truth, analysed as they should be and in ways that fail.

The variance components are those of dev scores of `lora` and `polychromic` (pass@1, each at its chosen temperature), where
results/<domain>/dev has them; each can be given on the command line instead. Designs: see benchmarks.simulation.judge. Intervals of
prompts' paired differences shall cover 93 to 97 %, and their test find at most 6 % differences where there are none; else the exit code is
1. What a verdict rests on, fronts over seeds and prompts, is simulated by benchmarks/fronts.py.
Writes benchmarks/results/calibration.json. A few minutes on one quiet core for 2,000 runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.common import RESULTS, command, commit_name
from benchmarks.components import Components, variance_components
from benchmarks.simulation import DECLARED, RANDOM, Calibration, Design, calibrate
from polychromic.base import paths
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import read_json, write_json
from polychromic.base.progress import progress
from polychromic.compare.stats import minimum_detectable_effect
from polychromic.compare.systems import System, read_systems
from polychromic.params import Params, load_params

# Where nothing was scored yet: of the size that list questions had on dev.
ASSUMED = Components(mean=0.22, prompt_sd=0.30, interaction_sd=0.10, prompt_seed_sd=0.07, seed_sd=0.01)
DEFAULT_SIZES = [60, 150, 300]
PAIR = ("polychromic", "lora")
METRIC = "pass@1"
OURS = ("percentile", "sign_flip")  # BCa is shown beside them
NAMES = {
    "percentile": "paired over prompts, percentile interval",
    "bca": "paired over prompts, BCa interval",
    "sign_flip": "paired over prompts, sign flips",
    "pooled": "all samples as independent, z",
    "welch": "prompts unpaired, Welch",
    "mann_whitney": "prompts unpaired, Mann-Whitney",
    "seed_t": "t over seeds, claimed for random seeds",
    "percentile_random": "percentile interval, claimed for random seeds",
}


def observed(params: Params, domain: str) -> tuple[dict[str, float], dict[tuple[str, float], System]] | None:
    """(label -> chosen temperature, systems) of PAIR on dev; None where they were not scored. Raises as `read_systems`."""
    if not paths.scores_file(domain, "dev").exists() or not paths.choices_file(domain).exists():
        return None
    chosen = read_json(paths.choices_file(domain))["chosen"]
    systems = {key: system for key, system in read_systems(params, domain, "dev", params.lam).items() if key[0] in PAIR}
    return (chosen, systems) if all((name, chosen.get(name)) in systems for name in PAIR) else None


def sizes(domains: Sequence[str]) -> list[int]:
    """Prompts of dev and test of the domains that are split; DEFAULT_SIZES where none is."""
    files = [path for domain in domains if (path := paths.split_file(domain)).exists()]
    found = {len(read_json(path)["splits"][split]) for path in files for split in ("dev", "test")}
    return sorted(found) or DEFAULT_SIZES


def run(components: Components, options: argparse.Namespace) -> list[dict]:
    """The rows of calibration.json: a row per number of prompts and design."""
    rows = []
    for prompts in options.prompts:
        design = Design(prompts, options.seeds, options.samples, options.alpha, options.boot, options.perm)
        smallest = minimum_detectable_effect(components.difference_sd(options.seeds, options.samples), prompts, alpha=options.alpha)
        # The number of prompts names the stream, so that one of them gives the same numbers alone and among others.
        rng = np.random.default_rng([options.seed, prompts])
        with progress(f"{prompts} prompts: runs", options.runs) as tick:
            found = calibrate(components, options.effect, design, options.runs, rng, tick)
        rows += [{"prompts": prompts, "minimum_detectable_effect": smallest} | _row(name, found[name]) for name in DECLARED + RANDOM]
    return rows


def _row(name: str, found: Calibration) -> dict:
    rates = {"coverage": found.coverage, "false_positives": found.false_positives, "power": found.power}
    values = {key: None if rate is None else rate.value for key, rate in rates.items()}
    errors = {f"{key}_se": None if rate is None else rate.se for key, rate in rates.items()}
    return {"design": name, "ours": name in OURS, "seeds": "random" if name in RANDOM else "declared"} | values | errors


def misses(rows: Sequence[dict], alpha: float) -> list[str]:
    """Where ours is off by more than it may: intervals cover within 2 points of their level, under the effect and under no difference
    (where they miss as often as they exclude 0); a test's false positives are at most 1 point above alpha."""
    found = []
    for row in (row for row in rows if row["ours"]):
        where = f"{row['prompts']} prompts, {row['design']}"
        if row["coverage"] is None:
            if row["false_positives"] > alpha + 0.01 + 1e-9:
                found.append(f"{where}: false positives {100 * row['false_positives']:.1f} %, allowed {100 * alpha + 1:g} %")
            continue
        for when, coverage in (("under the effect", row["coverage"]), ("under no difference", 1 - row["false_positives"])):
            if abs(coverage - (1 - alpha)) > 0.02 + 1e-9:
                found.append(f"{where}: coverage {when} {100 * coverage:.1f} %, allowed {100 * (1 - alpha):g} \u00b1 2 %")
    return found


def table(document: dict) -> Table:
    head = f"{document['runs']} runs, {document['seeds']} seeds, {document['samples']} samples, effect {100 * document['effect']:g} points"
    out = Table("prompts", "design", "coverage %", "false positives %", "power %", title=head)
    for row in document["rows"]:
        text = [_percent(row, key) for key in ("coverage", "false_positives", "power")]
        first = row["design"] == DECLARED[0]
        out.add_row(str(row["prompts"]) if first else "", NAMES[row["design"]], *text, end_section=row["design"] == RANDOM[-1])
    return out


def _percent(row: dict, key: str) -> str:
    return "\u2013" if row[key] is None else f"{100 * row[key]:.1f} \u00b1 {100 * row[key + '_se']:.1f}"


def options_of(arguments: Sequence[str] | None, params: Params) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domain", default="listqa", help="a domain of params.yaml, whose results give the variance components")
    parser.add_argument("--runs", type=int, default=2000, help="simulated experiments per number of prompts, without and with the effect")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation")
    parser.add_argument("--prompts", type=int, nargs="+", default=sizes(params.domains), help="numbers of prompts P (default: dev, test)")
    parser.add_argument("--seeds", type=int, default=max(2, len(params.seeds)), help="seeds S of each experiment, 2 or more")
    parser.add_argument("--samples", type=int, default=params.sampling.n, help="samples n per prompt and seed")
    parser.add_argument("--effect", type=float, default=params.analysis.margin, help="true difference for coverage and power, a share")
    parser.add_argument("--alpha", type=float, default=0.05, help="level of tests, 1 - that of intervals")
    parser.add_argument("--boot", type=int, default=1000, help="resamples of the bootstrap")
    parser.add_argument("--perm", type=int, default=1000, help="sign patterns of the permutation test")
    for name in asdict(ASSUMED):
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=None, help=f"{name} of benchmarks.components.Components")
    options = parser.parse_args(arguments)
    if options.domain not in params.domains:
        raise UsageError(f"--domain is {options.domain!r}; allowed: {', '.join(params.domains)}.")
    if options.runs < 2 or options.seed < 0:
        raise UsageError(f"--runs is {options.runs}, --seed {options.seed}; allowed: 2 or more runs (2000 for the paper), a seed >= 0.")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    params = load_params()
    options = options_of(arguments, params)
    given = {name: getattr(options, name) for name in asdict(ASSUMED) if getattr(options, name) is not None}
    all_given = len(given) == len(asdict(ASSUMED))
    known = None
    if not all_given and (scored := observed(params, options.domain)):
        chosen, systems = scored
        known = variance_components(*(systems[name, chosen[name]].scores[METRIC] for name in PAIR), params.sampling.n)
    components = Components(**asdict(known or ASSUMED) | given)
    origin = f"scores of {options.domain} on dev" if known else "assumed"
    source = "command line" if all_given else origin + (f", given: {', '.join(given)}" if given else "")
    document = {
        "commit": commit_name(),
        "source": source,
        "components": asdict(components) | {"sampling_variance": components.sampling_variance},
        **{key: getattr(options, key) for key in ("runs", "seed", "seeds", "samples", "effect", "alpha", "boot", "perm")},
        "rows": run(components, options),
    }
    document["misses"] = misses(document["rows"], options.alpha)
    path = RESULTS / "calibration.json"
    write_json(path, document)
    console = Console()
    console.print(table(document))
    described = ", ".join(f"{name} {value:.3f}" for name, value in document["components"].items())
    console.print(f"components ({source}): {described}", highlight=False, soft_wrap=True)
    for prompts in options.prompts:
        smallest = next(row["minimum_detectable_effect"] for row in document["rows"] if row["prompts"] == prompts)
        console.print(f"{prompts} prompts: 80 % power from {100 * smallest:.1f} points", highlight=False)
    console.print(f"{path}: ours {'misses its level' if document['misses'] else 'keeps its level'}", highlight=False, soft_wrap=True)
    if document["misses"]:
        raise PolychromicError(f"{path}: ours misses its level. " + "; ".join(document["misses"]) + ". The paper prints what was found.")


if __name__ == "__main__":
    command(main)
