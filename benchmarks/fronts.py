"""Is the contrast of fronts right at our sizes? Simulated systems over temperature with a known gap, and systems against themselves.

Curves and spreads are those of `lora` on dev (what differs between systems: of `lora` and `polychromic`): a logistic and a log polynomial
through its means, its prompts' profiles over temperature, and covariances of quality and value between seeds, prompt x system,
prompt x seed and single cells. Two systems with errors of their own answer the same prompts at 6 even temperatures, fronts estimated anew
in each run: "same" curves, or "stretched", a having its curve at .85 of b's temperatures, hence the same front from other points; and one
system against "itself" on interleaved temperatures. A true gap lifts a's values and shifts its estimate alike: power is read from the same
runs. Runs in which a resample is no match are left out and counted ("unmatched").

Coverage shall be 93 to 97 %, |bias| at most .01 of the best value, false positives at most 6 %, each within two of its Monte-Carlo standard
errors; else the exit code is 1, but for intervals that cover more.
Beside them, from dev: systems against themselves, and what a contrast of the two would detect with the prompts of test.
Writes benchmarks/results/fronts.json. A few minutes on one quiet core for 600 runs.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial
from rich.console import Console
from rich.table import Table
from scipy import stats as st

from benchmarks.common import RESULTS, command, commit_name
from polychromic.base import paths
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import read_json, write_json
from polychromic.base.progress import progress
from polychromic.compare.crossed import Variances, crossed_means, estimate
from polychromic.compare.fronts import Front, front_contrast, offered, self_contrast, vertical_gaps
from polychromic.compare.systems import System, read_systems
from polychromic.params import Params, load_params

PAIR = ("polychromic", "lora")
SHAPES = {"same": 1.0, "stretched": 0.85, "itself": None}
SEEDS_PLANNED = (3, 5, 8)
BIAS, COVERAGE, FALSE = 0.01, (0.93, 0.97), 0.06
# How else the interval could be made of the same resamples: shown beside ours.
RULES = {
    "ours": "t of each part",
    "seeds_alone": "t of S - 1 for seeds, without cells",
    "satterthwaite": "one t, Satterthwaite's degrees of freedom",
    "t_seeds": "one t of S - 1",
    "normal": "normal",
    "percentile": "percentiles of seeds x prompts",
}


@dataclass(frozen=True)
class World:
    """Where experiments come from; the first axis of everything is (quality, value).

    temperatures (K0,); profiles (2, K0, P0) prompts' deviations from the mean; roots (2, 2) of covariances: seed, prompt x system,
    prompt x seed (all temperatures alike), cell (each temperature for itself).
    """

    temperatures: np.ndarray
    quality: Callable[[np.ndarray], np.ndarray]
    value: Callable[[np.ndarray], np.ndarray]
    profiles: np.ndarray
    roots: dict[str, np.ndarray]

    def means(self, temperatures: np.ndarray) -> np.ndarray:
        """(2, K) true means."""
        return np.stack([self.quality(temperatures), self.value(temperatures)])

    def draw(self, temperatures: np.ndarray, stretch: Sequence[float], seeds: int, prompts: int, rng: np.random.Generator) -> np.ndarray:
        """(systems, 2, K, S, P) scores of systems that have this world's curve at stretch * T; all answer the same prompts."""
        chosen = self.profiles[:, :, rng.integers(0, self.profiles.shape[2], prompts)]
        place = np.interp(temperatures, self.temperatures, np.arange(len(self.temperatures)))
        left = np.minimum(place.astype(int), len(self.temperatures) - 2)
        share = (place - left)[:, None]
        prompt = ((1 - share) * chosen[:, left] + share * chosen[:, left + 1])[:, :, None]  # (2, K, 1, P)

        def noise(name: str, *shape: int) -> np.ndarray:
            return np.einsum("mn,n...->m...", self.roots[name], rng.standard_normal((2, *shape)))

        systems = []
        for factor in stretch:
            fixed = self.means(temperatures * factor)[:, :, None, None] + prompt
            shared = noise("seed", 1, seeds, 1) + noise("interaction", 1, 1, prompts) + noise("prompt_seed", 1, seeds, prompts)
            systems.append(fixed + shared + noise("cell", len(temperatures), seeds, prompts))
        return np.stack(systems)


def _stacked(systems: dict, label: str, temperatures: Sequence[float], metrics: Sequence[str]) -> np.ndarray:
    """(2, K, S, P) scores of a label."""
    return np.array([[systems[label, t].scores[metric] for t in temperatures] for metric in metrics])


def _root(covariance: np.ndarray) -> np.ndarray:
    """A root of the nearest covariance: an estimate of moments may have a negative variance."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return vectors * np.sqrt(np.clip(values, 0, None))


def _across(covariance: np.ndarray) -> np.ndarray:
    """(2, 2) means over pairs of different temperatures of (2, 2, K, K): what temperatures have in common."""
    count = covariance.shape[-1]
    return (covariance.sum(axis=(-1, -2)) - np.trace(covariance, axis1=-2, axis2=-1)) / (count * (count - 1))


def world(systems: dict[tuple[str, float], System], metrics: Sequence[str]) -> World:
    """Moments of PAIR's scores by (quality, value) `metrics`; see World.

    Raises:
        PolychromicError: a system of PAIR at fewer than 2 seeds, the peer at fewer than 3 temperatures, fewer than 2 of them shared.
    """
    temperatures = {label: sorted(t for name, t in systems if name == label) for label in PAIR}
    common = [t for t in temperatures[PAIR[1]] if t in temperatures[PAIR[0]]]
    if len(temperatures[PAIR[1]]) < 3 or len(common) < 2 or any(len(systems[label, common[0]].seeds) < 2 for label in PAIR):
        raise PolychromicError(f"got {temperatures}. Allowed: 3 or more temperatures of {PAIR[1]}, 2 or more shared ones, 2 or more seeds.")
    parts: dict[str, list[np.ndarray]] = {"seed": [], "prompt_seed": [], "cell": []}
    for label in PAIR:
        x = _stacked(systems, label, temperatures[label], metrics)
        _, count, seeds, prompts = x.shape
        by_seed = x.mean(axis=3) - x.mean(axis=(2, 3))[:, :, None]
        residual = x - x.mean(axis=2, keepdims=True) - by_seed[..., None]
        within = np.einsum("mksp,nlsp->mnkl", residual, residual) / ((seeds - 1) * (prompts - 1))
        parts["prompt_seed"].append(shared := _across(within))
        parts["cell"].append(np.trace(within, axis1=-2, axis2=-1) / count - shared)
        parts["seed"].append(_across(np.einsum("mks,nls->mnkl", by_seed, by_seed)) / (seeds - 1) - shared / prompts)
    covariances = {name: np.mean(found, axis=0) for name, found in parts.items()}
    ours, peer = (_stacked(systems, label, common, metrics) for label in PAIR)
    apart = ours.mean(axis=2) - peer.mean(axis=2)
    apart -= apart.mean(axis=2, keepdims=True)
    between = np.einsum("mkp,nlp->mnkl", apart, apart) / (apart.shape[2] - 1)
    covariances["interaction"] = _across(between) / 2 - covariances["prompt_seed"] / peer.shape[2]
    by_prompt, t = x.mean(axis=2), np.array(temperatures[PAIR[1]])
    quality, value = by_prompt.mean(axis=2)
    logit = Polynomial.fit(t, np.log(quality / (1 - quality)), 2)
    log = Polynomial.fit(t, np.log(value), min(3, len(t) - 1))
    profiles = by_prompt - by_prompt.mean(axis=2, keepdims=True)
    roots = {name: _root(covariance) for name, covariance in covariances.items()}
    return World(t, lambda at: 1 / (1 + np.exp(-logit(at))), lambda at: np.exp(log(at)), profiles, roots)


def halves(last: int) -> tuple[list[int], list[int]]:
    """Places of the two sides of a self-contrast, as polychromic.compare.fronts.self_contrast has them."""
    return tuple([0, *range(start, last, 2), last] for start in (1, 2))


def simulated(
    world: World, shape: str, seeds: int, prompts: int, effect: float, options: argparse.Namespace, tick: Callable[[int], None]
) -> dict:
    """A row of fronts.json: bias, spread, standard error; by rule coverage, false positives, power at `effect`; ours at what it detects."""
    temperatures = np.linspace(world.temperatures[0], world.temperatures[-1], options.temperatures)
    # The sizes and the shape name the stream, so that a row is the same alone and among others.
    rng = np.random.default_rng([options.seed, list(SHAPES).index(shape), seeds, prompts])
    deltas, errors, halfs = [], [], {name: [] for name in RULES if name != "percentile"}
    ends, unmatched, mine = [], 0, []
    for run in range(options.runs):
        if shape == "itself":
            scores = world.draw(temperatures, [1.0], seeds, prompts, rng)[0]
            sides = [(temperatures[places], scores[:, places]) for places in halves(len(temperatures) - 1)]
        else:
            sides = [(temperatures, scores) for scores in world.draw(temperatures, [SHAPES[shape], 1.0], seeds, prompts, rng)]
        means, sizes = crossed_means(np.concatenate([x for _, scores in sides for x in scores]), rng, options.boot)
        fronts, start = [], 0
        for at, _ in sides:
            fronts.append(offered(at, means[start : start + len(at)], means[start + len(at) : start + 2 * len(at)]))
            start += 2 * len(at)
        gaps = vertical_gaps(*fronts)[0]
        if np.isnan(gaps).any():
            unmatched += 1
        else:
            found = estimate(gaps, sizes)
            v = found.variances
            deltas.append(found.delta)
            errors.append(v.se)
            degrees = _satterthwaite(v)
            halfs["ours"].append(v.half_width(0.05))
            t_seeds, t_prompts = st.t.isf(0.025, [seeds - 1, prompts - 1])
            halfs["seeds_alone"].append(math.hypot(t_seeds * math.sqrt(v.seeds), t_prompts * math.sqrt(v.prompts + v.cells)))
            halfs["satterthwaite"].append(st.t.isf(0.025, degrees) * v.se)
            halfs["t_seeds"].append(t_seeds * v.se)
            halfs["normal"].append(st.norm.isf(0.025) * v.se)
            ends.append(np.quantile(gaps[-options.boot :], [0.025, 0.975]))
            mine.append(v)
        tick(run + 1)
    delta, (low, high) = np.array(deltas), np.array(ends).T
    size = len(delta)
    rules = {}
    for name in RULES:
        if name == "percentile":
            covers, finds = (low <= 0) & (high >= 0), (low + effect > 0) | (high + effect < 0)
        else:
            half = np.array(halfs[name])
            covers, finds = np.abs(delta) <= half, np.abs(delta + effect) > half
        rules[name] = _share("coverage", covers) | _share("false_positives", ~covers) | _share("power", finds)
    parts = {part: float(np.mean([getattr(v, part) for v in mine])) for part in ("seeds", "prompts", "cells")}
    plan = Variances(**parts, n_seeds=seeds, n_prompts=prompts).detectable()
    return {
        "shape": shape,
        "seeds": seeds,
        "prompts": prompts,
        "bias": float(delta.mean()),
        "bias_se": float(delta.std(ddof=1) / math.sqrt(size)),
        "sd": float(delta.std(ddof=1)),
        "standard_error": float(np.sqrt(np.mean(np.square(errors)))),
        "unmatched": unmatched / options.runs,
        "effect": effect,
        "detectable": plan,
        **_share("power_at_detectable", np.abs(delta + plan) > np.array(halfs["ours"])),
        "variances": parts,
        "rules": rules,
    }


def _satterthwaite(v: Variances) -> float:
    """Degrees of freedom of the whole: few where seeds make the variance."""
    by_seeds, by_prompts, s, p = v.seeds + v.cells, v.prompts + v.cells, v.n_seeds - 1, v.n_prompts - 1
    return v.se**4 / (by_seeds**2 / s + by_prompts**2 / p + v.cells**2 / (s * p))


def _share(name: str, hits: np.ndarray) -> dict[str, float]:
    share = float(np.mean(hits))
    return {name: share, f"{name}_se": math.sqrt(share * (1 - share) / len(hits))}


def on_data(params: Params, domain: str, systems: dict[tuple[str, float], System], options: argparse.Namespace) -> dict:
    """Self-contrasts of the systems with 4 or more temperatures and 2 or more seeds, and the plan of PAIR's contrast."""
    endpoint, labels = params.endpoint(domain), sorted({label for label, _ in systems})
    metrics, fronts = (endpoint.quality, endpoint.primary), {}
    for label in labels:
        temperatures = sorted(t for name, t in systems if name == label)
        if len(temperatures) > 1 and len(systems[label, temperatures[0]].seeds) > 1:
            fronts[label] = Front(temperatures, *_stacked(systems, label, temperatures, metrics))
    itself = []
    for label, front in fronts.items():
        if len(front.temperatures) > 3 and (gap := self_contrast(front, np.random.default_rng(options.seed)).gap):
            row = {"domain": domain, "system": label, "temperatures": front.temperatures.tolist(), "seeds": gap.variances.n_seeds}
            itself.append(row | {"gap": gap.delta, "low": gap.low, "high": gap.high, "p": gap.p, "standard_error": gap.variances.se})
    planned, split = [], paths.split_file(domain)
    if all(label in fronts for label in PAIR) and split.exists():
        prompts = len(read_json(split)["splits"]["test"])
        gap = front_contrast(*(fronts[label] for label in PAIR), np.random.default_rng(options.seed)).gap
        for seeds in SEEDS_PLANNED if gap else ():
            plan = gap.variances.at(seeds, prompts)
            planned.append(
                {"domain": domain, "seeds": seeds, "prompts": prompts, "standard_error": plan.se, "detectable": plan.detectable()}
            )
    return {"itself": itself, "planned": planned}


def verdicts(rows: Sequence[dict]) -> dict[str, list[str]]:
    """Where ours is off, by more than it may and two Monte-Carlo standard errors: "misses", and "wide", intervals that cover too much.

    The bias is a share of the best value, which a quality's unit does not change. Too wide an interval claims too little, no more.
    """
    found = {"misses": [], "wide": []}
    for row in rows:
        ours = row["rules"]["ours"]
        where = f"{row['domain']}, {row['shape']}, {row['seeds']} seeds, {row['prompts']} prompts"
        share, slack = row["bias"] / row["best"], 2 * ours["coverage_se"]
        if abs(share) > BIAS + 2 * row["bias_se"] / row["best"]:
            found["misses"].append(f"{where}: bias {100 * share:.1f} % of the best value, allowed {100 * BIAS:g} %")
        covered = f"{where}: coverage {100 * ours['coverage']:.1f} %, allowed {100 * COVERAGE[0]:g} to {100 * COVERAGE[1]:g} %"
        if ours["coverage"] < COVERAGE[0] - slack:
            found["misses"].append(covered)
        if ours["coverage"] > COVERAGE[1] + slack:
            found["wide"].append(covered)
        if ours["false_positives"] > FALSE + slack:
            found["misses"].append(f"{where}: false positives {100 * ours['false_positives']:.1f} %, allowed {100 * FALSE:g} %")
    return found


def table(rows: Sequence[dict]) -> Table:
    out = Table(
        "domain",
        "fronts",
        "seeds",
        "prompts",
        "bias",
        "sd",
        "coverage %",
        "false positives %",
        "effect",
        "power %",
        "detectable",
        "its power %",
    )
    percent = lambda row, name: f"{100 * row[name]:.1f} ± {100 * row[name + '_se']:.1f}"
    for row in rows:
        ours = row["rules"]["ours"]
        shown = [
            f"{row['bias']:.4f} ± {row['bias_se']:.4f}",
            f"{row['sd']:.3f}",
            percent(ours, "coverage"),
            percent(ours, "false_positives"),
        ]
        power = [f"{row['effect']:g}", percent(ours, "power"), f"{row['detectable']:.2f}", percent(row, "power_at_detectable")]
        out.add_row(row["domain"], row["shape"], str(row["seeds"]), str(row["prompts"]), *shown, *power)
    return out


def options_of(arguments: Sequence[str] | None, params: Params) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domains", nargs="+", default=["listqa", "creative"], help="whose dev scores make the worlds")
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5], help="numbers of seeds S, 2 or more")
    parser.add_argument("--prompts", type=int, nargs="+", default=[150, 300], help="numbers of prompts P, 2 or more")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES), help="what is compared")
    parser.add_argument("--temperatures", type=int, default=6, help="temperatures of each system, 6 or more for a self-contrast by cubics")
    parser.add_argument("--effect", type=float, default=0.1, help="true gap at which power is read, as a share of the best value")
    parser.add_argument("--runs", type=int, default=600, help="experiments per row, 2 or more")
    parser.add_argument("--boot", type=int, default=200, help="resamples within each, of seeds, of prompts and of both")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.domains if name not in params.domains]:
        raise UsageError(f"--domains is {' '.join(unknown)}; allowed: {', '.join(params.domains)}.")
    if min(options.seeds + options.prompts + [options.runs]) < 2 or options.temperatures < 4 or options.boot < 100 or options.seed < 0:
        raise UsageError("allowed: 2 or more seeds, prompts and runs, 4 or more temperatures, --boot 100 or more, a seed >= 0.")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    params = load_params()
    options = options_of(arguments, params)
    rows, found = [], {"itself": [], "planned": []}
    for domain in params.domains:
        if not paths.scores_file(domain, "dev").exists():
            continue
        systems = read_systems(params, domain, "dev", params.lam)
        for name, more in on_data(params, domain, systems, options).items():
            found[name] += more
        if domain not in options.domains:
            continue
        endpoint = params.endpoint(domain)
        here = world(systems, (endpoint.quality, endpoint.primary))
        grid = np.linspace(here.temperatures[0], here.temperatures[-1], 200)
        best = float(here.value(grid).max())
        for shape, seeds, prompts in ((c, s, p) for c in options.shapes for s in options.seeds for p in options.prompts):
            with progress(f"{domain}, {shape}, {seeds} seeds, {prompts} prompts: runs", options.runs) as tick:
                rows.append({"domain": domain, "best": best} | simulated(here, shape, seeds, prompts, options.effect * best, options, tick))
    document = {
        "commit": commit_name(),
        **{key: getattr(options, key) for key in ("runs", "seed", "boot", "temperatures")},
        "rows": rows,
        **found,
        **verdicts(rows),
    }
    path = RESULTS / "fronts.json"
    write_json(path, document)
    console = Console()
    console.print(table(rows))
    for row in found["itself"]:
        text = (
            f"{row['domain']}, {row['system']} against itself: {row['gap']:.3f} [{row['low']:.3f}, {row['high']:.3f}], p = {row['p']:.2f}"
        )
        console.print(text, highlight=False)
    for row in found["planned"]:
        text = f"{row['domain']}, {row['seeds']} seeds, {row['prompts']} prompts: 80 % power from a gap of {row['detectable']:.2f}"
        console.print(text, highlight=False)
    for text in document["wide"]:
        console.print(f"wide: {text}", highlight=False)
    console.print(f"{path}: {'ours misses its level' if document['misses'] else 'ours keeps its level'}", highlight=False, soft_wrap=True)
    if document["misses"]:
        raise PolychromicError(f"{path}: ours misses its level. " + "; ".join(document["misses"]) + ". The paper prints what was found.")


if __name__ == "__main__":
    command(main)
