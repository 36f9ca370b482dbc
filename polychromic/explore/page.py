"""The page: one HTML file that holds everything it needs and asks the network for nothing, not even when it is told to.

What keeps it so: a Content-Security-Policy that allows the two scripts by their hashes and no connection at all (Bokeh adds style sheets of
its own, so styles within the page are allowed; they can load nothing); all data as JSON without "<", which no text can end; and page.js,
which writes texts as texts. The same results give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from polychromic import __version__
from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import dumps, read_json, write_text
from polychromic.base.visible import visible
from polychromic.explore import chart
from polychromic.explore.origins import Origins
from polychromic.explore.views import view
from polychromic.params import Params
from polychromic.report import results

LIMIT = 5_000_000  # bytes of a page
TEMPLATE, STYLE = "page.html", "page.css"
PARTS = ("chart.js", "drafts.js", "page.js")  # in this order, one script

Document = dict[str, Any]


def explore(params: Params, domains: Sequence[str], root: Path = Path(".")) -> tuple[Document, list[str]]:
    """The document of a page about these domains, and notes on what is missing: of each split what `compare` and `drafts` made.

    Raises PolychromicError: none of them was compared; UsageError or DataError: a file is not what it should be.
    """
    found, notes = [], []
    both = [(domain, split) for domain in domains for split in ("dev", "test")]
    there = [one for one in both if (root / paths.compare_file(*one)).exists()]
    notes += [f"{paths.compare_file(*one)} is missing: the page leaves out {one[0]} on {one[1]}" for one in both if one not in there]
    origins = Origins(root, [paths.compare_file(*one).as_posix() for one in there])
    for domain, split in there:
        compared, stored = paths.compare_file(domain, split), paths.drafts_file(domain, split)
        drafts = read_json(root / stored) if (root / stored).exists() else None
        if drafts is None:
            notes.append(f"{stored} is missing: no drafts of {domain} on {split}; `polychromic drafts {domain}` makes it")
        one = view(results.load(domain, split, root / paths.RESULTS), drafts)
        cells = origins.of_cells(drafts["cells"]) if drafts else {"shared": {}, "cells": {}}
        found.append(one | {"origin": origins.of_file(compared.as_posix()), **cells})
    if not found:
        missing = " and no ".join(paths.compare_file(domain, "dev").as_posix() for domain in domains)
        raise PolychromicError(f"nothing to explore: no {missing}. Allowed: what `compare` makes. Run `dvc pull`, or `dvc repro`.")
    return {"title": "Polychromic LoRA", "made": _made("polychromic explore"), "views": found}, notes


def _made(command: str) -> dict[str, Any]:
    return {"by": command, "version": __version__}


def write(path: Path, document: Document, commit: str = "") -> Path:
    """Write the page. commit: as `provenance.commit.Commit` names it, "" in the pipeline, whose commit nobody knows yet."""
    write_text(path, render(document, commit))
    return path


def render(document: Document, commit: str = "") -> str:
    """The page as text, LIMIT bytes at most: prompts that do not fit are left out, from the ends of the longest lists.

    Raises PolychromicError: it is too long without any prompt.
    """
    document = deepcopy(document)
    while len((page := _filled(document, commit)).encode()) > LIMIT:
        longest = max(document["views"], key=lambda one: len(dumps(one["prompts"])))
        if not longest["prompts"]:
            what = f"the page has more than {LIMIT:,} bytes without any draft"
            raise PolychromicError(f"{what}. Allowed: fewer systems or domains. Name the domains by --domain.")
        del longest["prompts"][-1 - len(longest["prompts"]) // 8 :]
    return page


def _filled(document: Document, commit: str) -> str:
    import jinja2

    read = lambda name: (Path(__file__).parent / name).read_text(encoding="utf-8")
    scripts = [chart.script(), '"use strict";\n' + "\n".join(map(read, PARTS))]
    policy = "; ".join([
        "default-src 'none'", f"script-src {' '.join(map(_hashed, scripts))}", "style-src 'unsafe-inline'", "img-src data:",
        "base-uri 'none'", "form-action 'none'",
    ])  # fmt: skip
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(read(TEMPLATE)).render(
        title=visible(document["title"]), commit=commit, policy=jinja2.utils.markupsafe.Markup(policy),
        **{name: jinja2.utils.markupsafe.Markup(text) for name, text in (
            ("style", read(STYLE)), ("bokeh", scripts[0]), ("script", scripts[1]), ("data", embedded(document)),
            ("figure", embedded(chart.figure())))},
    )  # fmt: skip


def embedded(value: Mapping[str, Any]) -> str:
    """JSON for a <script type="application/json">: no text in it can end the element, and none holds an invisible or turning character."""

    def clean(one: Any) -> Any:
        if isinstance(one, str):
            return "\n".join(map(visible, one.split("\n")))
        if isinstance(one, Mapping):
            return {visible(key): clean(item) for key, item in one.items()}
        return [clean(item) for item in one] if isinstance(one, list | tuple) else one

    # in its own order, which Bokeh's models need: one refers to those before it
    text = json.dumps(clean(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
