"""The network source against a server that paginates, fails, throttles, truncates, hangs and lies; and the token."""

from __future__ import annotations

from pathlib import Path

import pytest
import urllib3

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.yours.collect import apify
from polychromic.yours.collect.apify import Apify
from tests.yours.collect.conftest import log, pairs

TOKEN = "apify_api_secret123"


@pytest.fixture
def source(serve, folder):
    """(server, maker of a source of its 25 items)."""
    server = serve(pairs(25))
    return server, lambda token=None, retries=3: Apify(server.url + "/v2/", "DATA", token, retries)


def read(source: Apify, position: int = 0, stop: int | None = None, size: int = 10) -> list[int]:
    return [item["engagement"] for page in source.pages(position, stop, size) for _, item in page]


def test_pages_follow_one_another_and_begin_and_end_where_they_are_told(source):
    server, make = source
    assert make().size() == 25 and read(make()) == list(range(25))
    pages = {seen[1:4] for seen in server.seen if seen.method == "GET"}
    assert pages == {("/v2/datasets/DATA/items", offset, 10) for offset in (0, 10, 20, 25)}
    server.seen.clear()
    assert read(make(), 7, 19) == list(range(7, 19))
    assert [(seen.offset, seen.limit) for seen in server.seen] == [(7, 10), (17, 2)]
    assert [where for page in make().pages(0, 2, 1) for where, _ in page] == ["item 0", "item 1"]


@pytest.mark.parametrize("head", [[], [501], [404]])
def test_without_a_total_the_end_is_an_empty_page_and_a_dataset_that_grows_is_followed(source, head):
    server, make = source
    server.headers, server.faults["HEAD"] = set(), list(head)
    assert make(retries=0).size() is None
    pages = make().pages(0, None, 10)
    assert len(next(pages)) == 10
    server.items += pairs(5, start=25)
    assert [len(page) for page in pages] == [10, 10] and server.offsets() == [0, 10, 20, 30]


@pytest.mark.parametrize("fault", [500, 502, 503, 429, "429 0", "cut", "cut in a chunk", "drop", "hang", "fewer"])
def test_what_passes_is_tried_again_and_said_and_a_page_shorter_than_asked_for_is_not_the_end(source, fault, monkeypatch, capfd):
    server, make = source
    monkeypatch.setattr(apify, "SILENCE", 0.5)
    server.faults[10] = [fault] if fault == "fewer" else [fault, fault]
    assert read(make()) == list(range(25))
    assert server.offsets() == ([0, 10, 19, 25] if fault == "fewer" else [0, 10, 10, 10, 20, 25])
    said = capfd.readouterr().err
    assert fault == "fewer" or "; 3 more tries, the next in " in said and "; 2 more tries" in said


def test_waits_grow_are_bounded_and_obey_the_server(source, monkeypatch):
    server, make = source
    waited: list[float] = []
    monkeypatch.setattr(apify, "BACKOFF", 0.5)
    monkeypatch.setattr("time.sleep", waited.append)
    server.faults[0] = [503] * 9 + ["429 7", "429 7200"]
    read(make(retries=11))
    assert waited[-2:] == [7, 900] and len(waited) == 10, "the first try after a failure comes at once"
    for number, seconds in enumerate(waited[:-2], start=1):
        assert min(60, 0.5 * 2**number) <= seconds <= min(60, 0.5 * 2**number + 0.5)


def test_the_last_try_fails_with_what_happened_and_what_was_stored_stays(serve, collect):
    server = serve(pairs(25))
    server.faults[10] = [503] * 3
    arguments = ["apify", "DATA", "--out", "out", "--base-url", server.url, "--page-size", 5, "--retries", 2]
    code, _, err = collect(*arguments)
    assert code == 1 and "?offset=10&limit=5: 503 Service Unavailable" in err and "run the same command again to go on" in err
    assert server.offsets().count(10) == 3 and [row["engagement"] for row in log("out")] == list(range(10))
    news = "25 items; 10 are stored already; 3 page(s)"
    for grown, asked, said in ((0, [10, 15, 20, 25], news), (0, [25], "0 page(s)"), (3, [25, 28], "28 items")):
        server.items += pairs(grown, start=len(server.items))
        server.seen.clear()
        code, _, err = collect(*arguments)
        assert code == 0 and said in err and server.offsets() == asked
        assert [row["engagement"] for row in log("out")] == list(range(len(server.items)))


@pytest.mark.parametrize(("fault", "said"), [
    (400, "400 Bad Request .*told to fail"), (403, "403 Forbidden.*a token that may read this dataset"),
    (404, "404 Not Found.*the id of a dataset that the token may see"), (410, "410 "), ("moved", "302 Found"),
    ("object", "a JSON dict. Allowed: a whole page"), ("all", "25 items of 25, from offset 0. Allowed: a whole page"),
    ("elsewhere", "10 items of 25, from offset 0"), ("empty", "0 items of 25, from offset 10"), ("cut quietly", "not whole JSON"),
])  # fmt: skip
def test_what_does_not_pass_is_an_error_at_once(source, fault, said):
    server, make = source
    server.faults[10] = [fault]
    with pytest.raises(PolychromicError, match=said.replace(". A", r".*\. A")):
        read(make())
    assert server.offsets() == [0, 10]


@pytest.mark.parametrize(("given", "said"), [
    (None, "APIFY_TOKEN is not set"), ("wrong_token", "Authentication token is not valid: ***"), ("two words", "APIFY_TOKEN holds blanks"),
    (f" {TOKEN}\n", None),
])  # fmt: skip
def test_the_token_is_sent_in_a_header_and_is_in_nothing_that_is_written_or_said(serve, folder, collect, monkeypatch, given, said):
    server = serve(pairs(30))
    server.token, server.faults[10] = TOKEN, [503]
    (folder / "netrc").write_text("machine 127.0.0.1 login anna password secret\n")
    monkeypatch.setenv("NETRC", str(folder / "netrc"))
    if given:
        monkeypatch.setenv("APIFY_TOKEN", given)
    code, out, err = collect("apify", "DATA", "--out", "out", "--base-url", server.url, "--page-size", 10)
    written = "".join(path.read_text() for path in folder.glob("out/*"))
    assert all(seen.path == "/v2/datasets/DATA/items" for seen in server.seen) and (given or "-").strip() not in written + out + err
    if said:
        assert code in (1, 2) and said in err and out == written == ""
    else:
        assert code == 0 and {seen.token for seen in server.seen} == {TOKEN} and len(written) > 1000


@pytest.mark.parametrize("url", ["ftp://host", "host:80", "https://anna:password@host", "https://host?token=x", "http://host"])
def test_addresses_that_are_no_root(url):
    with pytest.raises(UsageError, match="is no root of an API. Allowed: https://HOST") as caught:
        Apify(url, "DATA", TOKEN, 0)
    assert "password@" not in str(caught.value) and Apify("https://host/a/v2/", "D", TOKEN, 0).identity["base_url"] == "https://host/a"


def test_ids_that_are_none_no_server_at_all_and_a_proxy(folder, collect, monkeypatch):
    for name in ("", "..", "a/b", "a?token=x", "ä", "x" * 201):
        with pytest.raises(UsageError, match="Allowed: an id such as"):
            Apify("http://127.0.0.1:9", name, None, 0)
    code, _, err = collect("apify", "DATA", "--out", "out", "--base-url", "http://127.0.0.1:9", "--retries", 1)
    assert code == 1 and "Connection refused" in err and not Path("out").exists()
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert isinstance(Apify("https://host", "D", TOKEN, 0)._pool, urllib3.ProxyManager)
