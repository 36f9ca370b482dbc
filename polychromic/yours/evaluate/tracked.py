"""The pipeline's own samples in the form of a file of replies: prompt and valid answers come from the domain's data."""

from __future__ import annotations

import tempfile
from pathlib import Path

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_jsonl, write_jsonl

SAMPLES = "samples.jsonl.gz"


def as_samples(path: Path) -> Path:
    """`path` itself, or, for results/DOMAIN/CELL/samples.jsonl.gz, a temporary file with prompts and what is valid.

    Raises:
        PolychromicError: the domain's data do not hold a prompt of the file.
    """
    if path.name != SAMPLES or path.resolve().parent.parent.parent != paths.RESULTS.resolve():
        return path
    from polychromic.data.domains import get_domain
    from polychromic.data.records import read_records

    cell, domain_name = path.parent.name, path.parent.parent.name
    records = {record.id: record for record in read_records(paths.data_file(domain_name))}
    domain = get_domain(domain_name)
    rows = []
    for where, row in read_jsonl(path):
        if row["id"] not in records:
            raise PolychromicError(f"{where}: id {row['id']!r} is not in {paths.data_file(domain_name)}. Run `dvc pull`, or `dvc repro`.")
        record = records[row["id"]]
        checked = {} if domain.checker == "person" else {"valid": [domain.answer(record, text) is not None for text in row["samples"]]}
        kept = {key: row[key] for key in ("id", "samples", "seed", "temperature")}
        rows.append({**kept, "prompt": record.prompt, "references": record.references, "system": cell, **checked})
    folder = Path(tempfile.mkdtemp(prefix="polychromic-"))
    write_jsonl(folder / f"{cell}.jsonl", rows)
    return folder / f"{cell}.jsonl"
