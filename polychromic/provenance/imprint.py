r"""From the hash that a PDF carries (\recordshash) to the commit of its records: dvc.lock of old named them, the store has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from polychromic.base.io import sha256_file, sha256_json
from polychromic.provenance.commit import Introduced, git, introduced, is_repository
from polychromic.provenance.lock import LOCK, Lock, stored
from polychromic.provenance.records import NAMES

DIGITS = 12
OUT = re.compile(rf"path: (results/[^/\s]+/(?:{'|'.join(map(re.escape, NAMES))}))\n +hash: md5\n +md5: ([0-9a-f]{{32}})")


def imprint(files: Mapping[str, Path]) -> str:
    """The hash of records files by their path in the workspace, as polychromic.report.latex.records_hash gives it to the PDF."""
    return sha256_json(sorted([Path(name).parent.name, Path(name).name, sha256_file(path)] for name, path in files.items()))[:DIGITS]


def files_of(folder: Path, md5s: Mapping[str, str]) -> dict[str, Path] | None:
    """Where records files of these hashes are kept, None where one is not."""
    found = {name: stored(folder, md5) for name, md5 in md5s.items()}
    return {name: path for name, path in found.items() if path} if all(found.values()) else None


def commit_of(folder: Path, wanted: str, lock: Lock) -> Introduced | None:
    """The commit that first had the records of this hash, as far back as they stayed; None where no commit's records have it.

    The records of the present dvc.lock count without Git, too: then the commit is that of the archive.
    """
    present = {out.path: str(out.md5) for stage in lock.stages.values() for out in stage.outs if out.path.rpartition("/")[2] in NAMES}
    files = files_of(folder, present)
    if not is_repository(folder):
        return introduced(folder, "", LOCK) if files and imprint(files) == wanted else None
    cache: dict[tuple, str | None] = {}
    found = None
    for commit in git(folder, "log", "--first-parent", "--format=%H", "--", LOCK).split():
        md5s = dict(OUT.findall(git(folder, "show", f"{commit}:{LOCK}")))
        key = tuple(sorted(md5s.items()))
        if key not in cache:
            files = files_of(folder, md5s) if md5s else None
            cache[key] = imprint(files) if files else None
        if cache[key] == wanted:
            found = commit
        elif found:
            break
    if found is None:
        return None
    date, subject = git(folder, "log", "-1", "--format=%cI%x00%s", found).strip().split("\x00", 1)
    shallow = (folder / git(folder, "rev-parse", "--git-path", "shallow").strip()).exists()
    return Introduced(found, date, subject, exact=not shallow, note="shallow history" if shallow else "")
