"""Two processes (gloo, CPU) against one with the same global batch: gradients of the steps."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import torch

from tests.symbols import config, gradients_of_a_run, length_share, symbol_rows

pytestmark = pytest.mark.slow  # test_trainer.py has what makes gradients meet, in one process
ROWS = symbol_rows(16)
CASES = {
    "lora": None,
    "marginal": dict(baseline="marginal"),
    "others": dict(baseline="others"),
    "mix": dict(baseline="mix"),
    "others, half": dict(baseline="others", share=0.5),
    "one prompt": dict(baseline="marginal", share=0.01),  # one of the processes has no rollout at all
    "every": dict(baseline="marginal", every=2),
}


def gradients_of(case: str, folder: Path, batch_size: int, **changes) -> torch.Tensor:
    """(2 steps, parameters). At learning rate 0, so that the second step does not depend on the first one's rounding."""
    settings = CASES[case]
    objective = None if settings is None else config(lam=5.0, name="gated", quality=length_share, **settings)
    fixed = dict(max_steps=2, learning_rate=0.0, train_dataset=ROWS, train_sampling_strategy="sequential")
    return gradients_of_a_run(folder, objective, per_device_train_batch_size=batch_size, **fixed, **changes)


def worker(rank: int, port: int, folder: str) -> None:
    """Every case by two processes."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    found = {case: gradients_of(case, Path(folder), 4, ddp_backend="gloo") for case in CASES}
    found["accumulated"] = gradients_of("marginal", Path(folder), 2, ddp_backend="gloo", gradient_accumulation_steps=2)
    torch.save(found, Path(folder) / f"rank-{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> list[dict[str, torch.Tensor]]:
    """Gradients of every case, by process."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(worker, (port, str(folder)), nprocs=2)
    return [torch.load(folder / f"rank-{rank}.pt") for rank in range(2)]


def test_gradients_are_those_of_one_process_and_differ_between_cases(two, tmp_path):
    one = {case: gradients_of(case, tmp_path, 8) for case in CASES}
    for case, expected in one.items():
        assert expected.abs().max() > 1e-2
        for found in two:
            torch.testing.assert_close(found[case], expected, rtol=1e-5, atol=1e-5, msg=lambda text, case=case: f"{case}: {text}")
    first = {case: gradients[0] for case, gradients in one.items() if case not in ("mix", "every")}  # whose first step is another's
    for a, b in ((a, b) for a in first for b in first if a < b):
        assert (first[a] - first[b]).abs().max() > 1e-3, (a, b)


def test_accumulation_over_two_processes_averages_too(two):
    """Four batches of two a step, two for each process: other rollouts, the same quality loss; both processes hold one gradient."""
    torch.testing.assert_close(two[0]["accumulated"], two[1]["accumulated"], rtol=0, atol=0)
    assert (two[0]["accumulated"] - two[0]["marginal"]).abs().max() > 1e-3
