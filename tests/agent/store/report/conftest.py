# SPDX-License-Identifier: Apache-2.0
"""A real browser without a window, and pages opened in it from files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.store.answers import Timeline
from agent.store.report.page import render
from tests.agent.store.report.invented import FACTS

FLAGS = (
    "--headless=new",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--window-size=1400,1000",
)


class Page:
    """One report in the browser."""

    def __init__(self, driver: Any, path: Path) -> None:
        self.driver = driver
        self.path = path
        self.reset()

    def reset(self) -> None:
        """Open the file anew; forget what was logged before."""
        self.media()
        self.driver.get("about:blank")
        self.driver.get_log("browser"), self.driver.get_log("performance")
        self.driver.get(self.path.as_uri())
        self.run("return document.documentElement.dataset.ready")

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page, as the browser's developer would."""
        return self.driver.execute_script(script, *arguments)

    def media(self, scheme: str = "light", media: str = "screen") -> None:
        """What the system prefers, and whether the page is on paper."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def keys(self, place: str, *keys: str) -> None:
        """Press keys while an element has the focus."""
        from selenium.webdriver.common.by import By

        self.driver.find_element(By.CSS_SELECTOR, place).send_keys(*keys)
        self.settle()

    def click(self, place: str) -> None:
        """Click the middle of an element."""
        from selenium.webdriver.common.by import By

        self.driver.find_element(By.CSS_SELECTOR, place).click()
        self.settle()

    def settle(self) -> None:
        """Wait until the page has drawn twice."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()));"
        )

    def text(self, place: str) -> str:
        """The text of an element; empty when there is none."""
        return str(self.run("return document.querySelector(arguments[0])?.textContent || ''", place))

    def texts(self, place: str) -> list[str]:
        """The texts of all such elements."""
        return list(
            self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", place)
        )

    def selected(self) -> str:
        """The row of the tree that a screen reader would name."""
        active = self.run("return document.getElementById('tree').getAttribute('aria-activedescendant')")
        return self.text(f"#{active}") if active else ""

    def complaints(self) -> list[str]:
        """What the browser logged."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses that the page asked for, besides its own file."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if url != self.path.as_uri() and url != "about:blank"]


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    """Chromium, driven as its vendor's driver does it."""
    browser, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not chromedriver:
        pytest.skip("no chromium and chromedriver on this machine")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, *(("--no-sandbox",) if os.geteuid() == 0 else ())):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    running = webdriver.Chrome(options, webdriver.ChromeService(chromedriver))
    yield running
    running.quit()


@pytest.fixture
def opened(driver: Any, tmp_path: Path) -> Callable[[Timeline], Page]:
    """Renders a timeline, and opens it."""

    def open_page(timeline: Timeline) -> Page:
        path = tmp_path / "incident.html"
        path.write_text(render(timeline, FACTS), "utf-8")
        return Page(driver, path)

    return open_page
