"""Which processor or GPU computes here, and what it does fast. Reads /proc/cpuinfo; torch is imported where a GPU is looked for."""

from __future__ import annotations

import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# What oneDNN, torch's library of matrix products, asks of a processor before it takes bfloat16; else torch multiplies element by element.
BFLOAT16_SETS = ({"avx512bw", "avx512vl", "avx512dq"}, {"avx_ne_convert"}, {"bf16"})
# Measured where AVX2 is all there is (SmolLM2-135M, eight rows of 40 tokens, forward and backward): 83 s in bfloat16, 4.5 s in float32.
SLOWER = 18


def cpu_model(cpuinfo: Path = CPUINFO) -> str:
    """The processor's name with family and model where it has them: cloud machines call different generations by one name."""
    fields = _fields(cpuinfo)
    name = fields.get("model name") or platform.processor() or platform.machine()
    numbers = [f"{what} {fields[key]}" for what, key in (("family", "cpu family"), ("model", "model")) if key in fields]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def fast_bfloat16(cpuinfo: Path = CPUINFO) -> bool | None:
    """Whether matrix products in bfloat16 are fast here; None where the system does not say."""
    fields = _fields(cpuinfo)
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return any(wanted <= flags for wanted in BFLOAT16_SETS) if flags else None


def best_device() -> str:
    """ "cuda" where there is a GPU that torch can use, else "cpu". CUDA_VISIBLE_DEVICES= (empty) hides the GPU."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _fields(cpuinfo: Path) -> dict[str, str]:
    """Of the first processor."""
    try:
        first = cpuinfo.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
