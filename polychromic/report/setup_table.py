r"""The tables of params.yaml: every parameter, and what the metrics in use are. They touch no file.

Of the parameters nothing is left out: a row per method, the domains side by side, a row per key for everything else; what most methods
share stands once, in the row under the methods; contrasts of one kind stand together. Three longtables with one caption and one number,
which main.tex gives as \tablecaption.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from polychromic.report import labels
from polychromic.report.labels import flatten, param_text
from polychromic.report.tables import DASH, longtable, row
from polychromic.score.metrics import signature

# Head, then the keys that share the cell; all further keys of a method go into the last column, where they differ from the others'.
COLUMNS = (("adapter", "adapter"), ("loss", "loss", "settings"), ("objective", "objective", "subset"), (r"$\lambda$", "lam"),
           ("budget", "budget"), ("seeds", "seeds"), ("domains", "domains"))  # fmt: skip
WITHOUT_LIMIT = ("seeds", "domains")  # unset, a method has all of them
RAGGED = r">{\raggedright\arraybackslash}"


def setup_table(params: Mapping[str, Any]) -> str:
    """All parameters as LaTeX: methods, domains, the others."""
    return _methods(params["methods"]) + _domains(params, params["domains"]) + _others(params, params["domains"])


def _methods(methods: Mapping[str, Mapping[str, Any]]) -> str:
    shown = {key for _, *keys in COLUMNS for key in keys}
    further = list(dict.fromkeys(key for method in methods.values() for key in method if key not in shown))
    usual = {key: Counter(_setting(method[key]) for method in methods.values()).most_common(1)[0][0] for key in further}
    lines = []
    for name, method in methods.items():
        own = [(key, text) for key in further if (text := _setting(method[key])) != usual[key]]
        lines.append(row([_code(name), *(_breaking(_cell(method, *keys)) for _, *keys in COLUMNS), _listed(own)]))
    rest = rf"Further settings, where a row does not say otherwise: {_listed(usual.items())}."
    lines += [r"\midrule", rf"\multicolumn{{{len(COLUMNS) + 2}}}{{@{{}}p{{\linewidth}}@{{}}}}{{\raggedright {rest}}}\\"]
    loss, objective, reach, last = (f"{RAGGED}p{{{width}\\linewidth}}" for width in (0.12, 0.11, 0.07, 0.24))
    head = [_code("methods."), *(title for title, *_ in COLUMNS), "further settings"]
    return longtable(f"ll{loss}{objective}rrr{reach}{last}", head, lines)


def _cell(method: Mapping[str, Any], first: str, *settings: str) -> str:
    if method[first] is None and first in WITHOUT_LIMIT:
        return "all"
    found = [(method[key], key) for key in settings if method[key]]
    more = [_setting(value) if isinstance(value, Mapping) else f"{labels.escape(key)} {_setting(value)}" for value, key in found]
    return ", ".join([_setting(method[first]), *more])


def _domains(params: Mapping[str, Any], domains: Sequence[str]) -> str:
    """A row per key of the domains' sections, a column per domain; the endpoints of the analysis, which are by domain, too."""
    ends = {name: {f"analysis.endpoints.{key}": value for key, value in params["analysis"]["endpoints"][name].items()} for name in domains}
    sections = [dict(flatten(params[name])) | ends[name] for name in domains]
    keys = dict.fromkeys(key for section in sections for key in section)
    # The star keeps its rows on one page.
    lines = [row([_code(key), *(_breaking(param_text(s[key])) if key in s else DASH for s in sections)]) + "*" for key in keys]
    columns = "l" + f"{RAGGED}p{{{0.68 / len(domains):.3f}\\linewidth}}" * len(domains)
    return longtable(columns, ["by domain", *map(_code, domains)], lines, continued=True)


def _others(params: Mapping[str, Any], domains: Sequence[str]) -> str:
    analysis, tests = params["analysis"], params["analysis"]["test"]
    parts = tuple(f"analysis.test.{name}.{part}" for name in tests for part in ("systems", "contrasts"))
    elsewhere = ("methods.", "analysis.endpoints.", "analysis.contrasts", *(f"{name}." for name in domains), *parts)
    found = [(key, param_text(value)) for key, value in flatten(params) if not key.startswith(elsewhere)]
    for name, plan in tests.items():  # a system that test is opened for, as "name (key value, ...)"
        systems = [f"{labels.escape(system)} ({_setting({k: v for k, v in settings.items() if v is not None}, ', ')})"
                   for system, settings in plan["systems"].items()]  # fmt: skip
        found.append((f"analysis.test.{name}.systems", "; ".join(systems)))
    declared = {"analysis.contrasts": analysis["contrasts"]}
    declared |= {f"analysis.test.{name}.contrasts": plan["contrasts"] for name, plan in tests.items()}
    for key, contrasts in declared.items():
        kinds: dict[str, list[str]] = {}  # which the keys beside a and b tell apart -> the pairs
        for contrast in contrasts:
            kind = _setting({name: value for name, value in contrast.items() if name not in ("a", "b") and value is not None}, ", ")
            kinds.setdefault(kind, []).append(f"{labels.escape(contrast['a'])} $-$ {labels.escape(contrast['b'])}")
        found += [(key, f"{kind}: {'; '.join(pairs)}") for kind, pairs in kinds.items()]
    lines = [row([_code(key), text]) for key, text in found]
    return longtable(rf"l{RAGGED}p{{0.7\linewidth}}", ["parameter", "value"], lines, continued=True)


def _setting(value: Any, mark: str = "") -> str:
    """A value of a method: a dash where it is unset, a mapping as "key value, ..."; lists inside one end with a semicolon."""
    if value is None or value == "none" or value == {}:
        return DASH
    if not isinstance(value, Mapping):
        return param_text(value)
    mark = mark or ("; " if any(isinstance(item, list | tuple) for item in value.values()) else ", ")
    return mark.join(f"{labels.escape(str(key))} {_setting(item)}" for key, item in value.items())


def _listed(settings: Iterable[tuple[str, str]]) -> str:
    return "; ".join(f"{_code(key)} {'none' if text == DASH else text}" for key, text in settings)


def _breaking(text: str) -> str:
    """Names in narrow columns may break after their underscores."""
    return text.replace(r"\_", r"\_\allowbreak{}")


def _code(key: str) -> str:
    return rf"\texttt{{{labels.escape(key)}}}"


def definitions_table(params: Mapping[str, Any]) -> str:
    """Every metric that a domain reports, in the catalogue's order: label with direction, range, signature."""
    names = labels.metric_order({name for domain in params["domains"] for name in params[domain]["metrics"]} | {"objective"})
    encoder = params["encoder"].get("package") or params["encoder"].get("repository") or ""
    lines = []
    for name in names:
        info = labels.metric(name)
        low = r"$-\infty$" if info.low is None else labels.plain(info.low)
        high = r"$\infty$" if info.high is None else str(info.high).removesuffix(".0")
        text = labels.escape(signature(name, encoder).partition("|")[2]).replace("|", r" \textbar{} ")
        lines.append(row([labels.title(name, math=True), f"{low} to {high}", text]))
    return longtable(r"llp{0.6\linewidth}", ["metric", "range", "definition"], lines)
