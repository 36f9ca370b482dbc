"""What the page shows of one domain and split: points and fronts of compare.json, and the drafts behind them, as one JSON object.

A VIEW, which polychromic.explore.page embeds and page.js reads; a "point" is a system, a label at one temperature:

    name, domain, split, primary, quality
    metrics     name -> {"label", "percent", "decimals", "direction", "source"}, in printed order
    points      [{"label", "name", "group", "main", "t", "chosen", "lam", "cost", "sets", "seeds", "over", "prompts", "drafts", "row",
                "values": metric -> [mean, low, high, [by seed, of two or more]], "passed": how many have c = 0, 1, ... valid or null}]
    fronts      label -> {"x", "y"}: what it offers to who asks for a quality (polychromic.compare.fronts), of the quality and the primary
    lambdas, doses   stops of the sliders, ascending: [{"value", "label"}]; the value is the weight of D, or the sets drawn in training
    n, how, prompts  as "n", {"valid", "alike", "chosen"} and "prompts" of drafts.json.gz; a row is [point, places, valid by the scores]
    origin, cells    where the numbers and the drafts are from (polychromic.explore.origins)

Numbers are rounded to DIGITS significant digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from polychromic.report import labels
from polychromic.report.results import Compare, Fields

DIGITS = 5  # of a number on the page; tables print four at most
STEPS = 40  # points of a front's curve
EVER = ("objective", "quality", "held_out_quality")  # shown beside the metrics of the main tables, where the domain has them
GROUPS = {"Without the checker": "without", "With the checker": "with", "Polychromic LoRA": "ours"}


def rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")


def view(compare: Compare, drafts: Mapping[str, Any] | None) -> dict[str, Any]:
    """The view of a domain and split; without prompts where there are no drafts. Raises DataError: compare.json lacks a field."""
    metrics = _metrics(compare)
    groups = {label: group for group, members in compare.grouped_labels() for label in members}
    main, order = set(compare.main_labels()), {}
    for system in sorted(compare.systems, key=lambda s: (labels.rank(s.label.partition("@")[0]), s.label, s.temperature)):
        order[system.label, system.temperature] = len(order)
    passed = drafts["passed"] if drafts else {}
    points = [_point(compare, compare.at(*key), metrics, groups, main, passed.get(key[0], {}).get(f"{key[1]:g}")) for key in order]
    return {
        "name": compare.domain_name,
        "domain": compare.domain,
        "split": compare.split,
        "primary": compare.primary,
        "quality": compare.quality,
        "metrics": {name: described(name) for name in metrics},
        "points": points,
        "fronts": {label: _curve(front.curve) for label, front in compare.fronts.items() if front.curve},
        **_sliders(compare),
        **shown(drafts, order),
    }


def _metrics(compare: Compare) -> list[str]:
    """Names in printed order: the two that decide, those of the main tables, and EVER."""
    have = {name for system in compare.systems for name in system.metrics}
    wanted = {name for name in have if labels.metric(name).body or name in EVER or name.startswith("held_out_coverage")}
    first = [compare.quality, compare.primary]
    return first + [name for name in labels.metric_order(wanted) if name not in first]


def described(name: str) -> dict[str, Any]:
    """A metric, as the page needs to know it."""
    info = labels.metric(name)
    return {key: getattr(info, key) for key in ("label", "percent", "decimals", "direction", "source")}


def _point(
    compare: Compare, system: Fields, metrics: Iterable[str], groups: Mapping[str, str], main: set[str], passed: list[int] | None
) -> dict[str, Any]:
    label, spent = system.label, compare.costs.get(system.label, {})
    method = label.partition("@")[0]
    return {
        "label": label,
        "name": labels.system_name(label, math=False),
        "group": GROUPS.get(groups.get(label) or groups.get(method, ""), "without"),
        "main": label in main,
        "t": system.temperature,
        "chosen": system.chosen,
        "lam": system.lam,
        "cost": spent.get("cost"),
        "seeds": list(system.seeds),
        "over": system.over,
        "prompts": system.n_prompts,
        "drafts": system.n_samples,
        "row": f"systems/{label}@T={labels.plain(system.temperature)}",
        "values": {name: values(system.metrics[name], len(system.seeds)) for name in metrics if name in system.metrics},
        "passed": passed,
    }


def values(found: Mapping[str, Any], seeds: int) -> list:
    """[mean, low, high] and, of two or more seeds, their means."""
    ends = [rounded(found[end]) for end in ("mean", "low", "high")]
    return [*ends, [rounded(value) for value in found["by_seed"]]] if seeds > 1 and "by_seed" in found else ends


def _curve(curve: Fields) -> dict[str, list[float]]:
    """Some of a front's points, its ends among them."""
    last = len(curve.quality) - 1
    places = sorted({round(i * last / (STEPS - 1)) for i in range(STEPS)})
    return {axis: [rounded(curve[name][place]) for place in places] for axis, name in (("x", "quality"), ("y", "value"))}


def _sliders(compare: Compare) -> dict[str, list[dict[str, Any]]]:
    """What dev varied; of test there is one weight and one dose."""
    if "selection" not in compare:
        return {"lambdas": [], "doses": []}
    grid = [{"value": row.lam, "label": row.label} for row in compare.selection["lambda"].rows]
    doses = [{"value": rounded(row.sets), "label": row.label} for row in compare.selection.doses]
    return {"lambdas": grid, "doses": [{"value": 0, "label": "lora"}, *doses] if doses else []}


def shown(drafts: Mapping[str, Any] | None, places: Mapping[tuple[str, float], int]) -> dict[str, Any]:
    """ "n", "how" and "prompts" of a view; rows of points that it does not have are left out."""
    if drafts is None:
        return {"n": 0, "how": {"valid": "", "alike": "", "chosen": "no drafts are stored"}, "prompts": []}
    prompts = [
        {key: one[key] for key in ("id", "prompt", "texts", "valid", "group")}
        | {"rows": [[places[label, t], mine, count] for label, t, mine, count in one["rows"] if (label, t) in places]}
        for one in drafts["prompts"]
    ]
    return {"n": drafts["n"], "how": {key: drafts[key] for key in ("valid", "alike", "chosen")}, "prompts": prompts}
