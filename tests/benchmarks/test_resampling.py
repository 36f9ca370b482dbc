"""Coverage where the truth is known without a simulation: the contrast over all prompts."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.resampling import recovered
from polychromic.base.errors import PolychromicError


def scores(prompts: int = 60, seed: int = 0):
    """(quality, value) of a system and of a peer at two temperatures: the peer trades quality for value."""
    rng = np.random.default_rng(seed)
    easy = rng.beta(1, 2, prompts)
    near = lambda shift: np.clip(easy + shift + rng.normal(0, 0.1, (2, prompts)), 0, 1)
    return (near(0.02), near(0.3)), [(near(0.1), near(0.0)), (near(-0.1), near(0.25))]


def test_intervals_hold_the_contrast_over_all_prompts():
    ours, peer = scores()
    found = recovered(ours, 1, peer, prompts=60, runs=300, rng=np.random.default_rng(1), n_boot=200)
    assert found["chosen"].truth == pytest.approx(ours[1].mean() - peer[1][1].mean())
    share = (peer[1][0].mean() - ours[0].mean()) / (peer[1][0].mean() - peer[0][0].mean())  # of the way to the first temperature
    at_same_quality = share * peer[0][1].mean() + (1 - share) * peer[1][1].mean()
    assert found["matched"].truth == pytest.approx(ours[1].mean() - at_same_quality)
    for rule in found.values():
        assert rule.coverage.value == pytest.approx(0.95, abs=0.05) and rule.coverage.se < 0.02


def test_an_interval_that_is_too_short_is_found_out():
    ours, peer = scores()
    found = recovered(ours, 1, peer, prompts=60, runs=200, rng=np.random.default_rng(1), n_boot=200, confidence=0.5)
    assert all(rule.coverage.value < 0.65 for rule in found.values())


def test_the_same_stream_gives_the_same_coverage():
    ours, peer = scores()
    one, two = (recovered(ours, 0, peer, 30, 20, np.random.default_rng(3), 100) for _ in range(2))
    assert one == two


def test_one_experiment_is_refused():
    ours, peer = scores()
    with pytest.raises(PolychromicError, match="runs: got 1. Allowed: 2 or more"):
        recovered(ours, 0, peer, 30, 1, np.random.default_rng(0))
