"""What dev, test and calibration say of a domain, as records under "<domain>.<split>." and "people."."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from polychromic.report import labels
from polychromic.report.records import Number
from polychromic.report.results import Compare, Fields

Numbers = Iterator[Number]
OF_WEIGHTS = {"validation_ce": 3, "kl_to_base": 2, "reply_tokens": 1, "objective": 3, "sets": 0}  # field -> digits


def split_numbers(compare: Compare) -> Numbers:
    """All records "<domain>.<split>.*", with the split, and the file before each row that a record comes from."""
    groups = (_about, _systems, _contrasts, _selves, *((_lambda, _choices) if compare.split == "dev" else ()))
    for number in (number for group in groups for number in group(compare)):
        source = f"{compare.place}#{number.source}" if number.source else compare.place
        yield replace(number, key=f"{compare.domain}.{compare.split}.{number.key}", split=compare.split, source=source)


def _about(compare: Compare) -> Numbers:
    """ "name", "primary.name", "quality.name", counts, and on test "machines" and "training.*"."""
    headline = compare.chosen_system(compare.headline)
    for key, text in (("name", compare.domain_name), *((f"{of}.name", labels.metric(compare[of]).label) for of in ("primary", "quality"))):
        yield Number(key, None, text)
    drafts = sum(len(system.seeds) * system.n_prompts * system.n_samples for system in compare.systems)
    counts = {"n_prompts": headline.n_prompts, "n_samples": headline.n_samples, "seeds.count": len(headline.seeds), "drafts": drafts}
    counts |= {"systems.count": len(compare.labels()), "peers.count": sum(not compare.methods[name].ours for name in compare.labels())}
    for key, count in counts.items():
        yield Number(key, count, labels.thousands(count), source="systems")
    if compare.split == "test":
        yield Number("machines", None, labels.escape(" and ".join(compare.machines)), source="machines")
        for key, count in compare.training.items():
            yield Number(f"training.{key}", count, labels.thousands(count), source="training")


def _systems(compare: Compare) -> Numbers:
    """Each label at its chosen temperature: "<label>.<metric>" and its ".ci"; "<label>.{temperature,seeds,distinct_per_valid}", and of what
    was trained "<label>.{cost,steps,checked}": multiples of LoRA's C, steps, replies that the checker saw."""
    for system in (system for system in compare.systems if system.chosen):
        label, source = system.label, f"systems/{system.label}@T={labels.plain(system.temperature)}"
        about = {"n": system.n_prompts, "seeds": tuple(system.seeds), "source": source}
        for name, e in system.metrics.items():
            yield from _with_interval(f"{label}.{name}", f"{label}.{name}.ci", name, (e.mean, e.low, e.high), about)
        spent, counted = compare.costs.get(label), {"temperature": system.temperature, "seeds": len(system.seeds)}
        counted |= {"distinct_per_valid": system.distinct_per_valid}
        counted |= {"cost": spent.relative, "steps": spent.steps, "checked": spent.checked} if spent else {}
        for key, value in counted.items():
            if value is not None:
                text = f"{value:.2f}" if key == "distinct_per_valid" else labels.plain(value) if value < 1000 else labels.thousands(value)
                yield Number(f"{label}.{key}", value, text, source=source)


def _with_interval(key: str, beside: str, metric: str, three: tuple, about: dict[str, Any], sign: bool = False) -> Numbers:
    """A metric's value, or difference, and the text of its interval."""
    value, low, high = three
    unit = ("points" if sign else "%") if labels.metric(metric).percent else ""
    base = Number(key, value, labels.format_value(metric, value, unit=True, sign=sign), unit, low, high, **about)
    yield base
    yield replace(base, key=beside, value=None, text=labels.format_interval(metric, low, high, sign=sign))


def _contrasts(compare: Compare) -> Numbers:
    """ "front.<a>.<b>.gap" on the primary metric, "chosen.<a>.<b>.<metric>.delta", with ".ci", ".p", ".p_adjusted", ".detectable" and
    ".seeds" beside; of fronts also ".shared", ".unmatched" and ".dominates", a share of resamples. Without a match the gap is words. A
    stratum stands behind b."""
    for c in compare.contrasts:
        front = c.rule == "front"
        prefix = ".".join(filter(None, (c.rule, c.a, c.b, c.stratum, None if front else c.metric)))
        yield from _estimate(prefix, "gap" if front else "delta", c.metric, c, f"contrasts/{c.id}")
        about = {"n": c.n_prompts, "seeds": tuple(c.seeds), "source": f"contrasts/{c.id}"}
        yield Number(f"{prefix}.p_adjusted", c.p_adjusted, _p(c.p_adjusted), **about)
        if front:
            shared = " to ".join(labels.format_value(compare.quality, end) for end in c.shared)
            yield Number(f"{prefix}.shared", None, "none" if c.shared[0] > c.shared[1] else shared, **about)
            shares = {"unmatched": c.unmatched, "above": c.above, f"dominates.{c.dominates or 'neither'}": c.certainty}
            for key, share in shares.items():
                if share is not None:
                    yield Number(f"{prefix}.{key}", share, rf"{100 * share:.0f}\,\%", "%", **about)
        elif c.non_inferior is not None:
            yield Number(f"{prefix}.margin", c.margin, labels.format_value(c.metric, c.margin, unit=True), "points", **about)
            words = "non-inferior" if c.non_inferior else "not shown to be non-inferior"
            yield Number(f"{prefix}.non_inferior", int(c.non_inferior), words, **about)


def _estimate(prefix: str, name: str, metric: str, e: Fields, source: str) -> Numbers:
    about = {"seeds": tuple(e.seeds), "source": source, "n": e.get("n_prompts")}
    yield Number(f"{prefix}.seeds", len(e.seeds), str(len(e.seeds)), **about)
    if e.delta is None:
        yield Number(f"{prefix}.{name}", None, "no match", **about)
        return
    yield from _with_interval(f"{prefix}.{name}", f"{prefix}.ci", metric, (e.delta, e.low, e.high), about, sign=True)
    yield Number(f"{prefix}.p", e.p, _p(e.p), **about)
    unit = "points" if labels.metric(metric).percent else ""
    yield Number(f"{prefix}.detectable", e.detectable, labels.format_value(metric, e.detectable, True, True).lstrip("+"), unit, **about)


def _p(p: float) -> str:
    text = labels.format_p(p)
    return rf"\ensuremath{{{text if text.startswith('<') else f'={text}'}}}"


def _selves(compare: Compare) -> Numbers:
    """ "self.<label>.gap" and what stands beside a contrast's."""
    for row in compare.self_contrasts:
        yield from _estimate(f"self.{row.label}", "gap", compare.primary, row, f"self_contrasts/{row.label}")


def _lambda(compare: Compare) -> Numbers:
    """ "lambda.{recommended,trend.p}"; "lambda.<label>.<field>" of OF_WEIGHTS, ".gap.{quality,coverage}", ".clipped.{quality,objective}";
    "dose.<label>.{sets,objective}"."""
    grid = compare.selection.lam
    yield Number("lambda.recommended", grid.recommended, labels.plain(grid.recommended), source="selection/lambda")
    if grid.trend:
        yield Number("lambda.trend.p", grid.trend.p, _p(grid.trend.p), n=grid.trend.n_prompts, source="selection/lambda/trend")
    for row in grid.rows:
        source = f"selection/lambda/{row.label}"
        yield from _fields(f"lambda.{row.label}", row, OF_WEIGHTS.items(), source)
        yield from _fields(f"lambda.{row.label}.gap", row.held_out_gap, (("quality", 3), ("coverage", 3)), source)
        for term, share in row.clipped.items():
            if share is not None:
                yield Number(f"lambda.{row.label}.clipped.{term}", share, rf"{100 * share:.0f}\,\%", "%", source=source)
    for row in compare.selection.doses:
        yield from _fields(f"dose.{row.label}", row, (("sets", 0), ("objective", 3)), f"selection/doses/{row.label}")


def _fields(prefix: str, row: Fields, digits: Iterable[tuple[str, int]], source: str) -> Numbers:
    for key, places in digits:
        if row[key] is not None:
            text = labels.signed(f"{row[key]:.{places}f}") if places else labels.thousands(row[key])
            yield Number(f"{prefix}.{key}", row[key], text, source=source)


def _choices(compare: Compare) -> Numbers:
    """ "<role>.name" of the best peers, "tries.count", "calibration.*": the human-only fit of the match threshold."""
    for role, label in compare.selection.best.items():
        yield Number(f"{role}.name", None, labels.system_name(label) if label else "none", source="selection/best")
    count = len(compare.selection.tries)
    yield Number("tries.count", count, labels.thousands(count), source="selection/tries")
    for key, value in (compare.calibration or {}).items():
        share = key in ("within", "across", "ceiling", "floor")
        text = rf"{100 * value:.1f}\,\%" if share else f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"
        yield Number(f"calibration.{key}", float(value), text, unit="%" if share else "", source="calibration")


def people_numbers(found: Fields) -> Numbers:
    """Drafts beside people: how alike they are, and how many people they match, on the messages that many people answered.

    Keys people.{n_prompts,temperature,drafts,targets,collision}; people.{ceiling,floor} with .ci, human recall of people's own
    replies and of people's replies to other messages; people.<label>.{ratio,human_recall,floor} with .ci.
    """
    for name in ("n_prompts", "drafts", "targets", "temperature"):
        yield Number(f"people.{name}", found[name], labels.plain(found[name]), source=found.place)
    yield Number("people.collision", found.human_collision, f"{found.human_collision:.3f}", source=found.place)
    means = [("ceiling", found.people.human_recall[-1], (), "people"), ("floor", found.people.floor.human_recall[-1], (), "people")]
    for label, s in sorted(found.systems.items()):
        each = {"ratio": s.ratio, "human_recall": s.human_recall[-1], "floor": s.floor.human_recall[-1]}
        means += [(f"{label}.{name}", at, tuple(s.seeds), label) for name, at in each.items()]
    for key, at, seeds, place in means:
        share = not key.endswith("ratio")
        about = {"n": found.n_prompts, "seeds": seeds, "source": f"{found.place}#{place}"}
        text = rf"{labels.signed(f'{100 * at.value:.1f}')}\,\%" if share else f"{at.value:.2f}"
        yield Number(f"people.{key}", at.value, text, "%" if share else "", at.low, at.high, **about)
        yield Number(f"people.{key}.ci", None, labels.bracketed(at.low, at.high, share), **about)
