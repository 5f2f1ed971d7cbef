"""The page in a real browser that reaches the monitor and nothing else. Skipped where Debian's chromium and
chromium-driver are missing, but not in CI."""

from __future__ import annotations

import json
import os
import re
import runpy
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from pretended import Metrics, Pretended, busy, monitored, prepare, requests

from trident.config.models import Config
from trident.monitor.settings import Settings

TOOL = runpy.run_path(str(Path(__file__).parents[4] / "tools" / "chromium.py"))
IS_MISSING = TOOL["missing"]() is not None and os.environ.get("CI") != "true"
pytestmark = pytest.mark.skipif(IS_MISSING, reason=str(TOOL["missing"]()))
WAIT_S = 40.0
KEY = "a-key-of-this-server"
SHOWN = """
return [...document.querySelectorAll('#overview [data-metric]')].map(each => ({
  family: each.dataset.metric, value: Number(each.dataset.value),
  text: each.firstElementChild ? each.firstElementChild.textContent : each.textContent}));
"""
CURVES = "return [...document.querySelectorAll('.chart path')].map(each => each.getAttribute('d')).join();"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with TOOL["browser"]("127.0.0.1") as opened:
        yield opened


@pytest.fixture
def monitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretended]:
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(tmp_path))
    config = Config(model="demo")
    prepare(config)
    metrics = Metrics()
    busy(metrics, 1.0)
    with monitored(config, Settings(refresh_s=0.1), metrics) as one:
        yield one


@pytest.fixture
def page(browser: Any, monitor: Pretended) -> Iterator[Any]:
    """Open, and left without a word on the console or a request to anybody else."""
    browser.console(), browser.asked_for()
    browser.look(width=1360, height=900)
    browser.open(f"{monitor.url}/")
    until(lambda: browser.run("return document.body.dataset.number") is not None)
    yield browser
    said, asked = browser.console(), browser.asked_for()
    browser.run("localStorage.clear(); return 1")
    browser.open("about:blank")
    assert said == []
    assert [url for url in asked if not url.startswith((monitor.url, "data:", "chrome", "about:"))] == []


def until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_true():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.05)


def sums(page: str) -> dict[str, float]:
    """Of the families of Prometheus's text, by name."""
    found: dict[str, float] = {}
    for name, value in re.findall(r"^([\w:]+)(?:\{[^}]*\})? (\S+)$", page, re.MULTILINE):
        found[name] = found.get(name, 0.0) + float(value)
    return found


def shown(page: Any) -> list[dict[str, Any]]:
    return page.run(SHOWN)  # type: ignore[no-any-return]


def is_read(page: Any, monitor: Pretended) -> bool:
    """The page shows what the monitor has read last of metrics that stand still now."""
    tokens = sums(monitor.metrics.text.decode())["vllm:generation_tokens_total"]
    return any(each["family"] == "vllm:generation_tokens_total" and each["value"] == tokens for each in shown(page))


def test_numbers_are_those_of_metrics_at_that_time_and_charts_move(page: Any, monitor: Pretended) -> None:
    curves = ""
    for moment in range(1, 4):
        busy(monitor.metrics, float(moment), running=5 * moment, waiting=moment)
        until(lambda: is_read(page, monitor))
        told = sums(httpx.get(f"{monitor.url}/metrics", trust_env=False).text)
        seen = shown(page)
        assert len(seen) >= 10
        for each in seen:
            assert each["value"] == pytest.approx(told[each["family"]]), each
        texts = {each["family"]: each["text"] for each in seen}
        assert texts["vllm:num_requests_running"] == str(5 * moment)
        assert texts["vllm:num_requests_waiting"] == str(moment)
        before, curves = curves, page.run(CURVES)
        assert curves != before
    assert page.run("return document.querySelectorAll('.chart').length") == 8, "without a GPU it has no GPU charts"


def test_rates_and_quantiles_are_those_that_the_api_tells(page: Any, monitor: Pretended) -> None:
    with httpx.stream("GET", f"{monitor.url}/api/live", trust_env=False) as stream:
        for line in stream.iter_lines():
            busy(monitor.metrics, 0.1)
            if line and (told := json.loads(line.removeprefix("data: ")))["number"] > 20:
                break
    page.run("document.getElementById('pause').click(); return 1")
    number = int(page.run("return document.body.dataset.number"))
    assert number >= told["number"] - 1
    text = page.run("return document.querySelector('#tile-ttft .value').textContent")
    assert text == f"{1000 * told['numbers']['ttft_p95_s']:.3g}ms"


def test_requests_in_flight_are_listed_and_no_prompt_is_on_the_page(page: Any, monitor: Pretended) -> None:
    monitor.in_flight[:] = requests(10)
    until(lambda: page.run("return document.querySelectorAll('#requests-few tbody tr').length") == 8)
    page.press("2")
    until(lambda: page.run("return document.querySelectorAll('#requests-all tbody tr').length") == 10)
    text = page.run("return document.body.innerText")
    assert "team-a" in text
    assert "capital of France" not in text
    assert page.run("return document.getElementById('prompts').disabled")


def test_keys_reach_every_view_pause_colours_and_language(page: Any, monitor: Pretended) -> None:
    del monitor
    for key, view in (("3", "logs"), ("4", "server"), ("5", "playground"), ("1", "overview")):
        page.press(key)
        assert page.run(f"return !document.getElementById('{view}').hidden"), view
        assert page.run("return document.activeElement.id") == f"tab-{view}"
    page.press("ArrowRight")
    assert page.run("return document.activeElement.id") == "tab-requests"
    page.press("t")
    assert page.run("return document.documentElement.dataset.theme") == "dark"
    assert page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(14, 18, 22)"
    page.press("l")
    assert page.run("return document.getElementById('tab-overview').textContent") == "总览"
    assert page.run("return document.documentElement.lang") == "zh-CN"
    page.press("p")
    number = page.run("return document.body.dataset.number")
    time.sleep(0.5)
    assert page.run("return document.body.dataset.number") == number
    unnamed = "return [...document.querySelectorAll('button, input, select, textarea')].filter(e => !e.innerText && "
    unnamed += "!e.getAttribute('aria-label') && !e.closest('label')).map(e => e.id)"
    assert page.run(unnamed) == [], "each has a name for who does not see it"


def test_every_word_of_the_page_is_there_in_both_languages(page: Any, monitor: Pretended) -> None:
    del monitor
    static = Path(__file__).parents[4] / "src" / "trident" / "monitor" / "static"
    source = "".join(file.read_text(encoding="utf-8") for file in static.iterdir() if file.name != "words.js")
    used = set(re.findall(r"data-(?:word|label|placeholder)=\"(\w+)\"", source))
    used |= set(re.findall(r"\bword\('(\w+)'", source)) | set(re.findall(r"(?:title|note): '(\w+)'", source))
    words = (static / "words.js").read_text(encoding="utf-8")
    assert sorted(name for name in used if not re.search(rf"\b{name}: \[", words)) == []
    assert not page.run("return [...document.querySelectorAll('[data-word]')].some(each => !each.textContent)")


@pytest.mark.parametrize("view", ["overview", "requests", "logs", "server", "playground"])
def test_on_a_phone_nothing_makes_the_page_itself_scroll(page: Any, monitor: Pretended, view: str) -> None:
    monitor.in_flight[:] = requests(10)
    page.look(width=360, height=780)
    page.run(f"document.getElementById('tab-{view}').click(); return 1")
    time.sleep(0.4)
    assert page.run("return document.documentElement.scrollWidth") <= 360


def test_log_is_shown_with_its_levels_and_can_be_filtered(page: Any, monitor: Pretended) -> None:
    del monitor
    page.press("3")
    until(lambda: "something broke" in page.run("return document.getElementById('log').innerText"))
    assert page.run("return document.querySelector('#log .error').textContent").startswith("ERROR")
    page.run("const f = document.getElementById('log-filter'); f.value = 'queue'; f.dispatchEvent(new Event('input'))")
    assert page.run("return document.getElementById('log').children.length") == 1


def test_what_clients_say_is_never_markup(page: Any, monitor: Pretended) -> None:
    monitor.in_flight[:] = [msgspec.structs.replace(requests(1)[0], client="<img src=x onerror=alert(1)>")]
    until(lambda: "<img src=x" in page.run("return document.getElementById('requests-few').innerText"))
    assert page.run("return document.querySelectorAll('main img').length") == 0


def test_with_keys_the_page_asks_for_one_and_opens(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(tmp_path))
    config = Config.model_validate({"model": "demo", "security": {"api_key": [KEY]}})
    prepare(config)
    with monitored(config, Settings(refresh_s=0.1), Metrics()) as one:
        browser.open(f"{one.url}/")
        browser.run("document.getElementById('key').value = 'wrong'; document.getElementById('form').requestSubmit()")
        until(lambda: browser.run("return document.getElementById('said').textContent") != "")
        browser.run(f"document.getElementById('key').value = '{KEY}'; document.getElementById('form').requestSubmit()")
        until(lambda: browser.run("return document.body.dataset.number") is not None)
        assert not browser.run("return document.getElementById('leave').hidden")
        browser.open("about:blank")
    refused = [line for line in browser.console() if "401" not in line]
    assert refused == []
