"""Stage `compare-test`: the declared contrasts on test, with the choices that `analysis.test` of params.yaml holds. No torch, no text."""

from __future__ import annotations

from pathlib import Path

from polychromic.base import paths
from polychromic.base.io import read_json, write_json
from polychromic.compare.compare import HEADLINE, describe, frontiers
from polychromic.compare.contrasts import contrasts
from polychromic.compare.systems import read_systems
from polychromic.data.seal import check_sealed
from polychromic.params import Method, Params


def compare_test(params: Params, domain: str) -> None:
    """Write results/{domain}/test.json: the declared systems on test with intervals, their contrasts with tests.

    Raises:
        PolychromicError: scores are missing, or `analysis:` is not what was committed before test was opened (polychromic.data.seal).
    """
    check_sealed(Path())
    plan, endpoint = params.test_plan(domain), params.endpoint(domain)
    systems = read_systems(params, domain, "test", plan.systems[HEADLINE].lam)
    selection = {
        "primary": endpoint.primary,
        "quality": endpoint.quality,
        "headline": HEADLINE,
        "chosen": {name: system.temperatures[0] for name, system in plan.systems.items()},
        "fronts": {name: sorted(system.temperatures) for name, system in plan.systems.items()},
        "best": {},
    }
    pairs = {(declared.a, declared.b): declared for declared in plan.contrasts}
    document = {
        "domain": domain,
        "split": "test",
        **{key: selection[key] for key in ("primary", "quality", "headline", "chosen")},
        "declared": [declared.model_dump() for declared in plan.contrasts],
        "machines": read_json(paths.RESULTS / domain / "test-machines.json"),
        "training": _training(params, domain),
        "methods": {name: _side(params.methods[name]) for name in plan.systems},
        "systems": [describe(params, system, selection["chosen"]) for _, system in sorted(systems.items())],
        "frontiers": frontiers(systems, endpoint.quality, endpoint.primary),
        "contrasts": contrasts(params, pairs, systems, selection),
    }
    write_json(paths.RESULTS / domain / "test.json", document)


def _training(params: Params, domain: str) -> dict[str, int]:
    """Adapters that were trained for test, and their optimiser steps in all."""
    found = {adapter for name in params.test_plan(domain).systems for adapter in params.adapters(domain, name)}
    return {"runs": len(found), "steps": sum(round(params.domain(domain).steps * adapter.budget) for adapter in found)}


def _side(method: Method) -> dict[str, bool]:
    return {"ours": method.ours, "sees_checker": method.sees_checker}
