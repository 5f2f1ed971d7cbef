"""Debian's headless Chromium by its ChromeDriver, without a network: for tests of pages and their screenshots.

    python tools/chromium.py PAGE.html|http://127.0.0.1:PORT/ PICTURE.png [--dark] [--width PIXELS] [--height PIXELS]
        [--wait SECONDS] [--language en|zh]

The W3C WebDriver protocol is plain JSON over HTTP, so httpx is all it takes.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

START_TIMEOUT_S = 30.0
TRIES = 5
FLAGS = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
    # A name is never found and an address never reached, but for those of ``browser(reaches=…)``.
    "--proxy-server=127.0.0.1:9",
)  # fmt: skip


def missing() -> str | None:
    """Why no browser can be started here, or None."""
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(absent)} not installed: apt-get install chromium chromium-driver" if absent else None


class Browser:
    """One window."""

    def __init__(self, address: str, folder: Path, reaches: str | None = None) -> None:
        self._http = httpx.Client(base_url=address, timeout=START_TIMEOUT_S, trust_env=False)
        but = f", EXCLUDE {reaches}" if reaches else ""
        arguments = [*FLAGS, f"--host-resolver-rules=MAP * ~NOTFOUND{but}", f"--user-data-dir={folder}"]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")
        options = {"args": arguments, "binary": shutil.which("chromium")}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        opened = self._http.post("/session", json={"capabilities": {"alwaysMatch": wanted}})
        opened.raise_for_status()
        self._session = f"/session/{opened.json()['value']['sessionId']}"

    def open(self, page: Path | str) -> None:
        """A file or an address. Waits until it is loaded: the first answer may come while it is still being read."""
        self._post("/url", url=page if isinstance(page, str) else page.resolve().as_uri())
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.run("return document.readyState") != "complete":
            if time.monotonic() > deadline:
                raise TimeoutError(f"{page} was not loaded within {START_TIMEOUT_S:g} s")
            time.sleep(0.02)

    def run(self, script: str) -> Any:
        """The value that the function body ``script`` returns."""
        return self._post("/execute/sync", script=script, args=[])

    def console(self) -> list[str]:
        """What has been written to the console since the last call."""
        return [f"{entry['level']} {entry['message']}" for entry in self._post("/se/log", type="browser")]

    def asked_for(self) -> list[str]:
        """The addresses of all requests since the last call, those that failed among them."""
        events = [json.loads(entry["message"])["message"] for entry in self._post("/se/log", type="performance")]
        return [one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"]

    def press(self, *keys: str) -> None:
        """Each key down and up, wherever the focus is."""
        for key in keys:
            for kind in ("keyDown", "keyUp"):
                text = {"text": key} if len(key) == 1 and kind == "keyDown" else {}
                self._cdp("Input.dispatchKeyEvent", type=kind, key=key, **text)

    def look(self, *, width: int, height: int, dark: bool = False) -> None:
        """The size of the window in CSS pixels, and the colours that the user prefers."""
        self._cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._cdp("Emulation.setEmulatedMedia", features=[feature])

    def screenshot(self, target: Path) -> None:
        """What the window shows, as a PNG."""
        target.write_bytes(base64.b64decode(self._cdp("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        self._http.delete(self._session)
        self._http.close()

    def _cdp(self, command: str, **parameters: Any) -> Any:
        return self._post("/goog/cdp/execute", cmd=command, params=parameters)

    def _post(self, path: str, **content: Any) -> Any:
        answer = self._http.post(self._session + path, json=content)
        if answer.is_error:
            raise RuntimeError(f"ChromeDriver refused {path}: {answer.text[:500]}")
        return answer.json()["value"]


@contextmanager
def browser(reaches: str | None = None) -> Iterator[Browser]:
    """A browser with a profile of its own; nothing of it is left afterwards. ``reaches`` is the one address that it may
    ask, as 127.0.0.1."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        process, port = _driver(folder)
        try:
            opened = Browser(f"http://127.0.0.1:{port}", Path(folder) / "profile", reaches)
            try:
                yield opened
            finally:
                opened.close()
        finally:
            process.terminate()
            process.wait(START_TIMEOUT_S)
            assert process.stdout
            process.stdout.close()


def _driver(folder: str) -> tuple[subprocess.Popen[str], int]:
    """A ChromeDriver that listens, and where. It takes one port for both families of addresses, and ends when another
    program has just got one half of it: then once more."""
    for _ in range(TRIES):
        process = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=os.environ | {"TMPDIR": folder},
        )  # fmt: skip
        if (port := _port(process)) is not None:
            return process, port
        process.wait(START_TIMEOUT_S)
        assert process.stdout
        process.stdout.close()
    raise RuntimeError(f"ChromeDriver ended {TRIES} times before it listened")


def _port(process: subprocess.Popen[str]) -> int | None:
    """From the line by which ChromeDriver says that it listens; it ends, and so does its output, if it cannot."""
    assert process.stdout
    for line in process.stdout:
        if match := re.search(r"started successfully on port (\d+)", line):
            return int(match[1])
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description="A picture of a page.")
    parser.add_argument("page", help="a file, or an address on this machine")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--width", type=int, default=1180)
    parser.add_argument("--height", type=int, default=1500)
    parser.add_argument("--wait", type=float, default=0.0, help="seconds for the page to fill")
    parser.add_argument("--language", help="what a live page is shown in")
    given = parser.parse_args()
    is_address = given.page.startswith("http")
    with browser("127.0.0.1" if is_address else None) as window:
        window.look(width=given.width, height=given.height, dark=given.dark)
        window.open(given.page if is_address else Path(given.page))
        if given.language:
            window.run(f"localStorage.setItem('language', '{given.language}'); location.reload(); return 1")
        time.sleep(given.wait)
        window.screenshot(given.picture)


if __name__ == "__main__":
    main()
