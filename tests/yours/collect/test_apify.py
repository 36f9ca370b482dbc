"""The network source against a server that paginates, fails, throttles, truncates, hangs and lies; and the token."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.yours.collect import apify
from polychromic.yours.collect.apify import ApifySource, check_base
from tests.yours.collect.conftest import log, pairs

TOKEN = "apify_api_secret123"


@pytest.fixture
def source(serve, folder):
    """(server, source of it, what was said, seconds that were waited) of 25 items; nothing is waited for."""
    server = serve(pairs(25))
    said: list[str] = []
    waited: list[float] = []

    def make(token: str | None = None, retries: int = 3, timeout: float = 20.0) -> ApifySource:
        return ApifySource(server.url, "DATA", token, timeout, retries, said.append, waited.append)

    return server, make, said, waited


def read(source: ApifySource, position: int = 0, stop: int | None = None, size: int = 10) -> list[int]:
    return [item["engagement"] for page in source.pages(position, stop, size) for _, item in page]


def test_pages_follow_one_another_and_begin_and_end_where_they_are_told(source):
    server, make, _, _ = source
    assert make().size() == 25 and read(make()) == list(range(25))
    assert {(seen.path, seen.method, seen.offset, seen.limit) for seen in server.seen if seen.method == "GET"} == {
        ("/v2/datasets/DATA/items", "GET", offset, 10) for offset in (0, 10, 20)
    }
    server.seen.clear()
    assert read(make(), 7, 19) == list(range(7, 19))
    assert [(seen.offset, seen.limit) for seen in server.seen] == [(7, 10), (17, 2)]
    assert [where for page in make().pages(0, 2, 1) for where, _ in page] == ["item 0", "item 1"]


@pytest.mark.parametrize("headers", [set(), {"Count"}, {"Offset"}])
def test_without_a_total_the_end_is_an_empty_page(source, headers):
    server, make, _, _ = source
    server.headers, server.head = headers, False
    found = make()
    assert found.size() is None and read(found) == list(range(25))
    assert server.offsets() == [0, 10, 20, 25]


def test_a_total_that_lags_behind_is_not_the_end_and_a_dataset_that_grows_is_followed(source):
    """Apify counts items some seconds late."""
    server, make, _, _ = source
    found = make()
    server.headers = {"Offset"}
    for stale in (0, 8):
        found.total = stale
        assert read(found) == list(range(25))
    server.headers = {"Total"}
    pages = found.pages(0, None, 10)
    next(pages)
    server.items += pairs(5, start=25)
    assert [len(page) for page in pages] == [10, 10]


@pytest.mark.parametrize("fault", [500, 502, 503, "cut", "cut quietly", "cut in a chunk", "fewer", "empty", "drop", "html"])
def test_what_passes_is_tried_again(source, fault):
    server, make, said, waited = source
    server.faults[10] = [fault, fault]
    assert read(make()) == list(range(25))
    assert server.offsets() == [0, 10, 10, 10, 20] and len(waited) == len(said) == 2
    assert "try 3 of 4" in said[1]


def test_a_server_that_does_not_answer_in_time(source):
    server, make, said, _ = source
    server.faults[10] = ["hang"]
    assert read(make(timeout=0.5)) == list(range(25)) and "within 0.5 s" in said[0]


def test_waits_grow_and_are_bounded(source, monkeypatch):
    server, make, _, waited = source
    monkeypatch.setattr(apify, "FIRST_WAIT", 0.5)
    server.faults[0] = [503] * 9
    read(make(retries=9))
    for attempt, seconds in enumerate(waited):
        longest = min(60.0, 0.5 * 2**attempt)
        assert longest / 2 <= seconds <= longest
    assert len(waited) == 9 and waited[-1] >= 30


def test_throttling_is_obeyed_and_a_wait_that_is_none_is_the_usual_one(source):
    server, make, said, waited = source
    later, earlier = (format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True) for seconds in (40, -40))
    server.faults[10] = ["429 7", f"429 {later}", f"503 {earlier}"]
    server.faults[20] = ["429 soon", "429 -5", "429 1.5"]
    assert read(make()) == list(range(25))
    assert waited[0] == 7 and 30 < waited[1] <= 40 and waited[2] == 0
    assert "429 Too Many Requests; try 2 of 4 in 7.0 s" in said[0]
    assert all(0 < seconds <= apify.FIRST_WAIT * 2**attempt for attempt, seconds in enumerate(waited[3:])) and len(waited) == 6
    server.faults["HEAD"] = [503, "429 1"]
    assert make().size() == 25 and len(waited) == 8, "HEAD is tried again, too"


def test_the_last_try_fails_with_what_happened(source):
    server, make, _, _ = source
    server.faults[10] = [503] * 4
    with pytest.raises(PolychromicError, match=r"offset=10&limit=10&format=json: 503 Service Unavailable, 4 times in a row") as caught:
        read(make())
    assert "run the same command again to go on" in str(caught.value) and server.offsets().count(10) == 4
    server.faults[20] = [503]
    with pytest.raises(PolychromicError, match="1 times in a row"):
        read(make(retries=0))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (400, "400 Bad Request .told to fail"),
        (402, "402 "),
        (403, "403 Forbidden.*a token that may read this dataset"),
        (404, "404 Not Found.*does not exist, or not for this token"),
        (410, "410 "),
        ("429 7200", "asks to wait 120 minutes .*up to 15 minutes.*go on"),
        ("moved", "302 Found"),
        ("object", "a JSON dict. Allowed: a list of items"),
        ("all", "25 items came, from offset 10. Allowed: at most 10"),
        ("elsewhere", "10 items came, from offset 0. Allowed: at most 10, from offset 10"),
    ],
)
def test_what_does_not_pass_is_an_error_at_once(source, fault, said):
    server, make, _, waited = source
    server.faults[10] = [fault]
    with pytest.raises(PolychromicError, match=said):
        read(make())
    assert server.offsets() == [0, 10] and waited == []


def test_the_token_is_sent_in_a_header_only_and_netrc_does_not_replace_it(source, folder, monkeypatch):
    server, make, _, _ = source
    (folder / "netrc").write_text("machine 127.0.0.1 login anna password secret\n")
    (folder / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(folder / "netrc"))
    for token in (TOKEN, None):
        server.token = token
        assert make(token).size() == 25 and len(read(make(token))) == 25
        assert {seen.token for seen in server.seen} == {token}
        server.seen.clear()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "APIFY_TOKEN is not set. Allowed: a token of the account"),
        ("wrong_token", "401 Unauthorized (Authentication token is not valid: ***). APIFY_TOKEN is set, but the API does not accept it"),
        ("two words", "APIFY_TOKEN holds blanks"),
        (f" {TOKEN}\n", None),
    ],
)
def test_the_token_is_in_nothing_that_is_written_or_said(serve, folder, collect, monkeypatch, given, said):
    server = serve(pairs(30))
    server.token, server.head, server.faults[10] = TOKEN, given is None, [503]
    if given:
        monkeypatch.setenv("APIFY_TOKEN", given)
    code, out, err = collect("apify", "DATA", "--out", "out", "--base-url", server.url, "--page-size", 10)
    if said:
        assert code in (1, 2) and said in err and out == "" and not (folder / "out").exists() and (given or "-") not in err
    else:
        written = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
        assert code == 0 and "secret123" not in written + out + err and len(written) > 1000


@pytest.mark.parametrize(
    ("url", "token", "said"),
    [
        ("ftp://host", None, "is no root of an API"),
        ("host:80", None, "is no root of an API"),
        ("https://anna:password@host", None, "--base-url https://host is no root"),
        ("https://host?token=x", None, "is no root of an API"),
        ("http://host", TOKEN, "would send APIFY_TOKEN unencrypted"),
    ],
)
def test_addresses(url, token, said):
    with pytest.raises(UsageError, match=said) as caught:
        check_base(url, token)
    assert "password@" not in str(caught.value)
    assert check_base("https://host/apify/v2/", TOKEN) == "https://host/apify"
    assert check_base("http://127.0.0.1:80", TOKEN) == "http://127.0.0.1:80"
    assert check_base("http://host", None) == "http://host"


def test_ids_that_are_none_and_no_server_at_all(folder, collect):
    for name in ("", "..", "a/b", "a?token=x", "ä", "x" * 201):
        with pytest.raises(UsageError, match="Allowed: an id such as"):
            ApifySource("http://127.0.0.1:9", name, None, 1, 0, print)
    code, _, err = collect("apify", "DATA", "--out", "out", "--base-url", "http://127.0.0.1:9", "--retries", 1)
    assert code == 1 and "Connection refused, 2 times in a row" in err and not (folder / "out").exists()


def test_a_failure_keeps_what_was_stored_and_what_is_complete_goes_on_when_the_dataset_grows(serve, collect):
    server = serve(pairs(25))
    server.faults[10] = [503] * 3
    arguments = ["apify", "DATA", "--out", "out", "--base-url", server.url, "--page-size", 5, "--retries", 2]
    code, _, err = collect(*arguments)
    assert code == 1 and "503 Service Unavailable, 3 times in a row" in err
    assert [row["engagement"] for row in log("out")] == list(range(10)) and not Path("out/summary.json").exists()
    news = "25 items; 10 are stored already; 3 page(s)"
    for grown, asked, said in ((0, [10, 15, 20], news), (0, [], "0 page(s)"), (3, [25], "28 items")):
        server.items += pairs(grown, start=len(server.items))
        server.seen.clear()
        code, _, err = collect(*arguments)
        assert code == 0 and said in err and server.offsets() == asked
        assert [row["engagement"] for row in log("out")] == list(range(len(server.items)))
