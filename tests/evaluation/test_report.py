"""The report: one file, every section, honest words, escaped names."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation import InputError, Interval, read_run, write_report
from evaluation.numbers import amount, count, duration, points, span
from evaluation.report.verdicts import verdict
from tests.evaluation.fixtures import ARMS, build_run

VOID = {"meta", "img", "br", "line", "path", "rect", "circle", "polyline", "input"}


class Page(HTMLParser):
    """Collects text, headings, ids, links and images, and checks that tags close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.headings: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.headings.append(data)


def page_of(run_dir: Path) -> tuple[str, Page]:
    html = write_report(run_dir).read_text(encoding="utf-8")
    return html, Page(html)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Page]:
    no_matching = {"name": "No matching", "rule": "fedavg", "augment": True,
                   "domain_matching": False}  # fmt: skip
    path = tmp_path_factory.mktemp("report") / "run"
    run_dir = build_run(path, arms=[*ARMS[:4], no_matching, ARMS[4]])
    return run_dir, *page_of(run_dir)


def test_every_section_is_there(full: tuple[Path, str, Page]) -> None:
    _, _, page = full
    for heading in ("Comparison of the arms", "Change against FedAvg", "Domain matching",
                    "The split", "Real against synthetic, cell by cell", "Learning",
                    "At each client", "Gaps between groups", "Accuracy per group",
                    "Steering weights", "Failures and guards", "How to reproduce",
                    "Definitions and conventions"):  # fmt: skip
        assert heading in page.headings
    assert "raised test accuracy over FedAvg from" in page.text
    assert "No clear change of test accuracy: FairFed" in page.text
    assert "below the reference IID ceiling" in page.text
    assert "ValueError: the client ran out of memory" in page.text
    assert "A guard acted on a weight 3 times." in page.text
    assert "labels_per_client = 2" in page.text
    assert re.search(r"FedAvg \+ synthetic\s*No matching", page.text)


def test_the_file_needs_nothing_else(full: tuple[Path, str, Page]) -> None:
    _, html, page = full
    for _, attributes in page.attributes:
        for key in ("src", "href"):
            value = attributes.get(key) or "#"
            assert value.startswith(("#", "data:image/png;base64,"))
    assert "url(" not in html
    assert "@import" not in html
    assert len(html) < 2_000_000


def test_accessible(full: tuple[Path, str, Page]) -> None:
    _, _, page = full
    images = [a for tag, a in page.attributes if tag == "img"]
    assert len(images) == 20 * 10
    assert all(a["alt"] for a in images)
    charts = [a for tag, a in page.attributes if tag == "svg"]
    assert all(a.get("aria-label") or a.get("aria-hidden") == "true" for a in charts)
    ids = [a["id"] for _, a in page.attributes if "id" in a]
    assert len(ids) == len(set(ids))
    anchors = {a["href"] for tag, a in page.attributes if tag == "a"}
    assert anchors <= {f"#{name}" for name in ids}


def test_the_same_run_gives_the_same_bytes(full: tuple[Path, str, Page]) -> None:
    run_dir, html, _ = full
    data = (run_dir / "report.json").read_bytes()
    assert write_report(run_dir).read_text(encoding="utf-8") == html
    assert (run_dir / "report.json").read_bytes() == data
    assert json.loads(data)["schema"] == 1
    assert not list(run_dir.glob(".report*"))


def test_names_are_escaped(tmp_path: Path) -> None:
    arms = [{"name": "<b>A</b>", "rule": "fedavg"}, {"name": "<script>x()", "rule": "fairfed"}]
    html, page = page_of(build_run(tmp_path / "run", rounds=2, clients=3, arms=arms))
    assert "<script>x" not in html
    assert "<b>A" not in html
    assert "<script>x()" in page.text


def test_one_group_says_that_there_are_no_gaps(tmp_path: Path) -> None:
    run_dir = build_run(tmp_path / "run", rounds=2, clients=3, arms=ARMS[:2], groups=("all",))
    _, page = page_of(run_dir)
    assert "There is one group only ('all')" in page.text
    assert "Gaps between groups" not in page.headings
    assert "Equalized odds diff." not in page.text
    assert "Nothing was synthesised in this run." in page.text
    assert "effect was not measured here" in page.text


def test_a_run_under_way(tmp_path: Path) -> None:
    run_dir = build_run(tmp_path / "run", rounds=3, clients=3, arms=ARMS[:2])
    lines = (run_dir / "rounds.jsonl").read_text().splitlines(keepends=True)
    (run_dir / "rounds.jsonl").write_text("".join(lines[:2]))
    _, page = page_of(run_dir)
    assert "FairFed: no round is over yet" in page.text
    assert "there is no second arm to compare it with" in page.text
    assert "The run is not complete; rounds so far: FedAvg 2 of 3." in page.text
    (run_dir / "rounds.jsonl").unlink()
    _, page = page_of(run_dir)
    assert "No round is over yet: there is nothing to conclude." in page.text


def test_nothing_helped_is_said(tmp_path: Path) -> None:
    arms = [{"name": "FedAvg", "rule": "fedavg"}, {"name": "Same", "rule": "fairfed"}]
    run_dir = build_run(tmp_path / "run", rounds=1, clients=3, arms=arms)
    path = run_dir / "rounds.jsonl"
    first = json.loads(path.read_text().splitlines()[0])
    path.write_text(json.dumps(first) + "\n" + json.dumps({**first, "arm": "Same"}) + "\n")
    _, page = page_of(run_dir)
    assert "Nothing helped test accuracy: no arm is clearly more accurate than FedAvg" in page.text


def test_references_only(tmp_path: Path) -> None:
    run_dir = build_run(tmp_path / "run", rounds=2, clients=3, arms=ARMS[4:])
    assert read_run(run_dir).baseline is None
    _, page = page_of(run_dir)
    assert "there is no second arm to compare it with" in page.text


def test_a_client_that_failed_in_the_last_round_is_named(tmp_path: Path) -> None:
    run_dir = build_run(tmp_path / "run", rounds=1, clients=3, arms=ARMS[:1])
    path = run_dir / "rounds.jsonl"
    line = json.loads(path.read_text())
    failed: dict[str, Any] = {"client": 2, "error": "boom"}
    line["clients"][2] = failed
    path.write_text(json.dumps(line) + "\n")
    _, page = page_of(run_dir)
    assert "FedAvg: 2 of 3 clients reported test counts in its last measured round" in page.text
    assert "1 client reply was an error; the round went on without it." in page.text


@pytest.mark.parametrize("damage", ["missing", "no png"])
def test_a_broken_picture_is_named(tmp_path: Path, damage: str) -> None:
    run_dir = build_run(tmp_path / "run", rounds=1, clients=3, arms=ARMS[2:3])
    picture = run_dir / "synthetic" / "gallery" / "real-0-grey-0.png"
    if damage == "missing":
        picture.unlink()
    else:
        picture.write_text("<svg/>")
    with pytest.raises(InputError, match=r"real-0-grey-0\.png: named in synthetic/gallery\.json"):
        write_report(run_dir)
    assert not (run_dir / "report.html").exists()


def test_many_clients_and_arms(tmp_path: Path) -> None:
    arms = [{"name": f"Arm {i}", "rule": "fairfed"} for i in range(3)]
    _, page = page_of(build_run(tmp_path / "run", rounds=2, clients=30, arms=arms))
    assert "The 24 clients with the lowest final accuracy under Arm 0, of 30." in page.text
    assert "6 clients whose weight moved less are not shown." in page.text


def gap_run(path: Path, biased: str) -> Path:
    """Write a run of two arms of which one errs on the last tint only."""
    arms = [{"name": "FedAvg", "rule": "fedavg"}, {"name": "Other", "rule": "fairfed"}]
    run_dir = build_run(path, rounds=1, clients=3, arms=arms)
    lines = []
    for line in (run_dir / "rounds.jsonl").read_text().splitlines():
        value = json.loads(line)
        for client in value["clients"]:
            right = np.stack([np.eye(10, dtype=int) * 20] * 4)
            if value["arm"] == biased:
                right[3] = np.roll(right[3], 1, axis=0)
            client["test_counts"] = right.tolist()
        lines.append(json.dumps(value) + "\n")
    (run_dir / "rounds.jsonl").write_text("".join(lines))
    return run_dir


@pytest.mark.parametrize(
    ("biased", "words"),
    [
        ("FedAvg", "clearly smaller than FedAvg's with Other."),
        ("Other", "clearly larger with Other."),
    ],
)
def test_a_gap_that_narrows_or_widens_is_said(tmp_path: Path, biased: str, words: str) -> None:
    _, page = page_of(gap_run(tmp_path / "run", biased))
    assert f"Group gap (equalized odds): {words}" in page.text
    assert f"Larger than chance alone makes: {biased}." in page.text
    change = "Clearly less accurate than FedAvg: Other" if biased == "Other" else "Other raised"
    assert change in page.text


def test_weights_that_are_not_finite_do_not_break_the_page(tmp_path: Path) -> None:
    run_dir = build_run(tmp_path / "run", rounds=2, clients=3, arms=ARMS[1:2])
    text = (run_dir / "rounds.jsonl").read_text()
    broken = re.sub(r'"weight": [0-9.]+', '"weight": NaN', text, count=1)
    (run_dir / "rounds.jsonl").write_text(
        broken.replace('"signal": 0.', '"signal": Infinity, "x": 0.', 1)
    )
    html, page = page_of(run_dir)
    assert "Steering weights" in page.headings
    assert "nan" not in re.sub(r"data:[^\"]*", "", html)


@pytest.mark.parametrize(
    ("low", "high", "direction", "word"),
    [
        (0.1, 0.2, "higher", "better"),
        (0.1, 0.2, "lower", "worse"),
        (-0.2, -0.1, "lower", "better"),
        (-0.2, -0.1, "higher", "worse"),
        (-0.1, 0.1, "higher", "no clear change"),
        (0.0, 0.1, "higher", "no clear change"),
        (float("nan"), float("nan"), "higher", "undefined"),
    ],
)
def test_verdicts(low: float, high: float, direction: str, word: str) -> None:
    assert verdict(Interval((low + high) / 2, low, high, 10), direction) == word


def test_how_numbers_are_written() -> None:
    assert amount(0.1234) == "12.3\u202f%"
    assert amount(float("nan")) == "–"
    assert (points(0.031), points(-0.031), points(-0.0001)) == ("+3.1", "−3.1", "0.0")
    assert span(Interval(0.2, 0.1, 0.3, 5)) == "10.0 to 30.0"
    assert span(Interval(0.2, -0.1, 0.3, 5), signed=True) == "−10.0 to +30.0"
    assert span(None) == ""
    assert count(12345.6, 1) == "12\u202f345.6"
    assert (duration(59.6), duration(150)) == ("60\u202fs", "2\u202fmin 30\u202fs")
