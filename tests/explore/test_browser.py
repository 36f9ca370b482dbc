"""The page in headless Chromium, driven as a reader would: pointer, keyboard, phone, looks; no console error, no request that leaves it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from polychromic.explore import page
from tests.explore.toy import HOSTILE
from tests.yours.evaluate.conftest import GOOD, evaluate, write

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--force-prefers-reduced-motion")  # fmt: skip
PATIENCE = 60
# Contrast of an element's text with what lies behind it (WCAG 2.2), colours as the canvas paints them.
CONTRAST = """
const brush = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
function paint(colors) { brush.clearRect(0, 0, 1, 1); for (const color of colors) { brush.fillStyle = color; brush.fillRect(0, 0, 1, 1); }
  const shares = [...brush.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v / 255);
  return shares.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)); }
const light = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;
return [...document.querySelectorAll(arguments[0])].filter((e) => e.offsetParent && e.textContent.trim()).map((e) => {
  const behind = []; for (let at = e; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
  const [a, b] = [light(paint(behind)), light(paint([...behind, getComputedStyle(e).color]))].sort((x, y) => y - x);
  return [(a + 0.05) / (b + 0.05), e.className || e.tagName]; });
"""
TEXTS = "h1, h2, h3, p, label, legend, span, small, em, button, output, dt, dd, li, th, td, summary, select, .strip i, figcaption"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Debian's packages chromium and chromium-driver"),
    pytest.mark.timeout(600),
]


class Reader:
    """A browser on the page."""

    def __init__(self, folder: Path, width: int = 1280, height: int = 1000):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={folder}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.driver.set_page_load_timeout(PATIENCE)

    def open(self, path: Path) -> None:
        self.driver.get(path.as_uri())
        self.until(lambda: self.run("return document.documentElement.dataset.ready === 'yes'"))

    def until(self, true) -> None:  # noqa: ANN001
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, PATIENCE).until(lambda _: true())

    def run(self, script: str, *arguments):  # noqa: ANN002, ANN201
        return self.driver.execute_script(script, *arguments)

    def one(self, css: str):  # noqa: ANN201
        return self.driver.find_element("css selector", css)

    def all(self, css: str) -> list:
        return self.driver.find_elements("css selector", css)

    def text(self, css: str) -> str:
        return self.one(css).text

    def point(self, label: str, t: float) -> tuple[int, int]:
        """Where a point of the chart stands in the window, in pixels."""
        self.run("document.getElementById('chart').scrollIntoView({block: 'center'})")
        place = self.run(
            "const p = chart.points.find((p) => p.label === arguments[0] && p.t === arguments[1]); const at = chart.at(p);"
            "const box = document.getElementById('chart').getBoundingClientRect(); return [box.x + at.x, box.y + at.y]",
            label, t,
        )  # fmt: skip
        return round(place[0]), round(place[1])

    def pointer(self, x: int, y: int, click: bool = False) -> None:
        from selenium.webdriver import ActionChains

        chain = ActionChains(self.driver)
        chain.w3c_actions.pointer_action.move_to_location(x, y)
        if click:
            chain.w3c_actions.pointer_action.click()
        chain.w3c_actions.perform()

    def keys(self, press: str, key: str) -> None:
        """press: key_down or key_up."""
        from selenium.webdriver import ActionChains

        getattr(ActionChains(self.driver), press)(key).perform()

    def choose(self, css: str, value: str) -> None:
        from selenium.webdriver.support.ui import Select

        Select(self.one(css)).select_by_value(value)

    def complaints(self) -> list[str]:
        return [row["message"] for row in self.driver.get_log("browser") if row["level"] not in ("INFO", "DEBUG")]

    def requests(self) -> set[str]:
        """The addresses asked for since the last call, without what the page and Bokeh hold themselves."""
        events = (json.loads(row["message"])["message"] for row in self.driver.get_log("performance"))
        asked = (one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent")
        return {url for url in asked if not url.startswith(("data:", "chrome:", "chrome-"))}


@pytest.fixture
def written(workspace, params) -> Path:
    document, _ = page.explore(params, ["listqa"])
    return page.write(workspace / "explore.html", document)


@pytest.fixture
def reader(written, tmp_path) -> Iterator[Reader]:
    found = Reader(tmp_path / "profile")
    try:
        found.open(written)
        yield found
    finally:
        found.driver.quit()


def test_a_reader_finds_drafts_and_origins(reader, written):
    from selenium.webdriver import Keys

    first = reader.text("#prompt")
    assert [reader.one(f"#{side} select").get_attribute("value") for side in ("left", "right")] == ["lora", "polychromic"]

    # hover
    reader.pointer(*reader.point("lora", 0.4))
    reader.until(lambda: reader.one("#tip").is_displayed())
    assert reader.text("#tip").startswith("LoRA\ntemperature 0.4") and "pass@1" in reader.text("#tip")
    # a click shows the drafts behind a point, on the right, and with Shift on the left
    reader.pointer(*reader.point("zero_shot", 0.4), click=True)
    reader.until(lambda: reader.one("#right select").get_attribute("value") == "zero_shot")
    place = reader.point("few_shot", 0.6)
    reader.keys("key_down", Keys.SHIFT)
    reader.pointer(*place, click=True)
    reader.keys("key_up", Keys.SHIFT)
    reader.until(lambda: reader.one("#left select").get_attribute("value") == "few_shot")
    assert "T = 0.6" in reader.run("return document.querySelectorAll('#left select')[1].selectedOptions[0].textContent")
    # by keys: to a system, along its temperatures, and in
    reader.one("#chart").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_UP)
    assert reader.text("#tip").startswith("Polychromic")
    reader.one("#chart").send_keys(Keys.ARROW_RIGHT, Keys.ENTER)
    assert reader.one("#right select").get_attribute("value") == "polychromic"

    # select systems, in the list, by cost, and on a side
    shown = lambda: set(reader.run("return chart.points.map((p) => p.label)"))
    reader.one("#systems input[data-label=rft]").click()
    assert "rft" in shown()
    reader.run("document.querySelector('#cost input[value=\"1\"]').click()")
    assert "lora" in shown() and "lora_2c" not in shown()
    reader.run("document.querySelector('#cost input[value=all]').click()")
    assert {"lora_2c", "polychromic@0.3"} <= shown()
    reader.choose("#left select", "lora")
    assert len(reader.all("#left .draft")) == len(reader.all("#right .draft")) == 10

    # near-duplicates have one letter and colour on both sides, and another one has another
    rows = reader.run("return [...document.querySelectorAll('.draft')].map((e) => [e.dataset.group, e.querySelector('.letter').textContent,"
                      " e.style.getPropertyValue('--h')])")  # fmt: skip
    assert len({letter for _, letter, _ in rows}) == len({group for group, *_ in rows}) == len({tuple(row) for row in rows}) > 4
    assert {"\u2713 valid", "not valid"} >= {sign.text for sign in reader.all(".draft .sign")}

    # open a prompt, slide k, slide lambda and the dose
    reader.all("#list button")[3].click()
    assert reader.text("#prompt") == reader.all("#list .cut")[3].text != first
    reader.one("#k").send_keys(Keys.HOME, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert reader.text("#k-said") == "k = 3" and len(reader.all("#left .draft")) == 3 and "of 3" in reader.text("#left .measures")
    reader.choose("#value", "pass@k")
    assert reader.run("return chart.model('y').axis_label") == "pass@3 (%) \u2191"
    reader.choose("#value", "valid_distinct@10")
    reader.one("#lambda").send_keys(Keys.HOME)
    assert reader.one("#right select").get_attribute("value") == "lora" and reader.text("#lambda-said") == "0 \u00b7 LoRA"
    reader.one("#lambda").send_keys(Keys.ARROW_RIGHT)
    assert reader.one("#right select").get_attribute("value") == "polychromic@0.3"
    reader.one("#dose").send_keys(Keys.END)
    assert reader.one("#right select").get_attribute("value") == "polychromic"

    # search
    reader.one("#find").send_keys("DROSK")
    assert reader.text("#found").startswith("1 of 8") and reader.text("#list mark") == "drosk"
    reader.one("#find").send_keys(Keys.CONTROL, "a")
    reader.one("#find").send_keys(Keys.BACKSPACE)
    assert reader.text("#found").startswith("8 of 8")

    # trace: of a stored number, of one that the page computes, and from the table
    stored = [one for one in reader.all("#left .n") if "[" in one.text][0]
    stored.send_keys(Keys.ENTER)
    said = reader.text("#trace")
    parts = ["Interval\n95 %", "8 prompts, 10 drafts of each", "Seeds\n0, 1", "systems/lora@T=0.6", "results/listqa/dev/compare.json md5",
             "data/listqa.jsonl", "tuned-dev@listqa-lora", "hash", "the one whose dvc.lock", "polychromic trace results/"]  # fmt: skip
    assert [part for part in parts if part not in said] == []
    reader.one("#trace summary").click()
    assert "methods.lora" in reader.text("#trace .params")
    reader.one("#trace button").send_keys(Keys.ESCAPE)
    assert not reader.one("#trace").is_displayed() and reader.run("return document.activeElement.className") == "n"
    [one for one in reader.all("#left .n") if one.text.endswith("of 3")][0].click()
    assert "on this page, of the first 3 drafts" in reader.text("#trace")
    reader.one("#trace button").click()
    reader.one("details.points summary").click()
    assert len(reader.all("#points tbody tr")) == 48 and reader.all("#points .n")

    # another split, and back
    reader.run("document.querySelectorAll('#views input')[1].click()")
    assert "test" in reader.text("#front-lead") and not reader.one("#lambda").is_displayed()

    # hostile drafts are texts, nothing was asked of the network, and nothing could be
    reader.run("document.querySelectorAll('#views input')[0].click()")
    texts = reader.run("return DATA.views[0].prompts.flatMap((p) => p.texts)")
    assert HOSTILE.replace("\u202e", "<U+202E>") in texts and reader.run("return document.querySelectorAll('.draft img').length") == 0
    assert reader.complaints() == []
    assert reader.requests() == {written.as_uri()}
    blocked = "const done = arguments[0]; fetch('http://127.0.0.1:9/').then(() => done('sent'), (e) => done(String(e)))"
    assert "TypeError" in reader.driver.execute_async_script(blocked)
    assert any("Content Security Policy" in one for one in reader.complaints())


def test_every_look_is_legible_and_a_phone_needs_no_sideways_scrolling(reader):
    for look in ("light", "dark", "grey"):
        reader.run(f"document.querySelector('input[value={look}]').click()")
        low = [(round(ratio, 2), name) for ratio, name in reader.run(CONTRAST, TEXTS) if ratio < 4.5]
        assert low == [], look
    phone = {"width": 360, "height": 780, "deviceScaleFactor": 2, "mobile": True}
    reader.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    reader.until(lambda: reader.run("return innerWidth") == 360)
    assert reader.run("return document.documentElement.scrollWidth") <= 360
    reader.all("#list button")[1].click()
    parts = "return [...document.querySelectorAll('#drafts *, #fronts figure, #systems *')].map((e) => e.getBoundingClientRect().right)"
    assert max(reader.run(parts)) <= 361
    assert reader.complaints() == []


def test_ones_own_replies_have_the_same_page(tmp_path, monkeypatch):
    """Seven systems, of which little is known: no temperature, no interval, one metric that says nothing of quality."""
    monkeypatch.chdir(tmp_path)
    line = lambda name: GOOD | {"system": f"system {name}", "samples": ["red", "Red.", name, HOSTILE]}
    mine = write(tmp_path / "mine.jsonl", *map(line, "abcdefg"))
    assert evaluate(mine, more="--metrics words", out=tmp_path / "out").exit_code == 0
    found = Reader(tmp_path / "profile")
    try:
        found.open(tmp_path / "out" / "explore.html")
        assert found.text("#prompt") == GOOD["prompt"] and len(found.all("#left .draft")) == 4
        assert [one.text for one in found.all("#left .letter")][:2] == ["A", "A"]
        assert len(found.run("return chart.points.map((p) => p.color + p.marker)")) == len(set(found.run(
            "return chart.points.map((p) => p.color + p.marker)"))) == 7  # fmt: skip
        found.choose("#value", "pass@k")
        assert found.run("return chart.points[0].y") == 100 and found.run("return chart.model('y').axis_label") == "pass@4 (%) \u2191"
        assert not found.one("#lambda").is_displayed() and not found.one("#cost").is_displayed() and not found.one("#views").is_displayed()
        found.one("#left .n").click()
        assert "mine.jsonl" in found.text("#trace") and "polychromic evaluate" in found.text("#trace")
        assert found.complaints() == [] and found.requests() == {(tmp_path / "out" / "explore.html").as_uri()}
    finally:
        found.driver.quit()


def test_the_look_follows_the_system_until_one_is_chosen(reader):
    look = lambda: reader.run("return document.documentElement.dataset.theme")
    prefer = lambda value: reader.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": value}]}
    )
    prefer("dark")
    reader.until(lambda: look() == "dark")
    prefer("light")
    reader.until(lambda: look() == "light")
    reader.run("document.querySelector('input[value=grey]').click()")
    prefer("dark")
    assert look() == "grey"
