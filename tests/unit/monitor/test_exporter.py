from __future__ import annotations

import asyncio
import logging

import pytest
from prometheus_client.parser import text_string_to_metric_families

from trident.monitor import exporter
from trident.monitor.exporter import Exporter
from trident.monitor.sources.source import SourceFailed


class Says:
    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.asked = 0
        self._text = text

    async def read(self) -> str:
        self.asked += 1
        await asyncio.sleep(0)
        return self._text


class Fails:
    name = "failing"

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def read(self) -> str:
        raise self._error


class NeverAnswers:
    name = "silent"

    async def read(self) -> str:
        await asyncio.Event().wait()
        return ""


def values(page: bytes) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("source", "")): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


@pytest.fixture(autouse=True)
def _every_page_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "FRESH_S", 0.0)


def collected(*sources: object, deadline_s: float = 0.05) -> dict[tuple[str, str], float]:
    return values(asyncio.run(Exporter(sources, deadline_s).collect()))  # type: ignore[arg-type]


def test_page_has_the_text_of_every_source() -> None:
    found = collected(Says("a", "# TYPE a gauge\na 1"), Says("b", "# TYPE b gauge\nb 2\n"))

    assert found["a", ""] == 1
    assert found["b", ""] == 2
    assert found["trident_monitor_source_up", "a"] == 1
    assert found["trident_monitor_source_scrape_seconds", "b"] >= 0


@pytest.mark.parametrize(
    "source",
    [Fails(SourceFailed("no")), Fails(OSError("gone")), Fails(KeyError("a fault of ours")), NeverAnswers()],
    ids=["has nothing", "operating system", "fault", "silence"],
)
def test_source_that_fails_is_left_out_and_others_stay(source: Fails | NeverAnswers) -> None:
    found = collected(source, Says("a", "# TYPE a gauge\na 1\n"))

    assert found["a", ""] == 1
    assert found["trident_monitor_source_up", source.name] == 0
    assert found["trident_monitor_source_up", "a"] == 1


def test_trouble_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    source = Exporter([Fails(SourceFailed("the door is closed"))])

    async def three_times() -> None:
        for _ in range(3):
            await source.collect()

    with caplog.at_level(logging.WARNING):
        asyncio.run(three_times())

    assert [record.getMessage() for record in caplog.records] == ["the source failing is left out: the door is closed"]


def test_those_who_ask_at_the_same_time_share_a_page() -> None:
    source = Says("a", "# TYPE a gauge\na 1\n")
    page = Exporter([source])

    async def both() -> list[bytes]:
        return await asyncio.gather(page.collect(), page.collect())

    one, other = asyncio.run(both())

    assert one == other
    assert source.asked == 1


def test_one_who_leaves_does_not_end_the_others_page() -> None:
    page = Exporter([Says("a", "# TYPE a gauge\na 1\n")])

    async def one_leaves() -> bytes:
        leaver = asyncio.ensure_future(page.collect())
        await asyncio.sleep(0)
        stayer = asyncio.ensure_future(page.collect())
        leaver.cancel()
        return await stayer

    assert values(asyncio.run(one_leaves()))["a", ""] == 1


@pytest.mark.parametrize(("fresh_s", "asked"), [(60.0, 1), (0.0, 2)], ids=["soon after", "later"])
def test_one_who_asks_soon_after_another_gets_the_same(
    monkeypatch: pytest.MonkeyPatch, fresh_s: float, asked: int
) -> None:
    monkeypatch.setattr(exporter, "FRESH_S", fresh_s)
    source = Says("a", "# TYPE a gauge\na 1\n")
    page = Exporter([source])

    async def twice() -> None:
        await page.collect()
        await page.collect()

    asyncio.run(twice())

    assert source.asked == asked
