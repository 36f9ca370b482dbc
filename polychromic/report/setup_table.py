r"""The tables of params.yaml: every parameter, and what the metrics in use are. They touch no file.

Of the parameters nothing is left out: a row per method, the domains side by side, a row per key for everything else; what most methods
share stands once, in the row under the methods; contrasts of one kind stand together. Three longtables with one caption and one number,
which main.tex gives as \tablecaption.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from polychromic.report import labels
from polychromic.report.labels import flatten, param_text
from polychromic.report.tables import DASH, longtable, row

# Head, then the keys that share the cell; all further keys of a method go into the last column, where they differ from the others'.
COLUMNS = (("adapter", "adapter"), ("loss", "loss", "settings"), ("objective", "objective", "subset"), (r"$\lambda$", "lam"),
           ("budget", "budget"), ("seeds", "seeds"), ("domains", "domains"))  # fmt: skip
WITHOUT_LIMIT = ("seeds", "domains")  # unset, a method has all of them
RAGGED = r">{\raggedright\arraybackslash}"


def setup_table(params: Mapping[str, Any]) -> str:
    """All parameters as LaTeX: methods, domains, the others."""
    domains = [name for name in params["domains"] if name in params]
    return "".join([_methods(params["methods"]), _domains(params, domains), _others(params, domains)])


def _methods(methods: Mapping[str, Mapping[str, Any]]) -> str:
    shown = {key for _, *keys in COLUMNS for key in keys}
    further = list(dict.fromkeys(key for method in methods.values() for key in method if key not in shown))
    usual = {key: Counter(_setting(method.get(key)) for method in methods.values()).most_common(1)[0][0] for key in further}
    lines = []
    for name, method in methods.items():
        own = [(key, text) for key in further if (text := _setting(method.get(key))) != usual[key]]
        lines.append(row([_code(name), *(_cell(method, keys) for _, *keys in COLUMNS), _listed(own)]))
    rest = rf"Further settings, where a row does not say otherwise: {_listed(list(usual.items()))}."
    lines += [r"\midrule", rf"\multicolumn{{{len(COLUMNS) + 2}}}{{@{{}}p{{\linewidth}}@{{}}}}{{\raggedright {rest}}}\\"]
    head = row([_code("methods."), *(title for title, *_ in COLUMNS), "further settings"])
    loss, objective, reach, further = (f"{RAGGED}p{{{width}\\linewidth}}" for width in (0.13, 0.12, 0.08, 0.28))
    return longtable(f"ll{loss}{objective}rrr{reach}{further}", head, lines)


def _cell(method: Mapping[str, Any], keys: Sequence[str]) -> str:
    first, *settings = keys
    if method.get(first) is None and first in WITHOUT_LIMIT:
        return "all"
    found = [(key, _setting(method[key])) for key in settings if method.get(key)]
    texts = [_setting(method.get(first))] + [text if isinstance(method[key], Mapping) else f"{_name(key)} {text}" for key, text in found]
    return ", ".join(texts)


def _domains(params: Mapping[str, Any], domains: Sequence[str]) -> str:
    """A row per key of the domains' sections, a column per domain; the endpoints of the analysis, which are by domain, too."""
    sections = {name: dict(flatten(params[name])) for name in domains}
    for name, ends in params["analysis"].get("endpoints", {}).items():
        if name in sections:
            sections[name] |= {f"analysis.endpoints.{key}": value for key, value in ends.items()}
    keys = list(dict.fromkeys(key for section in sections.values() for key in section))
    # The star keeps its rows on one page.
    lines = [row([_code(key), *(param_text(s[key]) if key in s else DASH for s in sections.values())]) + "*" for key in keys]
    width = f"{0.74 / max(len(domains), 1):.3f}"
    return continued("l" + f"{RAGGED}p{{{width}\\linewidth}}" * len(domains), row(["by domain", *map(_code, domains)]), lines)


def _others(params: Mapping[str, Any], domains: Sequence[str]) -> str:
    tests = params["analysis"].get("test", {})
    elsewhere = ("methods.", *(f"{name}." for name in domains), *(f"analysis.endpoints.{name}." for name in domains), "analysis.contrasts.")
    elsewhere += tuple(f"analysis.test.{name}.{part}." for name in tests for part in ("systems", "contrasts"))
    lines = [row([_code(key), param_text(value)]) for key, value in flatten(params) if not key.startswith(elsewhere)]
    for name, plan in tests.items():
        lines.append(row([_code(f"analysis.test.{name}.systems"), "; ".join(map(_system, plan["systems"], plan["systems"].values()))]))
    declared = {"analysis.contrasts": params["analysis"].get("contrasts", [])}
    declared |= {f"analysis.test.{name}.contrasts": plan["contrasts"] for name, plan in tests.items()}
    for key, contrasts in declared.items():
        lines += [row([_code(key), f"{kind}: {'; '.join(pairs)}"]) for kind, pairs in _contrasts(contrasts).items()]
    return continued(rf"l{RAGGED}p{{0.75\linewidth}}", row(["parameter", "value"]), lines)


def _system(name: str, settings: Mapping[str, Any]) -> str:
    """A system that test is opened for, as "name (key value, ...)"."""
    return f"{_name(name)} ({', '.join(f'{_name(key)} {_setting(value)}' for key, value in settings.items() if value is not None)})"


def _contrasts(contrasts: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The pairs a, b of each kind, which the other keys tell apart; in the order of the file."""
    kinds: dict[str, list[str]] = {}
    for contrast in contrasts:
        kind = ", ".join(f"{_name(key)} {param_text(value)}" for key, value in contrast.items() if key not in ("a", "b"))
        kinds.setdefault(kind, []).append(f"{_name(contrast['a'])} $-$ {_name(contrast['b'])}")
    return kinds


def _setting(value: Any) -> str:
    """A value of a method: a dash where it is unset, a mapping as "key value, ..."; lists inside one end with a semicolon."""
    if value is None or value == "none" or value == {}:
        return DASH
    if not isinstance(value, Mapping):
        return param_text(value)
    mark = "; " if any(isinstance(item, list | tuple) for item in value.values()) else ", "
    return mark.join(f"{_name(key)} {_setting(item)}" for key, item in value.items())


def _listed(settings: Sequence[tuple[str, str]]) -> str:
    return "; ".join(f"{_code(key)} {'none' if text == DASH else text}" for key, text in settings)


def _name(key: Any) -> str:
    return labels.escape(str(key))


def _code(key: str) -> str:
    return rf"\texttt{{{_name(key)}}}"


def continued(columns: str, head: str, lines: Sequence[str]) -> str:
    """A table that may break over pages and belongs to the one before it: no caption and, by the star, no number."""
    start = [rf"\begin{{longtable*}}{{@{{}}{columns}@{{}}}}", r"\toprule", head, r"\midrule\endhead", r"\bottomrule\endfoot"]
    return "\n".join([*start, *lines, r"\end{longtable*}"]) + "\n"


def definitions_table(params: Mapping[str, Any]) -> str:
    """Every metric that a domain reports, in the catalogue's order: label with direction, range, signature."""
    from polychromic.score.metrics import signature  # brings the metrics' packages, which no other table needs

    names = labels.metric_order({name for domain in params["domains"] for name in params[domain]["metrics"]} | {"objective"})
    encoder = params["encoder"].get("package") or params["encoder"].get("repository") or ""
    lines = []
    for name in names:
        info = labels.metric(name)
        bounds = [
            r"$-\infty$" if info.low is None else f"{info.low:g}",
            r"$\infty$" if info.high is None else f"{info.high}".removesuffix(".0"),
        ]
        text = labels.escape(signature(name, encoder).partition("|")[2]).replace("|", r" \textbar{} ")
        lines.append(row([labels.title(name, math=True), f"{bounds[0]} to {bounds[1]}", text]))
    return longtable(r"llp{0.6\linewidth}", row(["metric", "range", "definition"]), lines)
