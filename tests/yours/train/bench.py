"""What tests of the practitioner's door start from: a tiny base, rows, a quality that a random model can raise, and an adapter."""

from __future__ import annotations

import json
from pathlib import Path

from polychromic.yours.train.run import Request
from polychromic.yours.train.settings import Settings
from tests.tiny import make_tiny_model

QUALITY = "def good(row, replies):\n    return [min(1.0, reply.count('a') / 2) for reply in replies]\n"
ANIMALS = "heron otter badger lynx stoat raven marten osprey newt adder vole shrew".split()
SMALL = dict(steps=6, batch=4, max_new_tokens=4, n=2, dev_share=0.3, precision="float32")


def write_rows(path: Path, count: int = 12) -> Path:
    rows = ({"prompt": f"Describe the {name}.", "completion": f"a {name} at dawn", "id": name} for name in ANIMALS[:count])
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def make_place(folder: Path, kind: str = "qwen3") -> Path:
    make_tiny_model(folder / "base", kind)
    write_rows(folder / "rows.jsonl")
    (folder / "mine.py").write_text(QUALITY)
    return folder


def request_of(folder: Path, out: str = "adapter", **changes) -> Request:
    own = {name: changes.pop(name) for name in ("quality", "similarity", "dev", "columns", "seconds", "combine") if name in changes}
    own = {"quality": (f"{folder / 'mine.py'}:good",), "similarity": "words", "columns": {}} | own
    return Request(folder / "rows.jsonl", str(folder / "base"), folder / out, Settings(**SMALL | changes), **own)

