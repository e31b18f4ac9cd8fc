"""A browser for the pages: the system's Chromium, never one that is downloaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra `dev`)")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium on this machine; install the system's package to run these")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser: Any) -> Callable[..., Any]:
    """Open a file as a page that must log nothing to the console and request nothing but itself."""

    @contextmanager
    def open_page(path: Path, **options: Any) -> Iterator[Any]:
        context = browser.new_context(**options)
        page, faults = context.new_page(), []
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        url = path.resolve().as_uri()
        page.on("request", lambda r: None if r.url == url else faults.append(f"asked for {r.url}"))
        page.goto(url)
        yield page
        assert faults == []
        context.close()

    return open_page
