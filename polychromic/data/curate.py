"""Rebuild data/ bit for bit from the packages: records per domain, and the licences that travel with them.

No stage of the pipeline calls this: data/ is an input. Everything is built before anything is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import dumps, write_text
from polychromic.data import code, creative, listqa, replies
from polychromic.data.morphology import Lexicon
from polychromic.data.packages import chitchat_json
from polychromic.data.records import Record
from polychromic.data.wordnet import WordNet

LICENCES = "LICENSES.txt"

Builder = Callable[[], list[Record]]
BUILDERS: dict[str, Builder] = {
    "code": code.build,
    "creative": lambda: creative.build(list(creative.examples()), Lexicon()),
    "listqa": lambda: listqa.build(WordNet(), listqa.load_countries()),
    "replies": lambda: replies.build(replies.load_conversations(chitchat_json())),
}


def contents(domains: Sequence[str], builders: Mapping[str, Builder] = BUILDERS) -> dict[str, tuple[str, list[Record]]]:
    """File name → (text, records) of what data/ must hold for `domains`.

    Raises:
        UsageError: an unknown domain, or none.
        PolychromicError: a source is missing or not the pinned one; or a record id is used twice.
    """
    unknown = sorted(set(domains) - set(builders))
    if unknown or not domains:
        got = ", ".join(unknown) or "nothing"
        raise UsageError(f"cannot curate {got}; allowed domains: {', '.join(builders)}. Name one or more of them.")
    files = {}
    for domain in sorted(set(domains)):
        records = builders[domain]()
        if doubles := [key for key, count in Counter(record.id for record in records).items() if count > 1]:
            raise PolychromicError(f"{domain}: id {doubles[0]!r} is made twice. Ids are to be unique: correct the builder of this domain.")
        files[f"{domain}.jsonl"] = ("".join(dumps(record.model_dump()) + "\n" for record in records), records)
    return files


def licences() -> str:
    return resources.files("polychromic.data").joinpath("licences.txt").read_text(encoding="utf-8")


def curate(out_dir: Path, domains: Sequence[str] = tuple(BUILDERS), builders: Mapping[str, Builder] = BUILDERS) -> dict:
    """Write {domain}.jsonl and LICENSES.txt into `out_dir`; same bytes on every machine.

    Returns:
        {domain: {"records": n, "groups": n, "strata": {stratum: n}}}.
    """
    files = contents(domains, builders)
    for name, (text, _) in files.items():
        write_text(out_dir / name, text)
    write_text(out_dir / LICENCES, licences())
    return {
        name.removesuffix(".jsonl"): {
            "records": len(records),
            "groups": len({record.group for record in records}),
            "strata": dict(sorted(Counter(record.stratum for record in records).items())),
        }
        for name, (_, records) in files.items()
    }


def check(data_dir: Path, domains: Sequence[str] = tuple(BUILDERS), builders: Mapping[str, Builder] = BUILDERS) -> list[str]:
    """Differences between `data_dir` and what curation makes, one line per file; empty when they are the same bytes."""
    wanted = {name: text for name, (text, _) in contents(domains, builders).items()} | {LICENCES: licences()}
    differences = []
    for name, text in sorted(wanted.items()):
        path = data_dir / name
        if not path.is_file():
            differences.append(f"{path}: missing")
            continue
        got, want = path.read_bytes().split(b"\n"), text.encode().split(b"\n")
        if got != want:
            line = next((i for i, (a, b) in enumerate(zip(got, want, strict=False), start=1) if a != b), min(len(got), len(want)) + 1)
            differences.append(f"{path}:{line}: differs from curation ({len(got) - 1} lines, {len(want) - 1} expected)")
    return differences
