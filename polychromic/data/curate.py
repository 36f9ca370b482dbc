"""Rebuild data/ bit for bit from the packages: records per domain, and the licences that travel with them.

No stage of the pipeline calls this: data/ is an input. Everything is built before anything is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

from polychromic.base.io import dumps, write_text
from polychromic.data import code, creative, listqa, replies
from polychromic.data.records import Record
from polychromic.data.text import shipped
from polychromic.data.wordnet import Lexicon, WordNet

BUILDERS: dict[str, Callable[[], list[Record]]] = {
    "code": code.build,
    "creative": lambda: creative.build(list(creative.examples()), Lexicon()),
    "listqa": lambda: listqa.build(WordNet(), listqa.load_countries()),
    "replies": lambda: replies.build(replies.load_conversations()),
}


def build() -> dict[str, list[Record]]:
    """Domain → its records. Raises PolychromicError where a source is missing or not the pinned one."""
    return {domain: builder() for domain, builder in BUILDERS.items()}


def _texts(found: dict[str, list[Record]]) -> dict[str, str]:
    """File name → what it must hold."""
    texts = {f"{domain}.jsonl": "".join(dumps(r.model_dump()) + "\n" for r in records) for domain, records in found.items()}
    return {"LICENSES.txt": shipped("licences.txt"), **texts}


def curate(out_dir: Path) -> dict[str, dict]:
    """Write {domain}.jsonl and LICENSES.txt into `out_dir`; same bytes on every machine. Raises as `build` does.

    Returns: {domain: {"records": n, "groups": n, "strata": {stratum: n}}}.
    """
    found = build()
    for name, text in _texts(found).items():
        write_text(out_dir / name, text)
    count = lambda field, records: Counter(sorted(getattr(record, field) for record in records))
    return {
        domain: {"records": len(records), "groups": len(count("group", records)), "strata": dict(count("stratum", records))}
        for domain, records in found.items()
    }


def check(data_dir: Path) -> list[str]:
    """Differences between `data_dir` and what curation makes, one line per file; empty for the same bytes. Raises as `build` does."""
    differences = []
    for name, text in sorted(_texts(build()).items()):
        path, want = data_dir / name, text.encode().split(b"\n")
        got = path.read_bytes().split(b"\n") if path.is_file() else []
        if got != want:
            line = next((i for i, pair in enumerate(zip_longest(got, want), start=1) if pair[0] != pair[1]))
            differences.append(f"{path}:{line}: differs from curation ({max(len(got) - 1, 0)} lines, {len(want) - 1} expected)")
    return differences
