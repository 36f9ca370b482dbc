"""Rebuild data/ bit for bit from the packages: records per domain, and the licences that travel with them.

No stage of the pipeline calls this: data/ is an input. Everything is built before anything is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from polychromic.base.errors import PolychromicError
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
    """Domain → its records.

    Raises:
        PolychromicError: a source is missing or not the pinned one; or a record id is used twice.
    """
    found = {domain: builder() for domain, builder in BUILDERS.items()}
    for domain, records in found.items():
        (key, count), *_ = Counter(record.id for record in records).most_common(1)
        if count > 1:
            raise PolychromicError(f"{domain}: id {key!r} is made twice. Ids are to be unique: correct the builder of this domain.")
    return found


def _texts(found: dict[str, list[Record]]) -> dict[str, str]:
    """File name → what it must hold."""
    texts = {f"{domain}.jsonl": "".join(dumps(r.model_dump()) + "\n" for r in records) for domain, records in found.items()}
    return {"LICENSES.txt": shipped("licences.txt"), **texts}


def curate(out_dir: Path) -> dict[str, dict]:
    """Write {domain}.jsonl and LICENSES.txt into `out_dir`; same bytes on every machine. Raises as `build` does.

    Returns:
        {domain: {"records": n, "groups": n, "strata": {stratum: n}}}.
    """
    found = build()
    for name, text in _texts(found).items():
        write_text(out_dir / name, text)
    return {
        domain: {
            "records": len(records),
            "groups": len({record.group for record in records}),
            "strata": dict(Counter(sorted(record.stratum for record in records))),
        }
        for domain, records in found.items()
    }


def check(data_dir: Path) -> list[str]:
    """Differences between `data_dir` and what curation makes, one line per file; empty for the same bytes. Raises as `build` does."""
    differences = []
    for name, text in sorted(_texts(build()).items()):
        path, want = data_dir / name, text.encode().split(b"\n")
        got = path.read_bytes().split(b"\n") if path.is_file() else None
        if got is None:
            differences.append(f"{path}: missing")
        elif got != want:
            line = next((i for i, (a, b) in enumerate(zip(got, want, strict=False), start=1) if a != b), min(len(got), len(want)) + 1)
            differences.append(f"{path}:{line}: differs from curation ({len(got) - 1} lines, {len(want) - 1} expected)")
    return differences
