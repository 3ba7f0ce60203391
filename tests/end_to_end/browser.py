"""A headless Chromium, led over the pipe of its DevTools protocol: no port, no driver, no library."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from patience import PAUSE, Patience, wait_for

#: As a phone is: 390 points wide, touched.
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
DESK = {"width": 1200, "height": 900, "deviceScaleFactor": 1, "mobile": False}

_SWITCHES = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--hide-scrollbars"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)


def chromium() -> str:
    """Its command. Skips the test where there is none, unless BYZCODE_BROWSER = required."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        missing = "no Chromium is here (Debian: apt-get install chromium)"
        assert os.environ.get("BYZCODE_BROWSER") != "required", missing
        pytest.skip(missing)
    return found


@dataclass
class Page:
    """An open page: what it said on its console, what it asked the network for, and what can be done to it."""

    process: subprocess.Popen[bytes]
    reading: int
    writing: int
    session: str = ""
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _count: int = 0
    _rest: bytes = b""

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One call of the protocol, and its result."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writing, json.dumps(message).encode() + b"\0")
        return self._until(lambda found: found.get("id") == self._count)["result"]

    def go(self, address: str, *, scripts: bool = True, **screen: Any) -> None:
        """Open an address and wait until it is loaded."""
        self.call("Emulation.setDeviceMetricsOverride", **(screen or DESK))
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.complaints.clear()
        self.requests.clear()
        self.call("Page.navigate", url=address)
        self._until(lambda found: found.get("method") == "Page.loadEventFired")

    def prefer(self, *, scheme: str = "light", medium: str = "") -> None:
        """Prefer light or dark colours, and show the page as on a medium, from now on."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=medium, features=features)

    def value(self, script: str) -> Any:
        """The value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """The value of an expression as soon as it is true."""
        return wait_for(lambda: self.value(script), f"{script}: not true", self.process.pid)

    def click(self, words: str) -> None:
        """Click on the first link or heading that says this."""
        self.click_at(f"//*[self::a or self::summary][normalize-space()={json.dumps(words)}]")

    def click_at(self, path: str) -> None:
        """Click on the first element at an XPath, as soon as there is one and nothing covers it.

        The page does both at once: a click at a place that was asked for before may come when the element has moved.
        """
        self.wait_for(
            f"(() => {{ const found = document.evaluate({json.dumps(path)}, document, null, 9).singleNodeValue;"
            " if (!found) return false; found.scrollIntoView({block: 'center', behavior: 'instant'});"
            " const box = found.getBoundingClientRect();"
            " const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);"
            " if (!found.contains(top)) return false; found.click(); return true })()"
        )

    def pdf(self) -> bytes:
        """The page as it prints, by its own @page rules."""
        printed = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        return base64.b64decode(printed["data"])

    def picture(self, path: Path, **clip: Any) -> None:
        """A screenshot of the whole page, to look at."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        area = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1, **clip}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=area)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _until(self, wanted: Any) -> dict[str, Any]:
        patience = Patience("Chromium does not answer", self.process.pid)
        while True:
            while b"\0" not in self._rest:
                while not select.select([self.reading], [], [], PAUSE)[0]:
                    patience.look()
                more = os.read(self.reading, 1 << 20)
                assert more, "Chromium has ended"
                self._rest += more
            line, _, self._rest = self._rest.partition(b"\0")
            found = json.loads(line)
            assert "error" not in found, found
            self._note(found.get("method"), found.get("params", {}))
            if wanted(found):
                return found

    def _note(self, method: str | None, params: Mapping[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(said.get("value", said)) for said in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"][:200])  # a picture may be in it


#: The rules of axe-core that pages must keep: WCAG 2.1 up to level AA, and its own best practices.
_RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice")


def axe() -> str:
    """The script of axe-core. Skips the test if the package that contains it is not installed."""
    package = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed: make .venv/peers")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with an open page: a line for each element."""
    page.value(axe() + ";0")
    options = json.dumps({"runOnly": list(_RULES), "resultTypes": ["violations"]})
    found = page.value(f"axe.run(document, {options}).then(found => found.violations)")
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]]


@contextmanager
def browser() -> Iterator[Page]:
    """A Chromium with one page, which ends with the block."""
    command = chromium()
    to_read, from_us = os.pipe()
    from_it, to_write = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # The protocol wants descriptors 3 and 4; a plain sh knows no descriptor above 9.
        words = ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "bash"]
        process = subprocess.Popen(
            [*words, command, *_SWITCHES, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        page = Page(process, from_it, from_us)
        try:
            targets = page.call("Target.getTargets")["targetInfos"]
            target = next(found["targetId"] for found in targets if found["type"] == "page")
            page.session = page.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                page.call(f"{domain}.enable")
            yield page
        finally:
            process.kill()
            process.wait()
            os.close(from_it)
            os.close(from_us)
