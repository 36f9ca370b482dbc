"""Which prompts a split has. The seal of test is asked before those of test are handed out; comparing test asks it again."""

from __future__ import annotations

import random
from pathlib import Path

from polychromic.base.errors import UsageError
from polychromic.base.seeds import derive_seed
from polychromic.data.records import Record, load_split
from polychromic.data.seal import check_sealed
from polychromic.params import Params


def prompts_of(params: Params, domain: str, split: str) -> list[Record]:
    """The prompts of a split, in its order; of test as many as its plan says, drawn with analysis.seed.

    Raises:
        UsageError: a split without prompts in this domain, or test of a domain for which nothing was declared.
        PolychromicError: test, and `analysis:` is not committed as it stands or was changed after test was opened (polychromic.data.seal).
    """
    if split == "test":
        check_sealed(Path())
    records = load_split(domain)[split]
    if not records:
        raise UsageError(
            f"domain {domain!r} has no prompts on {split}. Allowed: dev, test; calibration where many people answered one prompt."
        )
    count = params.test_plan(domain).prompts if split == "test" else None
    if count is None or count >= len(records):
        return records
    drawn = random.Random(derive_seed(params.analysis.seed, "test", domain)).sample(range(len(records)), count)
    return [records[place] for place in sorted(drawn)]
