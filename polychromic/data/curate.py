"""Rebuild data/ bit for bit from the packages: records per domain, and the licences that travel with them.

No stage of the pipeline calls this: data/ is an input. Everything is built before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

from polychromic.base.io import dumps, together, write_text
from polychromic.data import code, creative, listqa, replies
from polychromic.data.records import Record
from polychromic.data.text import shipped
from polychromic.data.wordnet import Lexicon

BUILDERS: dict[str, Callable[[], list[Record]]] = {
    "code": code.build,
    "creative": lambda: creative.build(list(creative.examples()), Lexicon()),
    "listqa": listqa.build,
    "replies": lambda: replies.build(replies.load_conversations()),
}


def build() -> dict[str, str]:
    """File name → what it must hold. Raises PolychromicError where a source is missing or not the pinned one."""
    lines = lambda records: "".join(dumps(record.model_dump()) + "\n" for record in records)
    return {"LICENSES.txt": shipped("licences.txt"), **{f"{domain}.jsonl": lines(builder()) for domain, builder in BUILDERS.items()}}


def curate(out_dir: Path) -> dict[str, int]:
    """Write the files into `out_dir`, the same bytes on every machine. Returns: file name → its lines. Raises as `build` does."""
    texts = build()
    with together():
        for name, text in texts.items():
            write_text(out_dir / name, text)
    return {name: text.count("\n") for name, text in texts.items()}


def check(data_dir: Path) -> list[str]:
    """Differences between `data_dir` and what curation makes, one line per file; empty for the same bytes. Raises as `build` does."""
    differences = []
    for name, text in sorted(build().items()):
        path, want = data_dir / name, text.encode().split(b"\n")
        got = path.read_bytes().split(b"\n") if path.is_file() else []
        if got != want:
            line = next((i for i, pair in enumerate(zip_longest(got, want), start=1) if pair[0] != pair[1]))
            differences.append(f"{path}:{line}: differs from curation ({max(len(got) - 1, 0)} lines, {len(want) - 1} expected)")
    return differences
