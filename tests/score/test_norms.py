"""Stage `norms`: whom it asks, and drafts of the base model, which a kill does not lose."""

import pytest

from polychromic.base import paths
from polychromic.base.io import read_json
from polychromic.data.domains import Domain
from polychromic.sample import draw
from polychromic.score import models, norms
from polychromic.score.models import Likelihoods
from tests.workspace import listqa_record, make_models, small_params

PROMPTS = ["Name a cat", "Name a pear", "Name a sea", "Name a cat", "Name a red cat"]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(models, "DRAWN", 2)
    make_models(tmp_path)


def drafts(seed=0, temperature=1.0):
    return Likelihoods(small_params(), "listqa").draw(PROMPTS, 3, temperature, seed)


def test_drafts_are_seeded_and_a_kill_loses_one_file(tmp_path, monkeypatch):
    wanted = drafts()
    assert [len(said) for said in wanted] == [3] * 5 and wanted[0] != wanted[3], "the same prompt again has draws of its own"
    assert drafts(seed=1) != wanted != drafts(temperature=0.5)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "other"))
    calls, real = [], draw.sample_prompts

    def killed(model, tokenizer, encoded, **settings):
        if len(calls) == 1:
            calls.append("kill")
            raise KeyboardInterrupt
        calls.append(len(encoded))
        return real(model, tokenizer, encoded, **settings)

    monkeypatch.setattr(draw, "sample_prompts", killed)
    with pytest.raises(KeyboardInterrupt):
        drafts()
    assert drafts() == wanted and calls == [2, "kill", 2, 1] and drafts() == wanted and len(calls) == 4


def test_what_people_said_to_training_and_calibration_prompts_is_asked_and_no_other(monkeypatch):
    class Asking(Domain):
        name = "listqa"

        def norms(self, records, readers):
            return {"asked": [record.id for record in records], "said": readers.draft(records[:1], 2)}

        def held_out_norms(self, records, readers):
            return {"same": readers.draft(records[:1], 2), "vectors": list(readers.embed(["a"]).shape)}

    splits = {name: [listqa_record(i)] for i, name in enumerate(("train", "dev", "test", "calibration"))}
    monkeypatch.setattr(norms, "load_split", lambda name: splits)
    monkeypatch.setattr(norms, "get_domain", lambda name: Asking())
    found = norms.write_norms(small_params(), "listqa")
    assert found == read_json(paths.norms_file("listqa"))
    assert found["training"]["asked"] == [splits["train"][0].id, splits["calibration"][0].id]
    assert found["training"]["said"] == found["held_out"]["same"] and found["held_out"]["vectors"][0] == 1
