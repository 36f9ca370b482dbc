"""What a cell costs on a device: rates from data sheets with how much of them is reached, or measured here in a minute."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from polychromic.base.errors import UsageError

TRAINING = 0.3  # share of the peak that training reaches: PaLM's 0.46 (2204.02311, table 3), less for small batches
DECODING = 0.4  # share of the memory's bandwidth in decoding
LAUNCH = 0.5e-3  # seconds of a layer, at least: its kernels are launched one by one (an assumption; --calibrate measures it)
BOTH_WAYS = 3  # passes over the weights in a step: forth, back, and the frozen activations again
GIB = 2**30


@dataclass(frozen=True)
class Device:
    """flops: of training per second that are reached. bandwidth: bytes of weights read per second in decoding. memory: bytes. source:
    whence the numbers. launch: seconds of a layer and pass, however little there is to compute."""

    name: str
    flops: float
    bandwidth: float
    memory: float
    source: str
    launch: float = 0.0

    def seconds(self, training: float, decoding: float, steps: float, passes: float, weights: float, layers: int) -> float:
        """Of FLOPs in training over so many steps, and of FLOPs in decoding by `passes` of `layers` over `weights` bytes."""
        one = max(weights / self.bandwidth, layers * self.launch)
        return max(training / self.flops, BOTH_WAYS * steps * one) + max(decoding / self.flops, passes * one)


def _sheet(name: str, tflops: float, gigabytes: float, terabytes: float, source: str) -> Device:
    """From dense bfloat16 TFLOP/s, GB of memory and TB/s of its bandwidth."""
    return Device(
        name, TRAINING * tflops * 1e12, DECODING * terabytes * 1e12, gigabytes * 1e9, f"{source}, {TRAINING:.0%} of its peak", LAUNCH
    )


DEVICES = {
    device.name: device
    for device in (
        _sheet("l4", 121, 24, 0.300, "NVIDIA L4 data sheet"),
        _sheet("rtx4090", 165, 24, 1.008, "NVIDIA Ada architecture white paper"),
        _sheet("l40s", 362, 48, 0.864, "NVIDIA L40S data sheet"),
        _sheet("a100-40", 312, 40, 1.555, "NVIDIA A100 data sheet"),
        _sheet("a100-80", 312, 80, 2.039, "NVIDIA A100 data sheet"),
        _sheet("h100", 989, 80, 3.35, "NVIDIA H100 SXM data sheet"),
        _sheet("h200", 989, 141, 4.8, "NVIDIA H200 data sheet"),
    )
}


def device(name: str) -> Device:
    """Raises UsageError: no such device."""
    if name not in DEVICES:
        raise UsageError(f"--device {name}. Allowed: {', '.join(DEVICES)}, or --calibrate on the machine itself. Choose one.")
    return DEVICES[name]


def calibrated(model: Any, tokens: int, batch: int, flops: Any) -> Device:
    """Rates of this machine: a step forth and back over `batch` rows of `tokens` tokens, and passes of one token with a cache.

    Args: model, with an adapter; flops, its polychromic.models.flops.Flops.
    """
    import psutil
    import torch

    from polychromic.base.hardware import best_device, cpu_model

    ids = torch.randint(3, 100, (batch, tokens), generator=torch.Generator().manual_seed(0)).to(model.device)
    gpu = best_device() == "cuda"

    def timed(work: Any, times: int) -> float:
        work()  # the first call loads kernels
        started = time.monotonic()
        for _ in range(times):
            work()
        if gpu:
            torch.cuda.synchronize()
        return (time.monotonic() - started) / times

    def step() -> None:
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
        model.zero_grad()

    def decode() -> None:
        with torch.inference_mode():
            model(input_ids=ids[:, :1], use_cache=False)

    taken = timed(step, 2), timed(decode, 5)
    spent = flops.training(batch * tokens, batch * tokens * (tokens + 1) / 2, batch * tokens)
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    memory = torch.cuda.get_device_properties(0).total_memory if gpu else psutil.virtual_memory().total
    name = torch.cuda.get_device_name() if gpu else cpu_model()
    return Device(name, spent / taken[0], weights / taken[1], float(memory), "measured here")
