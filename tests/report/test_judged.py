"""What the paper says of judges: nothing where nothing is recorded, and of what is recorded only what its intervals allow."""

from __future__ import annotations

from pathlib import Path

import pytest

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import write_json
from polychromic.report import judged
from polychromic.report.numbers import asked
from polychromic.report.records import Use
from polychromic.report.results import Fields


def estimate(value: float, low: float, high: float) -> dict:
    return {"value": value, "low": low, "high": high}


def contrast(a: str, b: str, kind: str, score: tuple[float, float, float] | None, **changes) -> dict:
    shares = {"win": estimate(0.5, 0.4, 0.6), "tie": estimate(0.3, 0.2, 0.4), "loss": estimate(0.2, 0.1, 0.3)}
    found = estimate(*score) if score else None
    about = {"domain": "replies", "a": a, "b": b, "kind": kind, "questions": 100, "scored": 98, "missing": {"refusal": 2}}
    about |= {"bounds": [0.6, 0.7]}
    about |= {"consistency": {"agree": 60, "both": 98, "share": 60 / 98}, "first": {"n": 150, "share": 0.6}}
    return about | (shares if score else dict.fromkeys(shares)) | {"score": found, "length_controlled": found} | changes


def judge(name: str, provider: str, *contrasts: dict, calls: int = 1234) -> dict:
    return {"judge": name, "provider": provider, "calls": calls, "dollars": 3.456, "days": ["2026-12-01", "2026-12-02"],
            "stability": {"n": 20, "same": 19, "share": 0.95}, "contrasts": list(contrasts)}  # fmt: skip


def document(*judges: dict, agreement: tuple[dict, ...] = ()) -> Fields:
    return Fields({"judges": list(judges), "agreement": list(agreement)}, "results/judge.json")


BETTER = contrast("polychromic", "lora", "set", (0.65, 0.55, 0.75))
SAME = contrast("polychromic", "lora", "single", (0.52, 0.45, 0.6))
WORSE = contrast("lora", "zero_shot", "single", (0.2, 0.1, 0.3))


def test_without_answers_one_sentence_says_so_and_there_is_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert judged.load() is None
    (record,) = asked([Use("judge.sentence", "main.tex", 1)], {"domains": []})[0]
    assert record.text == judged.NONE and record.source == "params.yaml#judge" and record.value is None
    assert "No judge's run is included" in record.text and "no people's answers were collected" in record.text
    assert [line[0] for line in judged.table(None).splitlines()] == ["%", "%"]


def test_answers_that_are_noted_and_not_computed_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_json(paths.JUDGED, {"models": ["m"], "people": []})
    with pytest.raises(PolychromicError, match=r"results/judge\.json: file not found.*dvc repro"):
        judged.load()
    write_json(paths.JUDGEMENT, {"judges": [judge("m", "anthropic", BETTER)], "agreement": []})
    (record,) = asked([Use("judge.sentence", "main.tex", 1)], {"domains": []})[0]
    assert (record.source, record.split) == ("results/judge.json", "test") and "m answered" in record.text


def test_only_intervals_that_exclude_one_half_are_claims():
    text = judged.sentence(document(judge("claude-x_1", "anthropic", BETTER, SAME, WORSE)))
    assert r"claude-x\_1 answered 1\,234 calls (2026-12-01 to 2026-12-02, 3.46 dollars), 6 of them without a verdict." in text
    assert r"Both orders agree on 61.2\,\% of the questions, and 60.0\,\% of the preferences are for what is shown first." in text
    assert r"Asked again, 95.0\,\% of 20 verdicts are the same. No people's answers were collected." in text
    first, second = "Polychromic over LoRA on sets (social replies)", "Zero-shot over LoRA on single replies (social replies)"
    assert text.endswith(f"in favour of {first} and {second}; in no other contrast.")
    none = judged.sentence(document(judge("m", "anthropic", SAME)))
    assert none.endswith("In no contrast does the interval of m's score exclude one half.")


def test_people_alone_and_beside_a_model():
    k = {"domain": "all", "judges": ["m", "anna"], "n": 40, "same": 0.7, "kappa": {"value": 0.4, "low": 0.1, "high": 0.7}}
    text = judged.sentence(document(judge("m", "anthropic", SAME), judge("anna", "person", SAME, calls=40), agreement=(k,)))
    assert r"People answered in one order each: anna (40). Cohen's $\kappa$ of m and anna over 40 questions is 0.40 [0.10, 0.70]." in text
    said = judged.people(document(judge("m", "anthropic", SAME), judge("anna", "person", SAME, calls=40)))
    assert said.startswith("One person answered 40 questions about which drafts they would choose, under names")
    assert judged.people(document(judge("m", "anthropic", SAME))) == judged.people(None)
    assert judged.people(None).startswith("No person was studied and no annotator was hired")
    undefined = k | {"kappa": {"value": None, "low": None, "high": None}}
    assert "over 40 questions is not defined" in judged.sentence(document(judge("m", "anthropic", SAME), agreement=(undefined,)))
    alone = judged.sentence(document(judge("anna", "person", BETTER, calls=40)))
    assert alone.startswith("No language model's run is included. People answered in one order each: anna (40).")
    assert alone.endswith("one half in favour of Polychromic over LoRA on sets (social replies); in no other contrast.")


def test_the_table_has_a_block_per_judge_and_domain_and_dashes_where_nothing_is_scored():
    lost = contrast("rft", "lora", "set", None, scored=0, bounds=[0.0, 1.0], domain="creative")
    unasked = contrast("rft", "lora", "single", None, questions=0, bounds=None)
    both = judge("m_1", "anthropic", BETTER, SAME, lost), judge("m2", "openai", SAME, unasked), judge("an_na", "person", SAME)
    text = judged.table(document(*both))
    titles = (r"{m\_1, social replies}", r"{m\_1, sentences from given words}", "{m2, social replies}")
    assert all(title in text for title in titles) and r"an\_na" not in text
    assert r"\textit{an\_na, social replies}" in judged.table(document(both[2]))
    rates = r"50.0 & 30.0 & 20.0 & 0.65 {\scriptsize [0.55, 0.75]} & 0.65 {\scriptsize [0.55, 0.75]} & 0.60 to 0.70"
    assert rf"Polychromic $-$ LoRA & sets & 98 & {rates} \\" in text and text.count(r"\midrule") == 3
    assert r"Rejection-sampled $-$ LoRA & sets & 0 & -- & -- & -- & -- & -- & 0.00 to 1.00 \\" in text
    assert text.count(r"Rejection-sampled") == 1 and text.count("{") == text.count("}") and r"\caption" not in text
