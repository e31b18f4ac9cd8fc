"""The three pages in a real browser: the audit, a run, a comparison of runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evaluation.audit.report import write_reports
from evaluation.compare_report import write_comparison
from evaluation.compare_runs import compare_runs
from evaluation.report import write_report
from tests.browser.sample import made_audit
from tests.evaluation.fixtures import build_run
from tests.evaluation.systems import CURVE, clients, line, results, system_run

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
PAGES = ("audit", "run", "comparison", "system")
Opened = Callable[..., Any]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    runs = [build_run(folder / f"run-{s}", seed=s, rounds=3, clients=4) for s in (1, 2)]
    found = results(
        {"A": (0.5, 1.0), "B": (0.6, 2.0)}, about=("Who holds what.",), curves=(CURVE,),
        clients=clients(), privacy=("Every client sent updates.",),
    )  # fmt: skip
    system = system_run(folder / "system", found, [line("A", n) for n in (1, 2, 3)])
    return {
        "system": write_report(system),
        "audit": write_reports(made_audit(), folder / "audit")["html"],
        "run": write_report(runs[0]),
        "comparison": write_comparison(compare_runs(runs), folder / "comparison")["html"],
    }


@pytest.mark.parametrize("name", PAGES)
def test_opens_without_a_request_or_a_message(
    pages: dict[str, Path], opened: Opened, name: str
) -> None:
    with opened(pages[name]) as page:
        assert page.title()
        assert page.locator("h2").count() >= 4


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable(pages: dict[str, Path], opened: Opened, name: str, scheme: str) -> None:
    """WCAG AA: 4.5 to 1 for text, in both schemes; the page follows what the reader prefers."""
    with opened(pages[name], color_scheme=scheme) as page:
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(_channels(paper)) < 200) == (scheme == "dark")
        low = page.evaluate(CONTRAST)
        assert low == []


@pytest.mark.parametrize("name", PAGES)
def test_fits_a_phone(pages: dict[str, Path], opened: Opened, name: str) -> None:
    with opened(pages[name], **PHONE) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate("document.body.scrollWidth") <= 390


@pytest.mark.parametrize("name", PAGES)
def test_charts_are_drawn(pages: dict[str, Path], opened: Opened, name: str) -> None:
    with opened(pages[name]) as page:
        empty = page.evaluate("""() => [...document.querySelectorAll("svg[role=img], svg.strip")]
            .filter((s) => s.checkVisibility() && s.getBoundingClientRect().width > 0)
            .filter((s) => !s.querySelector("circle, line, polyline, rect, path, text")).length""")
        assert empty == 0
        marks = page.locator("svg .mark:visible")
        assert marks.count() >= 5
        widths = marks.evaluate_all("all => all.map((m) => m.getBoundingClientRect().width)")
        assert min(widths) > 3


@pytest.mark.parametrize("name", PAGES)
def test_every_chart_has_its_numbers_in_a_table(
    pages: dict[str, Path], opened: Opened, name: str
) -> None:
    with opened(pages[name]) as page:
        alone = page.evaluate("""() => [...document.querySelectorAll("svg[role=img]")]
            .filter((s) => !s.closest("section").querySelector("table"))
            .map((s) => s.getAttribute("aria-label"))""")
        assert alone == []
        assert page.locator("svg[role=img]:not([aria-label])").count() == 0
        assert page.locator("td.strip svg:not([aria-hidden=true])").count() == 0


def test_tables_sort_by_mouse_and_by_keyboard(pages: dict[str, Path], opened: Opened) -> None:
    with opened(pages["audit"]) as page:
        table = page.locator("#by-3-groups [data-panel]:visible table.dots")
        values = "rows => rows.map((r) => Number(r.cells[3].dataset.value))"
        head = table.locator("thead th").nth(3)
        head.locator("button").click()
        found = table.locator("tbody tr").evaluate_all(values)
        assert len(found) == 8
        assert found == sorted(found, reverse=True)
        assert head.get_attribute("aria-sort") == "descending"
        head.locator("button").focus()
        page.keyboard.press("Enter")
        assert table.locator("tbody tr").evaluate_all(values) == sorted(found)
        assert head.get_attribute("aria-sort") == "ascending"
        table.locator("thead button").first.click()
        names = table.locator("tbody tr").evaluate_all("rows => rows.map((r) => r.dataset.filter)")
        assert names[0].startswith("female")
        assert head.get_attribute("aria-sort") is None


def test_undefined_values_sort_last(pages: dict[str, Path], opened: Opened) -> None:
    with opened(pages["audit"]) as page:
        table = page.locator("#by-1 table.gaps").first
        button = table.locator("thead th").nth(2).locator("button")
        for _ in range(2):
            button.click()
            assert table.locator("tbody tr th").last.inner_text() == "Gap without rows"


def test_a_metric_is_chosen_and_groups_are_filtered(pages: dict[str, Path], opened: Opened) -> None:
    with opened(pages["audit"]) as page:
        panels = page.locator("#by-3-groups [data-panel]:visible")
        assert panels.count() == 1
        page.select_option("select[data-choose=by-3-groups]", "selection_rate")
        assert panels.count() == 1
        assert panels.get_attribute("data-panel") == "selection_rate"
        page.fill("input[data-filters=by-3-groups]", "FEMALE 65")
        rows = panels.locator("tbody tr:visible")
        assert rows.evaluate_all("rows => rows.map((r) => r.dataset.filter)") == [
            "female × 45 to < 65", "female × >= 65",
        ]  # fmt: skip
        assert page.locator("[data-status=by-3-groups]").inner_text() == "2 of 8 groups"


def test_a_point_tells_its_numbers(pages: dict[str, Path], opened: Opened) -> None:
    with opened(pages["audit"]) as page:
        assert page.locator("#tip").is_hidden()
        page.locator("#frontier [data-tip]").last.hover()
        assert page.locator("#tip").inner_text().startswith("now: gap in equalized odds, points")
        page.keyboard.press("Escape")
        assert page.locator("#tip").is_hidden()


def test_all_is_shown_without_scripts(pages: dict[str, Path], opened: Opened) -> None:
    with opened(pages["audit"], java_script_enabled=False) as page:
        assert page.locator("#by-1-groups [data-panel]:visible").count() == 4
        assert page.locator(".tools:visible").count() == 0


@pytest.mark.parametrize("name", PAGES)
def test_prints_on_white(pages: dict[str, Path], opened: Opened, name: str) -> None:
    with opened(pages[name], color_scheme="dark") as page:
        page.emulate_media(media="print", color_scheme="dark")
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert _channels(paper) == [255, 255, 255]
        assert page.locator(".tools:visible").count() == 0
        assert len(page.pdf()) > 10_000


def _channels(colour: str) -> list[int]:
    return [int(float(v)) for v in colour.removeprefix("rgb(").rstrip(")").split(",")[:3]]


CONTRAST = """() => {
  const channels = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = (c) => c.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (item) => {
    for (; item; item = item.parentElement) {
      const c = channels(getComputedStyle(item).backgroundColor);
      if (c.length === 3 || c[3] > 0.99) return c;
    }
    return [255, 255, 255];
  };
  const found = new Set();
  const walk = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const own = node.parentElement;
    if (!node.data.trim() || !own.checkVisibility() || own.closest(".heat")) continue;
    const style = getComputedStyle(own);
    const ink = channels(own.closest("svg") ? style.fill : style.color);
    const [a, b] = [light(ink), light(behind(own))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const what = `${own.tagName}.${own.getAttribute("class")} ${node.data.trim().slice(0, 40)}`;
    if (ratio < 4.5) found.add(`${ratio.toFixed(2)} ${what}`);
  }
  return [...found];
}"""
