"""Whatever the text: a value within bounds, or one ValueError, in a second."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polychromic.base.errors import UsageError
from polychromic.base.parse import DEEPEST, MOST, parse_json, parse_yaml, split_url

READERS = (
    lambda text: parse_json(text.encode(errors="replace")), lambda text: parse_yaml(text, "x"), lambda text: parse_yaml(text, "x", True),
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=20,
)  # fmt: skip


@given(VALUES)
def test_json_comes_back(value):
    assert parse_json(json.dumps(value).encode()) == value


@given(st.text(alphabet=st.sampled_from('[]{},:"-?&*!|>%@ \n\t0129ab.eE+\\#\x00\ud800<'), max_size=60))
def test_any_text_is_a_value_or_a_value_error(text):
    for read in READERS:
        try:
            read(text)
        except ValueError as error:
            assert str(error) and "\n" not in str(error)


@pytest.mark.parametrize(("pair", "bound"), [("[]", DEEPEST), ("{}", DEEPEST)])
@pytest.mark.parametrize("depth", [DEEPEST, DEEPEST + 1, 3000, 200_000])
def test_depth_is_bounded_and_found_at_once(pair, bound, depth):
    inner = lambda depth: pair[0] * depth + pair[1] * depth if pair == "[]" else '{"a":' * depth + "1" + "}" * depth
    started = time.process_time()
    for read in READERS:
        if depth > bound:
            with pytest.raises(ValueError, match=f"nested more than {bound} deep"):
                read(inner(depth))
        else:
            value = read(inner(depth))
            for _ in range(depth - 1):
                (value,) = value if pair == "[]" else value.values()
            assert value == ([] if pair == "[]" else {"a": 1})
    assert time.process_time() - started < 1


@pytest.mark.parametrize(("text", "said"), [
    ("a: 2024-02-30", "x: not YAML (day is out of range"), ("a: &a [*a]", "nested more than"),
    ("a: " + "9" * 5000, "more than 4300 digits"),
    ("a: 0x" + "f" * 9000, "more than 4300 digits"), ("a: [", "x:1:5: not YAML ("), ("a: 1\na: 2", "x:2:1: not YAML (found duplicate key"),
    ("a: !!python/name:os.system", "x:1:4: not YAML (could not determine a constructor"),
    ("a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)), f"that stand for more than {MOST:,}"),
])  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(text, said):
    with pytest.raises(ValueError, match="^x:") as raised:
        parse_yaml(text, "x", lines=True)
    assert said in str(raised.value)


def test_addresses():
    assert split_url("https://host:80/a", "--url").port == 80
    for url in ("http://[::1", "https://x:99999", "https://x:port", "http://[a]b"):
        with pytest.raises(UsageError, match="--url .* is no address .*Allowed: "):
            split_url(url, "--url")
