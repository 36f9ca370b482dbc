"""What this machine's processor does fast. Reads /proc/cpuinfo; no torch."""

from __future__ import annotations

from pathlib import Path

from polychromic.params import Params

CPUINFO = Path("/proc/cpuinfo")
# What oneDNN, torch's library of matrix products, asks of a processor before it takes bfloat16; without, torch multiplies element by element.
BFLOAT16_SETS = ({"avx512bw", "avx512vl", "avx512dq"}, {"avx_ne_convert"}, {"bf16"})
# Measured where AVX2 is all there is (SmolLM2-135M, eight rows of 40 tokens, forward and backward): 83 s in bfloat16, 4.5 s in float32.
SLOWER = 18


def bfloat16(cpuinfo: Path = CPUINFO) -> tuple[bool | None, str]:
    """Whether matrix products in bfloat16 are fast here (None: unknown), and the processor's name ("" where it has none)."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None, ""
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return (any(wanted <= flags for wanted in BFLOAT16_SETS) if flags else None), fields.get("model name", "")


def slow_precision(params: Params, cpuinfo: Path = CPUINFO) -> str | None:
    """What to say before a cell runs in a precision that this processor is slow at; None where there is nothing to say."""
    fast, name = bfloat16(cpuinfo)
    keys = [key for key in ("train", "sampling") if getattr(params, key).precision == "bfloat16"]
    if fast is not False or not keys:
        return None
    settings = " and ".join(f"{key}.precision" for key in keys)
    return (
        f"{settings} of params.yaml is bfloat16, which this processor ({name or 'unnamed'}) multiplies about {SLOWER} times more slowly than "
        "float32. Hours become days: run it on a processor with AVX-512 (or Arm with bf16), or set float32, whose results differ within intervals."
    )
