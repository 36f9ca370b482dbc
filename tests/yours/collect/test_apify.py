"""The network source against a server that paginates, fails, throttles, truncates, hangs and lies."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from tests.collect.conftest import pairs

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.yours.collect import http
from polychromic.yours.collect.apify import ApifySource
from polychromic.yours.collect.http import Client, check_base

TOKEN = "apify_api_secret123"


@pytest.fixture
def source(serve, folder):
    """(server, source of it, what was said, seconds that were waited) of 25 items; nothing is waited for."""
    server = serve(pairs(25))
    said: list[str] = []
    waited: list[float] = []

    def make(token: str | None = None, retries: int = 3, timeout: float = 20.0) -> ApifySource:
        return ApifySource(Client(token, timeout, retries, said.append, waited.append), server.url, "DATA")

    return server, make, said, waited


def read(source: ApifySource, position: int = 0, stop: int | None = None, size: int = 10) -> list[int]:
    return [item["engagement"] for page in source.pages(position, stop, size) for _, item in page.items]


def test_pages_follow_one_another(source):
    server, make, _, _ = source
    found = make()
    assert found.size() == 25 and read(found) == list(range(25))
    assert [(seen.method, seen.offset, seen.limit) for seen in server.seen[1:]] == [("GET", 0, 10), ("GET", 10, 10), ("GET", 20, 10)]
    assert {seen.path for seen in server.seen} == {"/v2/datasets/DATA/items"}
    assert [where for page in make().pages(0, 2, 1) for where, _ in page.items] == ["item 0", "item 1"]


def test_a_collection_begins_and_ends_where_it_is_told(source):
    server, make, _, _ = source
    assert read(make(), 7, 19) == list(range(7, 19))
    assert [(seen.offset, seen.limit) for seen in server.seen] == [(7, 10), (17, 2)]


@pytest.mark.parametrize("headers", [set(), {"Count"}, {"Offset"}])
def test_without_a_total_the_end_is_an_empty_page(source, headers):
    server, make, _, _ = source
    server.headers, server.head = headers, False
    found = make()
    assert found.size() is None and read(found) == list(range(25))
    assert server.offsets() == [0, 10, 20, 25]


def test_a_total_that_lags_behind_is_not_the_end(source):
    """Apify counts items some seconds late."""
    server, make, _, _ = source
    found = make()
    server.headers = {"Offset"}
    for stale in (0, 8):
        found.total = stale
        assert read(found) == list(range(25))


def test_a_dataset_that_grows_is_followed(source):
    server, make, _, _ = source
    found = make()
    found.size()
    pages = found.pages(0, None, 10)
    next(pages)
    server.items += pairs(5, start=25)
    assert [len(page.items) for page in pages] == [10, 10]


@pytest.mark.parametrize("fault", [500, 502, 503, "cut", "cut quietly", "cut in a chunk", "fewer", "empty", "drop", "html"])
def test_what_passes_is_tried_again(source, fault):
    server, make, said, waited = source
    server.faults[10] = [fault, fault]
    assert read(make()) == list(range(25))
    assert server.offsets() == [0, 10, 10, 10, 20] and len(waited) == len(said) == 2
    assert "try 3 of 4" in said[1]


@pytest.mark.parametrize("fault", ["hang", "trickle"])
def test_a_server_that_does_not_end_its_answer(source, fault):
    server, make, said, _ = source
    server.faults[10] = [fault]
    started = time.monotonic()
    assert read(make(timeout=1)) == list(range(25))
    assert time.monotonic() - started < 30 and "within 1 s" in said[0]


def test_waits_grow_and_are_bounded(source, monkeypatch):
    server, make, _, waited = source
    monkeypatch.setattr(http, "FIRST_WAIT", 0.5)
    server.faults[0] = [503] * 9
    read(make(retries=9))
    for attempt, seconds in enumerate(waited):
        longest = min(60.0, 0.5 * 2**attempt)
        assert longest / 2 <= seconds <= longest
    assert len(waited) == 9 and waited[-1] >= 30


def test_throttling_is_obeyed(source):
    server, make, said, waited = source
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    earlier = format_datetime(datetime.now(UTC) - timedelta(seconds=40), usegmt=True)
    server.faults[10] = ["429 7", f"429 {later}", f"503 {earlier}"]
    assert read(make()) == list(range(25))
    assert waited[0] == 7 and 30 < waited[1] <= 40 and waited[2] == 0
    assert "429 Too Many Requests; try 2 of 4 in 7.0 s" in said[0]


@pytest.mark.parametrize("text", ["soon", "-5", "1.5"])
def test_a_wait_that_is_no_wait_is_the_usual_one(source, text):
    server, make, _, waited = source
    server.faults[0] = [f"429 {text}"]
    read(make())
    assert 0 < waited[0] <= http.FIRST_WAIT


def test_who_asks_to_wait_for_hours_is_left_alone(source):
    server, make, _, waited = source
    server.faults[0] = ["429 7200"]
    with pytest.raises(PolychromicError, match="asks to wait 120 minutes .*up to 15 minutes.*go on"):
        read(make())
    assert waited == []


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


def test_head_is_tried_again_too(source):
    server, make, _, waited = source
    server.faults["HEAD"] = [503, "429 1"]
    assert make().size() == 25 and len(waited) == 2


# the token


def test_the_token_is_sent_in_a_header_only(source):
    server, make, _, _ = source
    server.token = TOKEN
    found = make(TOKEN)
    assert found.size() == 25 and len(read(found)) == 25
    assert {seen.token for seen in server.seen} == {TOKEN}


def test_a_password_of_netrc_does_not_replace_the_token(source, folder, monkeypatch):
    server, make, _, _ = source
    (folder / "netrc").write_text("machine 127.0.0.1 login anna password secret\n")
    (folder / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(folder / "netrc"))
    for token in (TOKEN, None):
        server.token = token
        assert make(token).size() == 25
    assert [seen.token for seen in server.seen] == [TOKEN, None]


@pytest.mark.parametrize("token", [None, "wrong_token"])
def test_a_missing_or_wrong_token(serve, folder, command, monkeypatch, token):
    server = serve(pairs(3))
    server.token, server.head = TOKEN, token is None
    if token:
        monkeypatch.setenv("APIFY_TOKEN", token)
    code, out, err = command("apify", "DATA", "--out", "out", "--base-url", server.url)
    assert (code, out) == (1, "") and "401 Unauthorized" in err and "Set APIFY_TOKEN" in err
    expected = "APIFY_TOKEN is set, but the API does not accept it" if token else "APIFY_TOKEN is not set"
    assert expected in err and not (folder / "out").exists()
    assert "wrong_token" not in err, "the server repeats the token, the message must not"


def test_the_token_is_in_nothing_that_is_written_or_said(serve, folder, command, monkeypatch):
    server = serve(pairs(30))
    server.token = TOKEN
    server.faults[10] = [503]
    monkeypatch.setenv("APIFY_TOKEN", f" {TOKEN}\n")
    code, out, err = command("apify", "DATA", "--out", "out", "--base-url", server.url, "--page-size", 10)
    assert code == 0
    written = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    assert "secret123" not in written + out + err and len(written) > 1000


def test_what_cannot_be_a_token_is_refused_without_repeating_it(serve, command, monkeypatch):
    monkeypatch.setenv("APIFY_TOKEN", "two words\u00e9")
    code, _, err = command("apify", "DATA", "--out", "out", "--base-url", serve([]).url)
    assert code == 2 and "APIFY_TOKEN holds blanks" in err and "words" not in err


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
def test_addresses_that_are_refused(url, token, said):
    with pytest.raises(UsageError, match=said) as caught:
        check_base(url, token)
    assert "password@" not in str(caught.value)


def test_addresses_that_are_fine():
    assert check_base("https://host/apify/v2/", TOKEN) == "https://host/apify"
    assert check_base("http://127.0.0.1:80", TOKEN) == "http://127.0.0.1:80"
    assert check_base("http://host", None) == "http://host"


@pytest.mark.parametrize("name", ["", "..", "a/b", "a?token=x", "ä", "x" * 201])
def test_ids_that_are_none(name):
    with pytest.raises(UsageError, match="Allowed: an id such as"):
        ApifySource(Client(None, 1, 0, print), "http://127.0.0.1:9", name)


def test_no_server_at_all(folder, command):
    code, _, err = command("apify", "DATA", "--out", "out", "--base-url", "http://127.0.0.1:9", "--retries", 1)
    assert code == 1 and "connection refused, 2 times in a row" in err and not (folder / "out").exists()


def test_a_failure_in_the_middle_keeps_what_was_stored_and_goes_on_there(serve, folder, command):
    server = serve(pairs(25))
    server.faults[10] = [503] * 3
    arguments = ["apify", "DATA", "--out", "out", "--base-url", server.url, "--page-size", 5, "--retries", 2]
    code, _, err = command(*arguments)
    assert code == 1 and "503 Service Unavailable, 3 times in a row" in err
    assert len(Path("out/raw.jsonl").read_text().splitlines()) == 10 and not Path("out/summary.json").exists()
    server.seen.clear()
    code, _, err = command(*arguments)
    assert code == 0 and "25 items; 10 are stored already; 3 page(s)" in err
    assert server.offsets() == [10, 15, 20]
    assert [json.loads(line)["engagement"] for line in Path("out/raw.jsonl").read_text().splitlines()] == list(range(25))


def test_a_complete_collection_asks_for_no_page_until_the_dataset_grows(serve, command):
    server = serve(pairs(10))
    arguments = ["apify", "DATA", "--out", "out", "--base-url", server.url]
    assert command(*arguments)[0] == 0
    before = Path("out/raw.jsonl").read_bytes()
    server.seen.clear()
    assert command(*arguments)[0] == 0
    assert server.offsets() == [] and Path("out/raw.jsonl").read_bytes() == before
    server.items += pairs(3, start=10)
    assert command(*arguments)[0] == 0
    assert server.offsets() == [10] and len(Path("out/raw.jsonl").read_text().splitlines()) == 13
