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
