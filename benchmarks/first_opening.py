"""What test said at its first opening, when another design was tested on other prompts: taken from the commit that holds it.

The first opening stays in the paper as what it was. Its primary contrasts are read out of results/DOMAIN/test/compare.json of COMMIT,
by DVC from the store, and set beside what was expected before it (docs/tries.md). Nothing is computed. Writes
benchmarks/results/first_opening.json.
"""

from __future__ import annotations

import hashlib
import json

import dvc.api

from benchmarks.common import RESULTS
from polychromic.base import paths
from polychromic.base.io import write_json

COMMIT = "b796e1c"
# (domain, a, b) -> docs/tries.md, "What we expected, written before the first look", in the metric's unit; DOUBT: no side was taken.
DOUBT = "open"
EXPECTED = {
    ("listqa", "polychromic", "lora"): "higher, by about .1",
    ("listqa", "polychromic", "lora_longer"): "not distinguishable, rather lower",
    ("listqa", "polychromic", "rft_min_p"): "not distinguishable, rather lower",
    ("listqa", "polychromic_min_p", "lora_min_p"): "higher, by .1 to .2",
    ("listqa", "polychromic_long", "lora_longer"): "not distinguishable",
    ("listqa", "polychromic_long_min_p", "lora_longer_min_p"): DOUBT,
    ("replies", "polychromic", "lora"): "no difference",
    ("replies", "polychromic", "zero_shot"): "lower",
    ("replies", "polychromic", "rft"): "higher",
    ("creative", "polychromic", "lora"): "higher, by about 1",
    ("creative", "polychromic", "rft"): DOUBT,
    ("code", "polychromic", "lora"): "higher, by .05 to .1",
    ("code", "polychromic", "rft"): "not said",
}
FIELDS = ("a", "b", "metric", "delta", "low", "high", "p_adjusted", "n_prompts", "seeds")


def main() -> None:
    rows, sources = [], {}
    for domain in dict.fromkeys(domain for domain, _, _ in EXPECTED):
        path = paths.compare_file(domain, "test").as_posix()
        text = dvc.api.read(path, rev=COMMIT)
        sources[path] = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        for contrast in json.loads(text)["contrasts"]:
            if contrast["family"] == "primary":
                expected = EXPECTED[domain, contrast["a"], contrast["b"]]
                rows.append({"domain": domain, "expected": expected, **{field: contrast[field] for field in FIELDS}})
    assert len(rows) == len(EXPECTED)
    write_json(RESULTS / "first_opening.json", {"commit": COMMIT, "files": sources, "rows": rows})


if __name__ == "__main__":
    main()
