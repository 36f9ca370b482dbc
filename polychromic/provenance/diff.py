"""Which printed numbers differ between the workspace and a commit or a DVC experiment, and which sentences carry them.

Both sides come from the macros of paper/numbers/*.tex, which Git tracks; the intervals from the records beside them in the
workspace, and from the ".ci" macros of the other side.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polychromic.base.errors import PolychromicError
from polychromic.provenance.appendix import interval, interval_key
from polychromic.provenance.commit import experiments, git, is_repository, resolve, show
from polychromic.provenance.manuscript import Manuscript
from polychromic.provenance.records import Record, definitions, load_records, plain

NUMBERS = "paper/numbers"


def diff(name: str = "HEAD", folder: Path = Path(".")) -> dict[str, Any]:
    """What `folder` prints beside what commit or experiment `name` prints.

    Returns:
        old: the name; commit: its hash.
        changes: per record whose text differs "key", "old" and "new" ({"text", "ci"}, None where the side has no such record) and
            whether the text "printed" it, sorted by key.
        sentences: of main.tex, those that print a changed record: "line", "keys", "old" and "new" as a reader sees them, and "text" with
            «old → new» in place of the values.

    Raises:
        PolychromicError: no Git here, no such revision or experiment, or main.tex is missing.
    """
    if not is_repository(folder):
        raise PolychromicError(f"{folder.resolve().name}/ has no Git history to compare with. Allowed: a clone of the repository.")
    commit = resolve(folder, name)
    if commit is None:
        known = ", ".join(line.rpartition("/")[2] for line in experiments(folder)[:5]) or "none here"
        raise PolychromicError(f"{name!r} is no revision and no experiment. Allowed: what `git log` shows, or an experiment ({known}).")
    before = _texts_at(folder, commit)
    after = {
        key: text
        for path in sorted((folder / NUMBERS).glob("*.tex"))
        for key, text in definitions(path.read_text(encoding="utf-8")).items()
    }
    manuscript, records = Manuscript.load(folder), _records(folder)
    printed = set(manuscript.keys)
    keys = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    changes = [
        {
            "key": key,
            "old": _side(before, key, _interval_before(before, key, records)),
            "new": _side(after, key, _interval_after(after, key, records)),
            "printed": key in printed,
        }
        for key in keys
    ]
    return {"old": name, "commit": commit, "changes": changes, "sentences": _sentences(manuscript, before, after, set(keys))}


def _texts_at(folder: Path, commit: str) -> dict[str, str]:
    paths = git(folder, "ls-tree", "--name-only", commit, "--", f"{NUMBERS}/").splitlines()
    return {key: text for path in paths if path.endswith(".tex") for key, text in definitions(show(folder, commit, path) or "").items()}


def _records(folder: Path) -> Mapping[str, Record]:
    """The records of the workspace; none where they are not here, which costs intervals alone."""
    try:
        return {record.key: record for record in load_records(folder)}
    except PolychromicError:
        return {}


def _side(texts: Mapping[str, str], key: str, interval_text: str) -> dict[str, str] | None:
    return {"text": plain(texts[key]), "ci": plain(interval_text)} if key in texts else None


def _interval_after(texts: Mapping[str, str], key: str, records: Mapping[str, Record]) -> str:
    """From the record, if it is the one that the macros were made with."""
    record = records.get(key)
    return interval(record, records) if record and record.text == texts.get(key) else _interval_by_name(texts, key)


def _interval_before(texts: Mapping[str, str], key: str, records: Mapping[str, Record]) -> str:
    """From the macro that prints this record's interval today, since a commit has the macros alone."""
    if record := records.get(key):
        return texts.get(interval_key(record, records) or "", "")
    return _interval_by_name(texts, key)


def _interval_by_name(texts: Mapping[str, str], key: str) -> str:
    group = key.removesuffix(".delta")
    return texts.get(f"{key}.ci") or (texts.get(f"{group}.ci", "") if group != key else "")


def _sentences(manuscript: Manuscript, before: Mapping[str, str], after: Mapping[str, str], changed: set[str]) -> list[dict[str, Any]]:
    def mark(key: str, text: str) -> str:
        return f"«{plain(before.get(key, '')) or 'nothing'} → {text}»" if key in changed else text

    return [
        {
            "line": sentence.line,
            "keys": sorted(set(sentence.keys) & changed),
            "old": manuscript.render(sentence, before),
            "new": manuscript.render(sentence, after),
            "text": manuscript.render(sentence, after, mark),
        }
        for sentence in manuscript.sentences
        if set(sentence.keys) & changed
    ]
