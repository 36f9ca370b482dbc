"""Processors by what /proc/cpuinfo says of them."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from polychromic.base import hardware

OLD = (
    "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: Old\nflags\t\t: fpu sse avx2 fma\n\n"
    "processor\t: 1\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: Old\nflags\t\t: fpu sse avx2 fma\n"
)
BOTH = {"train.precision": "bfloat16", "sampling.precision": "bfloat16"}


def info(folder: Path, text: str) -> Path:
    path = folder / "cpuinfo"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("text", "expected"), [
    (OLD, False), (OLD.replace("fma", "fma avx512f avx512bw avx512vl"), False), (OLD.replace("fma", "avx512dq avx512bw avx512vl"), True),
    ("processor : 0\nFeatures : fp asimd bf16\n", True), ("processor : 0\nFeatures : fp asimd\n", False), ("processor : 0\n", None),
])  # fmt: skip
def test_flags(tmp_path, text, expected):
    assert hardware.fast_bfloat16(info(tmp_path, text)) is expected


def test_generations_of_one_name_are_told_apart(tmp_path):
    assert hardware.cpu_model(info(tmp_path, OLD)) == "Old (family 25, model 1)"
    assert hardware.cpu_model(info(tmp_path, OLD.replace("model\t\t: 1", "model\t\t: 17"))) == "Old (family 25, model 17)"


def test_a_system_that_says_nothing(tmp_path):
    assert hardware.fast_bfloat16(tmp_path / "none") is None
    assert hardware.cpu_model(tmp_path / "none") == (platform.processor() or platform.machine())


def test_the_notice_names_the_keys_that_are_bfloat16(tmp_path):
    slow = info(tmp_path, OLD)
    text = hardware.slow_precision(BOTH, slow)
    assert text.startswith("train.precision and sampling.precision of params.yaml is bfloat16") and "Old (family 25" in text
    assert "or set float32" in text
    assert hardware.slow_precision(BOTH, tmp_path / "none") is None
    assert hardware.slow_precision(BOTH | {"train.precision": "float32"}, slow).startswith("sampling.precision of")
    assert hardware.slow_precision(dict.fromkeys(BOTH, "float32"), slow) is None
