"""Processors by what /proc/cpuinfo says of them."""

from __future__ import annotations

import platform

import pytest

from polychromic.base import hardware

UNNAMED = platform.processor() or platform.machine()
OLD = (
    "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: Old\nflags\t\t: fpu sse avx2 fma\n\n"
    "processor\t: 1\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: Old\nflags\t\t: fpu sse avx2 fma\n"
)


@pytest.mark.parametrize(("text", "fast", "model"), [
    (OLD, False, "Old (family 25, model 1)"), (OLD.replace("fma", "fma avx512f avx512bw avx512vl"), False, "Old (family 25, model 1)"),
    (OLD.replace("model\t\t: 1", "model\t\t: 17").replace("fma", "avx512dq avx512bw avx512vl"), True, "Old (family 25, model 17)"),
    ("processor : 0\nFeatures : fp asimd bf16\n", True, UNNAMED), ("processor : 0\nFeatures : fp asimd\n", False, UNNAMED),
    ("processor : 0\n", None, UNNAMED), (None, None, UNNAMED),
])  # fmt: skip
def test_flags_and_generations_of_one_name(tmp_path, text, fast, model):
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert (hardware.fast_bfloat16(path), hardware.cpu_model(path)) == (fast, model)
