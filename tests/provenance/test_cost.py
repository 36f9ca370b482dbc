"""What cells are expected to take: by steps and tokens, each adapter trained once, and said before `reproduce` starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from polychromic.pipeline import run as reproduce
from polychromic.provenance import cost
from polychromic.provenance.cost import Whole, expected, population, whole
from polychromic.provenance.state import State

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def here() -> State:
    return State(REPO)


@pytest.fixture(scope="module")
def alone(here) -> dict[str, cost.Expected]:
    """Each cell with an empty cache of its own."""
    return {name: expected(here, here.declared[name])[0] for name in population(here)}


def test_a_cell_takes_its_steps_and_its_tokens(here, alone):
    lora, prompted = alone["lora@listqa-lora"], alone["prompted@listqa-zero_shot"]
    step = cost.timings(here, "listqa").variants["lora"].mean_seconds
    assert list(lora.training.values()) == pytest.approx([here.params.listqa.steps * step] * len(here.params.seeds))
    assert prompted.training == {} and prompted.seconds == prompted.sampling > 0
    assert lora.seconds == pytest.approx(lora.sampling + sum(lora.training.values()))


def test_decoding_otherwise_shares_adapters_and_nothing_else_does(alone):
    trained = lambda name: alone[name].training.keys()
    assert trained("decoded@listqa-lora_min_p") <= trained("lora@listqa-lora") != trained("rft@listqa-rft")
    assert trained("openers@replies-lora") == trained("lora@replies-lora")
    apart = ("lora@listqa-lora", "losses@listqa-lora_low_rate", "losses@listqa-lora_long", "poly@listqa-0.3", "poly@listqa-3.0")
    for of_test in ("sample_test@listqa-lora", "sample_test@listqa-polychromic"):
        assert not trained(of_test) & set().union(*map(trained, apart)), "test trains anew"
    assert len(set().union(*map(trained, apart))) == sum(len(trained(name)) for name in apart)


def test_the_whole_trains_each_adapter_once(here, alone):
    found = whole(here)
    training = {key: seconds for one in alone.values() for key, seconds in one.training.items()}
    everything = sum(training.values()) + sum(one.sampling for one in alone.values())
    assert 3600 * (found.dev + found.test) == pytest.approx(everything)
    assert everything < sum(one.seconds for one in alone.values()) and found.dev > 0 < found.test
    assert found.unknown == 0 and found.device


def test_cells_without_timings_are_counted_apart(here, monkeypatch):
    monkeypatch.setattr(cost, "timings", lambda here, domain, timings=cost.timings: timings(here, domain) if domain != "code" else None)
    of_code = [name for name in population(here) if "@code" in name]
    assert whole(here).unknown == len(of_code) > 0


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            Whole(6.0, 5.0, 0, "a processor"),
            "about 5.5 hours for training and sampling, 2 at a time (of one core: dev 6.0 hours, test 5.0)",
        ),
        (Whole(6.0, 5.0, 1, "a processor"), " 1 cell that never ran or that nobody timed"),
        (Whole(0.0, 0.0, 3, ""), "not known: no timings in benchmarks/results/ are of cells that have run. 3 cells"),
    ],
)
def test_reproduce_says_it_first(monkeypatch, found, said):
    monkeypatch.setattr(cost, "whole", lambda here: found)
    assert said in reproduce.foreseen(2)


def test_the_command_says_it_before_it_runs(command, monkeypatch):
    monkeypatch.setattr(reproduce, "foreseen", lambda jobs: f"about nine hours, {jobs} at a time")
    monkeypatch.setattr(reproduce, "reproduce", lambda jobs, force: {"split@listqa": 0.1})
    code, out, err = command("reproduce", "--jobs", "3")
    assert code == 0 and "about nine hours, 3 at a time" in err and "split@listqa" in out
