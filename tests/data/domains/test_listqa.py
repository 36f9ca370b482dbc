"""What counts as an answer, and when two replies are the same."""

from __future__ import annotations

import pytest

from polychromic.base.errors import UsageError
from polychromic.data.domains import domain_names, get_domain
from polychromic.data.domains.base import normalise
from polychromic.data.domains.listqa import ListQA
from polychromic.data.records import Record
from polychromic.models import prompts
from polychromic.params import load_params
from tests.workspace import REPOSITORY

DOMAIN = ListQA()


def record(*valid: str) -> Record:
    common = {"group": "g", "stratum": "s", "checker": "set", "source": "made", "licence": "MIT"}
    return Record(id="q", domain="listqa", prompt="Name one.", references=[valid[0]], valid=list(valid), **common)


@pytest.mark.parametrize(("reply", "form"), [
    ("Apple", "apple"), ("  An APPLE. ", "apple"), ("a pear!", "pear"), ("The Netherlands", "netherlands"), ("one cherry\n", "cherry"),
    ("some  red   wine", "red wine"), ("Côte d’Ivoire", "cote d ivoire"), ("São Tomé and Príncipe", "sao tome and principe"),
    ("jack-in-the-box", "jack in the box"), ("theatre", "theatre"), ("another", "another"), ("onerous", "onerous"), ("A", "a"),
    ("ﬁg", "fig"), ("...", ""), ("", ""), ("🍎 apple", "apple"), ("Россия", "россия"),
])  # fmt: skip
def test_normalise(reply, form):
    assert normalise(reply) == form == normalise(form)


VALID = "cat cherry box Shoe glass red-wine"


@pytest.mark.parametrize(("valid", "reply", "answer"), [
    (VALID, "cat", "cat"), (VALID, "Cats.", "cat"), (VALID, "the cherries", "cherry"), (VALID, "boxes", "box"), (VALID, "shoes", "shoe"),
    (VALID, "Glasses", "glass"), (VALID, "glass", "glass"), (VALID, "red wines", "red wine"), (VALID, "ca", None), (VALID, "catss", None),
    (VALID, "cat dog", None), (VALID, "I like cats", None), (VALID, "", None), (VALID, "!", None),
    ("glass glasses", "glasses", "glasses"),  # a valid plural is itself, and not its singular
    ("glass glasses", "a glass", "glass"), ("dress", "dres", None),  # a double s is no plural
    ("The-Gambia Türkiye", "gambia", "gambia"), ("The-Gambia Türkiye", "turkiye.", "turkiye"),
])  # fmt: skip
def test_an_answer_is_a_valid_one_or_its_plural(valid, reply, answer):
    assert DOMAIN.answer(record(*(text.replace("-", " ") for text in valid.split())), reply) == answer


def test_the_key_joins_forms_of_an_answer_and_keeps_invalid_ones_apart_and_quality_is_validity():
    r = record("cherry", "pear")
    assert DOMAIN.key(r, "Cherries!") == DOMAIN.key(r, "a cherry") != DOMAIN.key(r, "pear")
    assert DOMAIN.key(r, "Some stone") == "stone" != DOMAIN.key(r, "stones")
    embed = lambda texts: pytest.fail("asked for vectors")
    assert DOMAIN.training_quality(r, ["pears", "car", ""], embed).tolist() == [1.0, 0.0, 0.0]


def test_the_table_of_domains():
    """Each module of the folder is a domain under its own name, with a section of params.yaml and prompts of its own."""
    params = load_params(REPOSITORY / "params.yaml")
    assert domain_names() == ["code", "creative", "listqa", "replies"]
    for name in domain_names():
        domain = get_domain(name)
        assert domain.name == name
        assert domain.checker in ("set", "person") and domain.similarity in ("exact", "semantic")
        metrics = set(params.domain(name).metrics)
        assert "semantic_diversity" in metrics
        if name in params.domains:
            assert {params.endpoint(name).primary, params.endpoint(name).quality} <= metrics, "the metrics that contrasts are about"
        assert all(prompts.variant(name, params.methods[m].prompt) for m in params.methods if params.runs(m, name))


@pytest.mark.parametrize("name", ["poems", "base", "text", "__init__", "../listqa"])
def test_what_is_no_domain_is_refused(name):
    with pytest.raises(UsageError, match=f"domain '{name}' does not exist. Allowed: code, creative, listqa, replies."):
        get_domain(name)
