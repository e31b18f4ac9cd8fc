"""`fairfed site`: the example's three hospitals, what they bring, and why one cannot take part."""

from __future__ import annotations

import runpy
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from fairfed.cli import main
from fairfed.config.site import load_site

EXAMPLE = Path(__file__).parents[3] / "examples" / "hospitals"
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospitals")
    runpy.run_path(str(EXAMPLE / "make_hospitals.py"))["main"](folder)
    return folder


@pytest.fixture
def hospitals(made: Path, tmp_path: Path) -> Path:
    """The example, to be changed by a test."""
    return Path(shutil.copytree(made, tmp_path / "h"))


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Function that does `fairfed site` in this process: exit code, both outputs."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fairfed", "site", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return run


def row(out: str, *cell: str) -> list[str]:
    """The numbers of a cell's line."""
    start = " ".join(cell)
    lines = [" ".join(line.split()) for line in out.splitlines()]
    return next(line for line in lines if line.startswith(start)).removeprefix(start).split()


def test_a_site_without_the_sensitive_column_takes_part(site: Command, hospitals: Path) -> None:
    code, out, err = site(
        "check", hospitals / "north" / "site.toml", "--federation", hospitals / "study.toml"
    )
    assert code == 0, err
    assert "320 of 320 images are used\n" in out
    assert "no column for tint: all images count as missing" in out
    assert row(out, "Sandal", "missing") == ["60", "20", "60", "0"]
    assert row(out, "Bag", "red") == ["0", "0", "0", "10"]


def test_codes_and_tints_of_its_own_are_mapped_and_small_counts_not_said(
    site: Command, hospitals: Path
) -> None:
    code, out, err = site(
        "check", hospitals / "south" / "site.toml", "--federation", hospitals / "study.toml"
    )
    assert code == 0, err
    assert "312 of 320 images are used; not the others: 8 with a label that data.labels lea" in out
    assert row(out, "Sandal", "green") == ["40", "8", "40", "0"]
    # Planned as if it held 1, because the plan leaves the site.
    assert row(out, "Sandal", "grey") == ["4", "5", "–", "9"]
    assert "8 counts below 5 are not said" in out


def test_a_class_that_is_lacking_and_unreadable_files_are_told(
    site: Command, hospitals: Path
) -> None:
    code, out, err = site(
        "check", hospitals / "west" / "site.toml", "--federation", hospitals / "study.toml"
    )
    assert code == 0, err
    assert (
        "234 of 240 images are used; not the others: 4 with a label that the federation does not "
        "know, 2 unreadable\n"
    ) in out
    assert "7 cells without a training row: Sandal × green, Sneaker × green, Bag × grey" in out
    assert "96 synthetic images wanted, 260 to make, 520 at most: time unknown" in out
    assert "synthesise: how many images were wanted" in out


def test_without_a_study_the_sites_own_names_are_shown(site: Command, hospitals: Path) -> None:
    code, out, err = site("check", hospitals / "south" / "site.toml")
    assert code == 0, err
    assert row(out, "10", "grün") == ["40", "8", "40"]
    assert "312 of 320 images are used" in out


def test_a_label_that_is_not_mapped_is_exit_code_2_with_the_line_to_write(
    site: Command, hospitals: Path
) -> None:
    path = hospitals / "west" / "site.toml"
    path.write_text(path.read_text().replace('unknown = "drop"', "").replace("boot =", "bot ="))
    code, _, err = site("check", path, "--federation", hospitals / "study.toml")
    assert code == 2
    assert "'boot' in 79 rows" in err
    assert 'labels = { "hat" = "…", "boot" = "…" }' in err


def test_a_policy_that_the_study_breaks_is_exit_code_2(site: Command, hospitals: Path) -> None:
    path = hospitals / "north" / "site.toml"
    with path.open("a") as file:
        file.write("[policy]\nmax_rounds = 2\nmax_synthetic = 100\n")
    code, out, err = site("check", path, "--federation", hospitals / "study.toml")
    assert code == 2
    assert "60" in row(out, "Sandal", "missing")
    assert "policy.max_rounds: the study has 3 rounds, allowed are 2" in err
    assert "policy.max_synthetic: the study would have up to 640 images" in err


def test_what_masks_and_noise_ask_of_a_site_is_said(site: Command, hospitals: Path) -> None:
    study = hospitals / "study.toml"
    dp = "\n[train.dp]\nepsilon = 8.0\n"
    study.write_text(study.read_text() + "\n[privacy]\nsecure_sum = true\n" + dp)
    code, out, err = site("check", hospitals / "north" / "site.toml", "--federation", study)
    assert code == 0, err
    assert "mask: weights or sums under masks" in out
    assert "[peers] of site.toml has to name the other sites" in out
    assert "ε = 8 at δ = 1e-05 for each row in each of" in out


def test_a_study_that_says_where_data_are_is_refused(site: Command, hospitals: Path) -> None:
    study = hospitals / "study.toml"
    study.write_text('[data]\nsource = "/etc"\n' + study.read_text().replace('name = "hos', "#"))
    code, _, err = site("check", hospitals / "north" / "site.toml", "--federation", study)
    assert code == 2
    study.write_text((EXAMPLE / "study.toml").read_text() + '\n[data]\nsource = "/etc"\n')
    code, _, err = site("check", hospitals / "north" / "site.toml", "--federation", study)
    assert code == 2
    assert "data: with [federation], every site says in its own site.toml where" in err


def test_the_time_of_the_plan_is_measured_when_asked_for(site: Command, hospitals: Path) -> None:
    path = hospitals / "north" / "site.toml"
    with path.open("a") as file:
        file.write("[compute]\nthreads = 1\n")
    code, out, err = site("check", path, "--federation", hospitals / "study.toml", "--time")
    assert code == 0, err
    assert "640 at most: " in out
    assert " s here, 2.0 MB at most" in out
    assert "CLIP knows class: of " in out
    assert "The generator knows: " in out
    assert "; 16 of 16), " in out
    assert "tint (64 of 64)" in out


def test_a_model_that_is_not_on_the_disk_is_exit_code_2(site: Command, hospitals: Path) -> None:
    path = hospitals / "north" / "site.toml"
    with path.open("a") as file:
        file.write('[models]\ngenerator = "./sd15"\n')
    code, _, err = site("check", path, "--federation", hospitals / "study.toml")
    assert code == 2
    assert f"models.generator = {hospitals / 'north' / 'sd15'}: the directory missing" in err


def test_a_generator_that_does_not_know_the_classes_is_exit_code_2(
    site: Command, hospitals: Path
) -> None:
    study = hospitals / "study.toml"
    study.write_text(study.read_text().replace('"Bag"', '"Melanoma"'))
    west = hospitals / "west" / "site.toml"
    code, _, err = site("check", west, "--federation", study)
    assert code == 2
    assert "models.generator = bundled: knowledge of Melanoma is missing" in err
    study.write_text(study.read_text() + "\n[semantic]\nallow_unknown = true\n")
    code, out, err = site("check", west, "--federation", study)
    assert code == 2
    assert "class 'Melanoma' is in no row of the attribute table" in err
    assert "images are used" in out
    study.write_text(study.read_text() + 'attributes = "names"\n')
    code, _, err = site("check", west, "--federation", study)
    assert code == 0, err


PEOPLE = """
model = "logistic"
[federation]
kind = "table"
classes = ["no", "yes"]
sensitive.sex = ["f", "m"]
[table]
numeric = ["income"]
categorical = ["sex"]
"""


def test_a_table_is_checked_as_images_are(site: Command, tmp_path: Path) -> None:
    rows = [f"{n}.5,{'ja' if n % 2 else 'nein'},{'wm?'[n % 3]}" for n in range(30)]
    (tmp_path / "a.csv").write_text("\n".join(["einkommen,kredit,gender", *rows]))
    (tmp_path / "study.toml").write_text(PEOPLE)
    (tmp_path / "site.toml").write_text(
        'name = "a"\n[data]\nsource = "a.csv"\nlabel = "kredit"\nsensitive = { sex = "gender" }\n'
        'columns = { income = "einkommen" }\nlabels = { ja = "yes", nein = "no" }\n'
        'groups.sex = { w = "f" }\ntable.test = 0.2\ntable.validation = 0.0\n'
    )
    code, out, err = site("check", tmp_path / "site.toml", "--federation", tmp_path / "study.toml")
    assert code == 0, err
    assert "30 of 30 rows are used" in out
    counts = [row(out, c, g) for c in ("no", "yes") for g in ("f", "m", "missing")]
    assert sum(int(train) + int(test) for train, test, _ in counts) == 30
    code, out, err = site("check", tmp_path / "site.toml")
    assert code == 0, err
    assert int(row(out, "ja", "w")[0]) + int(row(out, "ja", "w")[1]) == 5


def test_init_writes_a_file_that_check_reads(site: Command, hospitals: Path) -> None:
    north = hospitals / "north"
    (north / "site.toml").unlink()
    code, out, err = site("init", north / "images", "-o", north / "site.toml")
    assert code == 0, err
    assert "a folder for each class, 320 images" in out
    assert "Sandale (80)" in out
    assert "data.labels, data.groups: what does the study call the values?" in out
    written = tomllib.loads((north / "site.toml").read_text(encoding="utf-8"))
    assert written["name"] == "north"
    assert written["data"]["source"] == "images"
    assert load_site(north / "site.toml").data.source == str(north / "images")
    code, out, err = site("check", north / "site.toml")
    assert code == 0, err
    assert row(out, "Sandale", "all") == ["60", "20", "60"]


def test_init_replaces_no_file(site: Command, hospitals: Path) -> None:
    path = hospitals / "north" / "site.toml"
    before = path.read_text()
    code, _, err = site("init", hospitals / "north" / "images", "-o", path)
    assert code == 2
    assert "exists, and may hold what a person has written" in err
    assert path.read_text() == before
    code, _, err = site("init", hospitals / "nowhere", "-o", hospitals / "new.toml")
    assert code == 2
    assert not (hospitals / "new.toml").exists()


def test_sites_of_one_study_count_alike(hospitals: Path) -> None:
    """The integers are the study's, whatever a site holds and however it calls it."""
    from fairfed.config.base import required
    from fairfed.sites.checking import study_of
    from fairfed.sites.local_data import load_site_data

    labels = required(study_of(hospitals / "study.toml").federation)
    tables = [
        load_site_data(load_site(hospitals / name / "site.toml"), labels, 0)[0]
        for name in ("north", "south", "west")
    ]
    assert {table.classes for table in tables} == {("Sandal", "Sneaker", "Bag", "Ankle boot")}
    assert {table.group_names for table in tables} == {("grey", "red", "green", "blue", "missing")}
    assert [sorted(set(table.labels.tolist())) for table in tables] == [
        [0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 3],
    ]  # fmt: skip
