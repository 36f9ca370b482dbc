"""Several processes of one command, as `torchrun` starts them: who is the first, what it decides for all, and where they meet.

The first process alone holds locks, measures and writes; the others compute their part of each training step. Without torchrun's variables
(RANK, WORLD_SIZE) there is one process, everything here is a no-op, and torch is not imported.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TypeVar

T = TypeVar("T")
PATIENCE = timedelta(hours=24)  # the others wait while the first one downloads weights, measures the distance to the base or samples


def world() -> int:
    """How many processes this command has."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def first() -> bool:
    """Whether this process writes."""
    return world() == 1 or int(os.environ["RANK"]) == 0


def meet() -> None:
    """Joins the process group, once; transformers and accelerate use the one that is there. A no-op in a single process.

    gloo stands beside NCCL, since what is told between processes (a decision, a count) lies in the CPU's memory.
    """
    import torch

    if world() == 1 or torch.distributed.is_initialized():
        return
    gpu = torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo", timeout=PATIENCE)


def told(value: T) -> T:
    """What the first process says; the value of the others is not looked at. All processes must call it."""
    if world() == 1:
        return value
    import torch

    meet()
    said = [value]
    torch.distributed.broadcast_object_list(said, src=0)
    return said[0]


def any_of(flag: bool) -> bool:
    """Whether any process says so. All processes must call it."""
    if world() == 1:
        return flag
    import torch

    meet()
    found = torch.tensor([int(flag)])
    torch.distributed.all_reduce(found, op=torch.distributed.ReduceOp.MAX)
    return bool(found)


def wait() -> None:
    """Until all processes are here: what one wrote before can be read behind it."""
    any_of(False)  # a sum over all, which none gets before all have called
