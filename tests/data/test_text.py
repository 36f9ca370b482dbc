"""Words, word lists, groups and near-duplicates, against definitions computed by brute force."""

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from polychromic.data.text import joined, near_duplicates, normalised, suitable, word_list, words


def test_words_fold_case_accents_and_quotes():
    assert words("Don\u2019t SAY “Brasília”, 1000 users!") == ["don't", "say", "brasilia", "1000", "users"]
    assert normalised("  What?! if—pigs could FLY… ") == normalised("what if pigs could fly")


def test_unsuitable_words_match_as_whole_words_only_and_comments_of_lists_are_none():
    assert suitable("an assistant from Scunthorpe takes a class on peacocks, graphics and titles")
    assert not suitable("what an ASS.") and not suitable("ass-backwards")
    for name in ("seen_words", "unsuitable_words", "profane_words", "first_names", "territories"):
        assert word_list(f"{name}.txt") and not any(word[0] == "#" or word != word.strip() for word in word_list(f"{name}.txt"))


def test_joined_names_take_the_least_one():
    assert joined("abcde", ["bc", "ed", "ca"]) == {"a": "a", "b": "a", "c": "a", "d": "d", "e": "d"}


def test_template_does_not_make_prompts_alike_but_the_same_subject_does():
    countries = ["Chad", "Peru", "Laos", "Iran", "Fiji", "Cuba", "Mali", "Oman"]
    prompts = [f"Name a country that borders {country}." for country in countries] + ["name a country that borders  PERU!"]
    assert near_duplicates(prompts) == [(1, 8)]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=6).map(" ".join), max_size=5),
    st.sampled_from([0.5, 0.6, 0.8, 1.0]),  # .8 is met by 4 of 5 words: the threshold is inclusive
)
def test_finds_exactly_the_pairs_of_the_definition(texts, threshold):
    sets = [set(text.split()) for text in texts]  # at most 5 texts: no word is "common"
    pairs = combinations(range(len(texts)), 2)
    expected = [(i, j) for i, j in pairs if len(sets[i] & sets[j]) >= threshold * len(sets[i] | sets[j])]
    assert near_duplicates(texts, threshold) == expected
