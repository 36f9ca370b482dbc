"""Which printed numbers differ between the workspace and a commit or a DVC experiment, and which sentences carry them.

Both sides are the macros of paper/numbers.tex, which Git tracks; what belongs to an interval's ".ci" is known from the records here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polychromic.base.errors import PolychromicError
from polychromic.provenance.commit import git, is_repository, show
from polychromic.provenance.lock import SHORT
from polychromic.provenance.printed import MACROS, definitions, interval_key, plain
from polychromic.provenance.workspace import RECORDS, Workspace


def diff(name: str = "HEAD", folder: Path = Path(".")) -> dict[str, Any]:
    """What `folder` prints beside what commit or experiment `name` prints.

    Returns:
        old: the name; commit: its hash; summary: how many printed values changed.
        changes: per record whose text differs "key", "old" and "new" ({"text", "ci"}, None where the side has no such record), sorted.
        sentences: of main.tex, those that print one: "line", "keys", "old" and "new" as a reader sees them, "text" with «old → new».
        stale: stages that the numbers rest on and that did not run with what lies here.

    Raises PolychromicError: no Git here, no such revision or experiment, it has no numbers, or main.tex or the records are missing.
    """
    if not is_repository(folder):
        raise PolychromicError(f"{folder.resolve().name}/ has no Git history to compare with. Allowed: a clone of the repository.")
    experiments = ("for-each-ref", "--sort=-committerdate", "--format=%(objectname)", f"refs/exps/*/*/{name}")  # the newest of a name
    revision = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if not (found := (git(folder, *revision, allowed=(0, 1, 128)) or git(folder, *experiments)).split()):
        raise PolychromicError(f"{name!r} is no revision and no experiment. Allowed: what `git log` and `dvc exp list --all-commits` show.")
    commit = found[0]
    text = show(folder, commit, MACROS)
    if not text or not (folder / MACROS).is_file():
        where = f"{folder / MACROS}: file not found" if text else f"commit {commit[:SHORT]} has no {MACROS}"
        raise PolychromicError(f"{where}, which holds what the text prints. Compare revisions that have it (`git log -- {MACROS}`).")
    here, sides = Workspace(folder), {"old": definitions(text), "new": definitions((folder / MACROS).read_text(encoding="utf-8"))}
    before, after = sides.values()
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    changes = []
    for key in changed:
        ci = interval_key(here.records[key], here.records) if key in here.records else ""
        said = lambda texts, key=key, ci=ci: {"text": plain(texts[key]), "ci": plain(texts.get(ci, ""))} if key in texts else None
        changes.append({"key": key} | {side: said(texts) for side, texts in sides.items()})
    marked = lambda key, text: f"«{plain(before.get(key, '')) or 'nothing'} → {text}»" if key in changed else text
    render = here.manuscript.render
    sentences = [
        {"line": line, "keys": keys, "old": render(one, before), "new": render(one, after), "text": render(one, after, marked)}
        for line, one, printed in here.manuscript.sentences
        if (keys := sorted(set(printed) & set(changed)))
    ]
    maker = here.lock.producers.get(RECORDS)
    stale = [one for one in (here.lock.upstream(maker) if maker else ()) if one not in here.stages or any(here.stale(here.stages[one]))]
    summary = f"{len(changed) or 'no'} printed values changed; what changed in tables: git diff {commit[:SHORT]} -- paper/tables"
    return {"old": name, "commit": commit, "summary": summary, "changes": changes, "sentences": sentences, "stale": stale}
