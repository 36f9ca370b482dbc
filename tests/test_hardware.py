"""Processors by what /proc/cpuinfo says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from polychromic import hardware
from polychromic.params import load_params
from tests.workspace import REPOSITORY

ZEN3 = "processor\t: 0\nmodel name\t: Old\nflags\t\t: fpu sse avx2 fma\n\nprocessor\t: 1\nmodel name\t: Old\nflags\t\t: fpu sse avx2 fma\n"


def info(folder: Path, text: str) -> Path:
    path = folder / "cpuinfo"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ZEN3, (False, "Old")),
        (ZEN3.replace("fma", "fma avx512f avx512bw avx512vl"), (False, "Old")),
        (ZEN3.replace("fma", "fma avx512f avx512dq avx512bw avx512vl"), (True, "Old")),
        ("processor : 0\nFeatures : fp asimd bf16\n", (True, "")),
        ("processor : 0\nFeatures : fp asimd\n", (False, "")),
        ("processor : 0\n", (None, "")),
    ],
)
def test_flags(tmp_path, text, expected):
    assert hardware.bfloat16(info(tmp_path, text)) == expected


def test_no_such_file(tmp_path):
    assert hardware.bfloat16(tmp_path / "none") == (None, "")


def test_the_notice_names_the_keys_that_are_bfloat16(tmp_path):
    values = load_params(REPOSITORY / "params.yaml")
    slow, fast = info(tmp_path, ZEN3), tmp_path / "none"
    text = hardware.slow_precision(values, slow)
    assert text.startswith("train.precision and sampling.precision of params.yaml is bfloat16") and "(Old)" in text and "set float32" in text
    assert hardware.slow_precision(values, fast) is None
    train = values.train.model_copy(update={"precision": "float32"})
    assert hardware.slow_precision(values.model_copy(update={"train": train}), slow).startswith("sampling.precision of")
    sampling = values.sampling.model_copy(update={"precision": "float32"})
    assert hardware.slow_precision(values.model_copy(update={"train": train, "sampling": sampling}), slow) is None
