"""Whole runs of closed-form heads over the small federation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Message

from evaluation.report import write_report
from fairfed.cli.audit_runs import subjects_of
from fairfed.config import Config
from fairfed.config.audit import AuditConfig
from fairfed.config.site import SitePolicy
from fairfed.errors import RunError
from fairfed.rounds import checkpoint
from fairfed.server import checked
from fairfed.sites.site import Site
from fairfed.systems.heads.features import parts, site_features
from semantic.errors import InputError
from tests.fairfed import golden
from tests.fairfed.runs import logged, new_process, play, run_of, site_of
from tests.fairfed.systems.specialise.test_specialise_runs import NO_ARMS

Small = Callable[..., Config]
EVERY = 'heads.heads=["ncm", "ridge", "ridge-group", "lda", "cof"]'
ALL = (NO_ARMS, "rounds=1", EVERY, "heads.validation=0.3", "heads.features=12")
BY_LABEL = ("partition.name=pathological", "partition.clients=3",
            "partition.options={num_classes_per_partition=1}")  # fmt: skip
EVENLY = ("partition.name=iid", "partition.clients=3")


@pytest.fixture(scope="module")
def played(
    image_folder: Path, tiny_pipeline: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Config, list[Message]]:
    """A finished run, and the replies in it."""
    from fairfed.config import parse_config
    from tests.fairfed import configurations

    text = configurations.small(tmp_path_factory.mktemp("heads"), image_folder, tiny_pipeline)
    config = parse_config(text, "small.toml", ALL)
    return config, play(config)


def _pooled(line: dict[str, Any]) -> list[Any]:
    counts: list[Any] = np.sum([row["test_counts"] for row in line["clients"]], axis=0).tolist()
    return counts


def test_label_skew_changes_nothing_but_fedcof(small: Small, tmp_path: Path) -> None:
    """The same rows, evenly divided and a label a client: the same heads, the same predictions."""
    runs = {}
    for name, divided in (("even", EVENLY), ("skewed", BY_LABEL)):
        runs[name] = run_of(small(*ALL, *divided, f"out={tmp_path}/{name}"))
        new_process()
    held = [[row["n_real"] for row in logged(run)[0]["clients"]] for run in runs.values()]
    assert [sum(own) for own in held] == [72, 72]
    for even, skewed in zip(logged(runs["even"]), logged(runs["skewed"]), strict=True):
        if even["arm"] == "FedCOF":  # which estimates covariances from who holds what
            continue
        assert even.get("strength") == skewed.get("strength")
        np.testing.assert_allclose(even.get("validation", []), skewed.get("validation", []))
        assert _pooled(even) == _pooled(skewed)
    for name in ("class-means-fedncm", "ridge-fed3r", "ridge-groups-even", "gaussian-lda"):
        one, other = (
            checkpoint.load(run / "checkpoints" / f"{name}.npz").arrays for run in runs.values()
        )
        np.testing.assert_allclose(one["weight"], other["weight"], rtol=1e-3, atol=1e-4)


def test_only_sums_and_counts_leave_a_client(played: tuple[Config, list[Message]]) -> None:
    config, replies = played
    allowed = {"partition-id", "seconds", "fit-cells", "held-cells", "right-cells", "loss",
               "n-real", "counts"}  # fmt: skip
    sums = 0
    for reply in replies:
        assert set(reply.content) <= {"arrays", "metrics", "who"}
        assert dict(reply.content.config_records.get("who", {})).keys() <= {"name"}
        metrics = dict(reply.content.metric_records["metrics"])
        assert set(metrics) - {"train-cells", "test-cells"} <= allowed
        if not reply.content.array_records:
            continue
        sums += 1
        arrays = {n: a.numpy() for n, a in reply.content.array_records["arrays"].items()}
        for part in ("fit", "held"):
            cells = np.reshape(metrics[f"{part}-cells"], (3, 2))
            held = int((cells > 0).sum())
            assert arrays[f"{part}/sums"].shape == (held, 12)
            products = arrays.get(f"{part}/moments")
            if products is not None:
                assert products.shape in {(1, 78), (held, 78)}
    assert sums == 5 * 3
    site = site_of(config, 0)
    fit, _ = parts(site)
    sent = next(r for r in replies if r.content.array_records
                and r.content.metric_records["metrics"]["partition-id"] == 0)  # fmt: skip
    arrived = sent.content.array_records["arrays"]["fit/sums"].numpy().sum(0)
    np.testing.assert_allclose(arrived, site_features(site, fit).sum(0), rtol=1e-5)


def test_sums_under_masks_give_the_same_heads(
    played: tuple[Config, list[Message]], small: Small, tmp_path: Path
) -> None:
    heads = 'heads.heads=["ncm", "ridge", "ridge-group", "lda"]'
    secure = small(*ALL, heads, "privacy.secure_sum=true", f"out={tmp_path}/secure")
    replies = play(secure)
    for reply in replies:
        metrics = dict(reply.content.metric_records["metrics"])
        assert not {"fit-cells", "held-cells", "right-cells"} & metrics.keys()
        arrays = reply.content.array_records.get("arrays", {})
        assert {array.dtype for array in arrays.values()} <= {"uint64"}
    plain = [line for line in logged(played[0]) if line["arm"] != "FedCOF"]
    for one, other in zip(plain, logged(secure), strict=True):
        assert one.get("strength") == other.get("strength")
        assert one.get("validation") == other.get("validation")
        assert _pooled(one) == _pooled(other)
    assert "under masks" in write_report(secure.run_directory).read_text("utf-8")


def test_a_head_of_the_sites_own_means_is_refused_under_masks(small: Small) -> None:
    with pytest.raises(InputError, match="'cof' compares the sites' own means"):
        small(*ALL, "privacy.secure_sum=true")


def test_a_run_is_reported_and_audited_as_any(played: tuple[Config, list[Message]]) -> None:
    folder = played[0].run_directory
    found = json.loads((folder / "results.json").read_text())
    assert [head["name"] for head in found["heads"]][:2] == [
        "Class means (FedNCM)",
        "Ridge (Fed3R)",
    ]
    for head, line in zip(found["heads"], logged(folder), strict=True):
        pooled = np.array(_pooled(line))
        assert head["accuracy"] == np.einsum("gcc->", pooled) / pooled.sum()
        assert head["gap"] is None  # all test rows are of one group
    assert found["heads"][0]["strength"] is None
    assert found["heads"][1]["strength"] in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    assert "Ridge, groups even" in write_report(folder).read_text("utf-8")
    audited = subjects_of(AuditConfig(), folder, [folder], lambda schema: None)
    assert len(audited) == 5
    assert "small, FedCOF" in audited[-1].title


def test_a_run_that_is_done_asks_nobody_again(played: tuple[Config, list[Message]]) -> None:
    before = (played[0].run_directory / "rounds.jsonl").read_bytes()
    again = play(played[0])
    assert not any(reply.content.array_records for reply in again)
    assert (played[0].run_directory / "rounds.jsonl").read_bytes() == before


def test_golden(played: tuple[Config, list[Message]]) -> None:
    golden.check_golden("heads", played[0].run_directory)


def test_parts_follow_from_the_images_and_leave_out_small_cells(small: Small) -> None:
    site = site_of(small(*ALL), 0)
    fit, held = parts(site)
    assert len(held)
    assert sorted([*fit, *held]) == site.rows.train.tolist()
    other = site_of(small(*ALL, "seed=1"), 0)
    assert parts(other)[1].tolist() != held.tolist()
    least = int(site.cells(held).max())
    policy = SitePolicy(counts="suppress", min_count=least)
    quiet = Site(site.name, 0, site.rows, site.place, policy=policy)
    for rows in parts(quiet):
        cells = site.cells(rows)
        assert ((cells == 0) | (cells >= least)).all()
    assert len(parts(quiet)[1]) < len(held)


def test_what_makes_no_sense_is_refused(small: Small) -> None:
    with pytest.raises(InputError, match=r"leave \[\[arms\]\] out"):
        checked(small("rounds=1", EVERY))
    with pytest.raises(InputError, match=r"rounds: is 2, and \[heads\] needs one"):
        small(NO_ARMS, EVERY)
    with pytest.raises(InputError, match="validation = 0 leaves no image"):
        small(NO_ARMS, "rounds=1", "heads.validation=0.0")
    with pytest.raises(InputError, match=r"heads\.heads.*twice"):
        small(NO_ARMS, "rounds=1", 'heads.heads=["lda", "lda"]')


def test_a_strength_is_chosen_on_validation_images(small: Small) -> None:
    """One so strong that only the intercept is left, and one that is not."""
    own = ('heads.heads=["ridge"]', "heads.strengths=[1e12, 1e-3]")
    config = small(NO_ARMS, "rounds=1", "heads.validation=0.3", *own)
    play(config)
    (line,) = logged(config)
    assert line["strength"] == 1e-3
    assert line["validation"][0] < line["validation"][1] == 1


def test_a_class_that_nobody_has_is_told_of_and_goes_by_its_text(small: Small) -> None:
    more = 'data.classes=["bag", "coat", "dress", "sandal"]'
    config = small(NO_ARMS, "rounds=1", "heads.validation=0.3", 'heads.heads=["lda"]', more)
    play(config)
    (line,) = logged(config)
    assert line["missing"] == [3]
    assert line["strength"] == 1.0
    assert "validation" not in line
    head = checkpoint.load(config.run_directory / "checkpoints" / "gaussian-lda.npz").arrays
    assert head["weight"][0, 3].any()
    said = (config.run_directory / "results.md").read_text()
    assert "no client has a training image of sandal" in said


def test_sums_that_are_none_are_rejected_and_the_others_count(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fairfed.systems.heads import client

    real = client.packed
    monkeypatch.setattr(client, "packed", lambda part: {**real(part), "sums": np.zeros((1, 2))})
    config = small(NO_ARMS, "rounds=1", 'heads.heads=["ncm"]')
    with pytest.raises(RunError, match="no client gave a usable reply.*sums"):
        play(config)
