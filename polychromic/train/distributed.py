"""What several processes need that a loss of our own would miss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def call_inside(wrapper: torch.nn.Module, module: torch.nn.Module, function: Callable[[], Tensor]) -> Tensor:
    """Run `function` inside wrapper.forward, so that DistributedDataParallel sees the pass and averages its gradients."""
    if wrapper is module:
        return function()
    original = module.forward

    def once(*args: Any, **kwargs: Any) -> Tensor:
        module.forward = original
        return function()

    module.forward = once
    try:
        return wrapper()
    finally:
        module.forward = original
