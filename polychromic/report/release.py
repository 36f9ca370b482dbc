"""The release copy: paper/main.pdf under a name that says its commit, with the commit, dirty flag and dvc.lock's hash beside it.

main.pdf itself cannot hold these: it is an output recorded in dvc.lock, so its hash would have to contain itself.
"""

from __future__ import annotations

from pathlib import Path

from polychromic.base.errors import PolychromicError
from polychromic.base.io import atomic_open, sha256_file, write_json
from polychromic.provenance.commit import current

UNKNOWN = "unknown"


def release(root: Path) -> Path:
    """Copy root/paper/main.pdf to root/release/polychromic-<commit7>[-dirty].pdf, and its facts to the same name with .json.

    The JSON holds {"commit", "dirty", "dvc_lock_sha256", "pdf_sha256"}. In an unpacked `git archive` the commit is the archive's, before
    the first commit it is "unknown"; dirty is null in both.

    Raises:
        PolychromicError: paper/main.pdf or dvc.lock is missing, or git refuses to answer.
    """
    pdf, lock = root / "paper" / "main.pdf", root / "dvc.lock"
    for path in (pdf, lock):
        if not path.exists():
            raise PolychromicError(f"{path}: file not found. A release needs it; run `dvc repro` first.")
    commit, dirty = revision(root)
    name = f"polychromic-{commit if commit == UNKNOWN else commit[:7]}{'-dirty' if dirty else ''}"
    out = root / "release" / f"{name}.pdf"
    with atomic_open(out) as file:
        file.write(pdf.read_bytes())
    write_json(
        out.with_suffix(".json"), {"commit": commit, "dirty": dirty, "dvc_lock_sha256": sha256_file(lock), "pdf_sha256": sha256_file(out)}
    )
    return out


def revision(root: Path) -> tuple[str, bool | None]:
    """(commit, dirty) as polychromic.provenance.commit knows them, also in an unpacked archive; ("unknown", None) where nobody knows."""
    found = current(root)
    return found.hash or UNKNOWN, found.dirty
