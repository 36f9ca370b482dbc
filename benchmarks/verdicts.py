"""Are the recorded verdicts on programs those of the sandbox as it is now?

Every reply of the sampled cells of domain code is judged again, each (program, task) once, and the share of right replies per row (cell,
seed, temperature, task) is compared with pass@1 in scores.jsonl.gz. Writes benchmarks/results/verdicts.json: counts, and each row that
differs with its programs and their verdicts now. `--pairs FILE` also writes one line per pair, for `diff` with those of another machine or
commit. Five to ten minutes on a quiet core.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, command, commit_name
from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_jsonl, sha256_json, write_json, write_jsonl
from polychromic.base.progress import progress
from polychromic.data.domains.code import DOMAIN, extract
from polychromic.data.records import load_split
from polychromic.params import Params, load_params

SPLITS = ("dev", "test")
Row = tuple[str, str, dict, float]  # split, cell, what was sampled, the recorded share of right replies


def recorded(params: Params) -> Iterator[Row]:
    """Every sampled row with its recorded share. PolychromicError: a row has no score; run `dvc pull` or `dvc repro`."""
    for split in SPLITS:
        key = lambda method, lam, row: (method, lam, row["seed"], row["temperature"], row["id"])
        file = paths.scores_file("code", split)
        shares = {key(row["method"], row["lambda"], row): row["metrics"]["pass@1"] for _, row in read_jsonl(file)}
        for cell in params.cells("code", split):
            for where, row in read_jsonl(paths.cell_dir("code", split, cell.name) / paths.SAMPLES):
                if (at := key(cell.method, cell.lam, row)) not in shares:
                    raise PolychromicError(f"{where}: no score in {file}. Run `dvc pull`, or `dvc repro`, which scores it.")
                yield split, cell.name, row, shares[at]


def judge(rows: Sequence[Row]) -> dict[tuple[str, str], bool]:
    """(task, program) -> whether it is right, each judged once. Raises as sandbox.run.call does."""
    records = {record.id: record for split in SPLITS for record in load_split("code")[split]}
    replies = {(row["id"], extract(reply)): reply for _, _, row, _ in rows for reply in row["samples"]}
    right = {}
    with progress("verdicts", len(replies)) as tick:
        for done, ((task, program), reply) in enumerate(replies.items(), start=1):
            right[task, program] = DOMAIN.answer(records[task], reply) is not None
            tick(done)
    return right


def compared(rows: Sequence[Row], right: dict[tuple[str, str], bool]) -> list[dict[str, Any]]:
    """The rows whose share of right replies is not the recorded one."""
    changed = []
    for split, cell, row, share in rows:
        verdicts = {program: right[row["id"], program] for program in map(extract, row["samples"])}
        found = [verdicts[extract(reply)] for reply in row["samples"]]
        if abs(sum(found) / len(found) - share) > 1e-9:
            which = {key: row[key] for key in ("id", "seed", "temperature")} | {"split": split, "cell": cell}
            changed.append(
                which | {"recorded": round(share * len(found)), "right": sum(found), "replies": len(found), "programs": verdicts}
            )
    return changed


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=Path, help="JSONL to write: task, sha256 of the program, whether it is right")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = options_of(arguments)
    rows = list(recorded(load_params()))
    right = judge(rows)
    changed = compared(rows, right)
    if options.pairs:
        lines = ({"task": task, "program": sha256_json(program), "right": ok} for (task, program), ok in right.items())
        write_jsonl(options.pairs, sorted(lines, key=lambda line: (line["task"], line["program"])))
    counts = {
        "rows": len(rows),
        "replies": sum(len(row["samples"]) for _, _, row, _ in rows),
        "pairs": len(right),
        "right": sum(right.values()),
    }
    write_json(RESULTS / "verdicts.json", {"commit": commit_name(), **counts, "changed": changed})
    print(f"{counts}; {len(changed)} rows differ from what was recorded", file=sys.stderr)


if __name__ == "__main__":
    command(main)
