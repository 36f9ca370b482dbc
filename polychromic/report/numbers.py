"""The values that the paper may print, as records, by group: the first part of a key ("<domain>.<split>", two) says which file it is from.

Pull, not push: only the groups that main.tex asks for are made, and of these only the records that it asks for are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any

from polychromic.base.errors import PolychromicError
from polychromic.report import audit, judged, labels, results
from polychromic.report.domain_numbers import Numbers, people_numbers, split_numbers
from polychromic.report.records import Number, Use, unique, unsupported
from polychromic.report.results import Compare, Fields, measured

NEAREST = 3  # keys that an error names


def groups(params: Mapping[str, Any]) -> dict[str, Callable[[], Iterable[Number]]]:
    """Name of a group -> what makes its records; a file is read when the first of them is made. params: as params.yaml spells it."""
    domains, load = params["domains"], cache(results.load)
    found = {
        "setup": lambda: _setup(params),
        "cost": lambda: _measured("cost", measured(f"step_cost-{domains[0]}"), ("device", "precision", "threads", "steps", "batch_size")),
        "gradient": lambda: _measured("gradient", measured("gradient_variance"), ("prompts", "draws", "objective")),
        "compute": lambda: _compute([load(domain, "dev") for domain in domains]),
        "people": lambda: _people([load(domain, "dev") for domain in domains]),
        "designs": _designs,
        "judge": _judge,
        "audit": lambda: _audit(audit.load()),
    }
    for domain in domains:
        for split in ("dev", "test"):
            found[f"{domain}.{split}"] = lambda domain=domain, split=split: split_numbers(load(domain, split))
    return found


def asked(wanted: Sequence[Use], params: Mapping[str, Any]) -> tuple[list[Number], list[Number], dict[tuple[str, str, str], str]]:
    """The records of the keys that the manuscript uses, sorted; with them the records of the intervals and adjusted p of these values; and
    its claims, (key, words, other) -> why the records do not support it, "" where they do.

    Raises:
        PolychromicError: a key that no group makes (file:line, key, the nearest keys), a file that is missing, or a key made twice.
        DataError: a field of a file is missing.
    """
    makers, wrong = groups(params), []
    made = cache(lambda name: unique(makers[name]()) if name in makers else {})
    printed: dict[str, Number] = {}
    kept: dict[str, Number] = {}
    for use in wanted:
        first, second = (use.key.split(".") + [""])[:2]
        group = made(f"{first}.{second}" if f"{first}.{second}" in makers else first)
        if (record := group.get(use.key)) is None:
            near = get_close_matches(use.key, group, NEAREST, cutoff=0) or [f"{name}.…" for name in makers]
            macro = "assertnum" if use.claim else "num"
            wrong.append(f"{use.file}:{use.line}: \\{macro}{{{use.key}}} is no record. Nearest: {', '.join(near)}.")
            continue
        printed[use.key] = kept[use.key] = record
        prefix = use.key.rpartition(".")[0]
        beside = (f"{use.key}.ci", f"{prefix}.ci", f"{prefix}.p_adjusted") if record.low is not None else ()
        kept |= {key: group[key] for key in beside if key in group}
    if wrong:
        remedy = "Correct the key in the text; polychromic/report/numbers.py makes the records."
        raise PolychromicError("\n".join([*dict.fromkeys(wrong), remedy]))
    claims = {(use.key, *use.claim): unsupported(use.key, *use.claim, kept) for use in wanted if use.claim}
    return [printed[key] for key in sorted(printed)], [kept[key] for key in sorted(kept)], dict(sorted(claims.items()))


def _measured(prefix: str, found: Fields, names: Iterable[str]) -> Numbers:
    """Fields of a benchmark's document, which are counts or words, as they are."""
    for name in names:
        text = str(found[name]).replace("_", " ") if name == "objective" else str(found[name])
        yield Number(f"{prefix}.{name}", found[name] if isinstance(found[name], int) else None, labels.escape(text), source=found.place)


def _compute(compares: Sequence[Compare]) -> Numbers:
    """What the results of dev took: "compute.<domain>.{systems,runs,steps,drafts,flops}" and, over all domains, "compute.*".

    A run is one training with one seed; methods that differ in decoding alone share theirs, which is not deducted. flops: of the
    trainings that counted them.
    """
    total: Counter[str] = Counter()
    for compare in compares:
        spent = Counter({"systems": len(compare.systems)})
        for row in compare.costs.values():
            runs = len(row.seeds)
            spent.update({"runs": runs, "steps": runs * row.steps, "flops": runs * (row.flops or 0)})
        spent["drafts"] = sum(len(system.seeds) * system.n_prompts * system.n_samples for system in compare.systems)
        total.update(spent)
        yield from _amounts(f"compute.{compare.domain}", spent, compare.place)
    yield from _amounts("compute", total, "; ".join(compare.place for compare in compares))


def _amounts(prefix: str, spent: Mapping[str, float], source: str) -> Numbers:
    for field, value in spent.items():
        large = labels.param_text(float(f"{value:.2g}")) if field == "flops" else f"{value / 1e6:.1f} million"
        yield Number(f"{prefix}.{field}", value, large if value >= 1e6 else labels.thousands(value), source=source)


def _audit(found: audit.Audit) -> Numbers:
    """ "audit.{population,count,drawn,bytes.count,bytes.equal,intervals.count,intervals.equal}": cells that train or sample, how many ran
    again, how many of these were drawn by chance, and of those compared in a way how many came out the same."""
    cells = [cell for cell in found.cells if cell.kind == "cell"]
    counts = {"population": found.population, "count": len(cells), "drawn": sum(cell.among is not None for cell in cells)}
    for how in ("bytes", "intervals"):
        compared = [cell for cell in cells if cell.compared == how]
        counts |= {f"{how}.count": len(compared), f"{how}.equal": sum(cell.equal for cell in compared)}
    for key, count in counts.items():
        yield Number(f"audit.{key}", count, str(count), source=audit.SOURCE)


def _people(compares: Sequence[Compare]) -> Numbers:
    """ "people.*", of the first domain that is judged by people."""
    for compare in [compare for compare in compares if compare.calibration is not None][:1]:
        yield from people_numbers(results.load(compare.domain, "calibration"))


def _designs() -> Numbers:
    """Of the simulated contrasts of fronts: "designs.{runs,coverage.low,coverage.high,false_positives}"; the last is the highest."""
    found = measured("fronts")
    yield from _measured("designs", found, ("runs",))
    ours = [r.rules.ours for r in found.rows]
    shares = {"coverage.low": min(r.coverage for r in ours), "coverage.high": max(r.coverage for r in ours)}
    for key, value in (shares | {"false_positives": max(r.false_positives for r in ours)}).items():
        yield Number(f"designs.{key}", value, rf"{100 * value:.1f}\,\%", unit="%", source=found.place)


def _judge() -> Numbers:
    found = judged.load()
    source = "params.yaml#judge" if found is None else found.place
    for key, text in (("judge.sentence", judged.sentence(found)), ("judge.people.sentence", judged.people(found))):
        yield Number(key, None, text, split=None if found is None else "test", source=source)


def _setup(params: Mapping[str, Any]) -> Numbers:
    """Each leaf of params.yaml as "setup.<dotted key>"; a share in per cent is "<key>.percent".

    "setup.model.name" names the weights whatever their source: package and version, repository and revision, or folder.
    """
    yield Number("setup.alpha", labels.ALPHA, labels.plain(labels.ALPHA), source="polychromic/report/labels.py")
    model = params["model"] if isinstance(params["model"], Mapping) else params["models"][params["model"]]
    parts = [model[key] for key in ("package", "version", "repository", "revision", "path") if model.get(key)]
    yield Number("setup.model.name", None, labels.param_text(" ".join(parts)), source="params.yaml#model")
    for key, value in labels.flatten(params):
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
        yield Number(f"setup.{key}", number, labels.param_text(value), source=f"params.yaml#{key}")
        if isinstance(number, float) and 0 < number < 1:
            text = rf"{labels.plain(100 * number)}\,\%"
            yield Number(f"setup.{key}.percent", number, text, unit="%", source=f"params.yaml#{key}")
