"""The configuration: TOML in, one frozen model out, errors that name the field."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fairfed.config import (
    Arm,
    Config,
    PipelineConfig,
    load_config,
    load_model,
    parse_config,
    parse_model,
)
from fairfed.config.reference import reference_markdown
from semantic.errors import InputError

ROOT = Path(__file__).parents[2]


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "empty.toml"
    path.write_text("")
    config = load_config(path)
    assert config == load_config(None) == Config()
    assert [arm.name for arm in config.arms] == ["FedAvg"]


def test_values_of_a_file_arrive() -> None:
    config = parse_config(
        """
        name = "two sites"
        seed = 7
        model = "cnn-gn"
        [data]
        sensitive = ["sex", "age"]
        [data.tint]
        alpha = 1
        [partition]
        name = "dirichlet"
        options = { alpha = 0.3, self_balancing = false }
        [[arms]]
        name = "A"
        [[arms]]
        name = "B"
        rule = "fairfed"
        """,
        "x.toml",
    )
    assert config.seed == 7
    assert config.data.sensitive == ("sex", "age")
    assert config.data.tint.alpha == 1.0
    assert config.partition.options == {"alpha": 0.3, "self_balancing": False}
    assert [arm.rule for arm in config.arms] == ["fedavg", "fairfed"]


def test_it_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Config().seed = 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rond = 3", "x.toml: rond: unknown setting; did you mean 'rounds'?"),
        ("[train]\nlearning = 1", "x.toml: train.learning: unknown setting; known here: epochs, "),
        ("[train]\nepoch = 1", "x.toml: train.epoch: unknown setting; did you mean 'epochs'?"),
        ("lr = 1", "x.toml: lr: unknown setting; did you mean 'train.lr'?"),
        ("[data.tint]\nalpa = 1", "x.toml: data.tint.alpa: unknown setting; did you mean 'alpha'?"),
        (
            '[[arms]]\nname = "A"\n[[arms]]\nname = "B"\nrul = "x"',
            "x.toml: arms[1].rul: unknown setting; did you mean 'rule'?",
        ),
        ("rounds = 0", "x.toml: rounds: expected greater than or equal to 1, got 0"),
        ('rounds = "3"', "x.toml: rounds: expected a whole number, got '3'"),
        ("seed = true", "x.toml: seed: expected a whole number, got True"),
        (
            'model = "resnet"',
            "model: expected one of 'cnn-bn', 'cnn-gn', .*'mlp', or 'torchvision:NAME', or "
            "'timm:NAME', or a function of your own",
        ),
        ("train = 3", "x.toml: train: expected a table, got 3"),
        ("[[arms]]\naugment = true", r"x.toml: arms\[0\].name: missing"),
        ('[[arms]]\nname = "!"', r"x.toml: arms\[0\]: name '!' has no letter or digit"),
        ('[[arms]]\nname="A"\n[[arms]]\nname="A"', "x.toml: arms: two arms share the name 'A'"),
        ('[[arms]]\nname="A"\n[[arms]]\nname="a"', "x.toml: arms: two arms share the slug 'a'"),
        ('[generator]\ndevice="gpu"', "x.toml: generator.device: .* got 'gpu'"),
        ("rounds = \nseed = 1", "x.toml: not valid TOML: .*line 1"),
        ("[train]\nlr = inf", "x.toml: train.lr: expected a finite number, got inf"),
        ("[fairness]\nbeta = nan", "x.toml: fairness.beta: expected a finite number, got nan"),
        ('[fairness]\nmetric = "foo"', "x.toml: fairness.metric: .*foo"),
        ("arms = []", r"x.toml: arms: expected at least 1 of them, got \[\]"),
    ],
)
def test_an_error_names_file_and_field(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("arms[1]", r"arms\[1\]")):
        parse_config(text, "x.toml")


def test_all_errors_are_reported_at_once() -> None:
    with pytest.raises(InputError) as caught:
        parse_config("rounds = 0\nsead = 1", "x.toml")
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("settings", ['meta = ["reptil"]', "meta = []"])
def test_an_array_with_a_wrong_entry_is_not_called_too_short(settings: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_config(f"[peers]\n{settings}", "x.toml")
    assert len(str(raised.value).splitlines()) == 1
    assert ("expected at least 1" in str(raised.value)) == ("reptil" not in settings)


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere.toml: no such file"):
        load_config(tmp_path / "nowhere.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="binary.toml: cannot be read"):
        load_config(binary)


def test_overrides_win_over_the_file() -> None:
    config = parse_config(
        "rounds = 3\n[train]\nlr = 0.5",
        "x.toml",
        ["train.lr=0.1", "model=cnn-gn", 'data.sensitive=["a"]', "data.tint.enabled = false"],
    )
    assert (config.rounds, config.train.lr, config.model) == (3, 0.1, "cnn-gn")
    assert config.data.sensitive == ("a",)
    assert not config.data.tint.enabled


@pytest.mark.parametrize("swapped", [False, True])
def test_options_go_with_the_name_that_an_override_changes(swapped: bool) -> None:
    text = "[partition]\nname = 'pathological'\noptions = { num_classes_per_partition = 2 }"
    same = parse_config(text, "x.toml", ["partition.name=pathological"])
    assert same.partition.options == {"num_classes_per_partition": 2}
    overrides = ["partition.name=dirichlet", "partition.options.alpha=0.3"]
    other = parse_config(text, "x.toml", overrides[::-1] if swapped else overrides)
    assert (other.partition.name, other.partition.options) == ("dirichlet", {"alpha": 0.3})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[zsl]\n[peers]", "zsl.* asks for another; keep one"),
        ("[specialise]\n[shared]\ntext_clients = 0", "shared: a run is of one kind"),
        (
            "rounds = 2\n[inversion]\nstart = 3\n[[arms]]\nname = 'I'\ninversion = 'server'",
            "inversion.start would first count in round 3, and the run ends after 2",
        ),
        ("[[arms]]\nname = 'A'\ndomain_matching = true", "set augment = true, or drop it"),
        ("rounds = 3\n[peers]\nleave_round = 4", "peers.leave_round would first count in round 4"),
        ("rounds = 3\n[peers]\ndrift_round = 4", "peers.drift_round would first count in round 4"),
        (
            "rounds = 3\n[[arms]]\nname = 'A'\naugment = true\nreplan = 3",
            "arms: 'A': replan would first count in round 4",
        ),
        (
            "rounds = 3\n[[arms]]\nname = 'A'\nsystem = 'one-shot'\nserver_rounds = 3",
            "arms: 'A': what follows on server_rounds would first count in round 4",
        ),
        (
            "[synthesis]\nper_class = 0\n[[arms]]\nname = 'A'\nsystem = 'synthetic'",
            "arms: 'A' trains on synthetic images alone, and none are asked for",
        ),
        ("[zsl]\nunseen = ['Bag', 'Coat', 'Bag']", "zsl.unseen: 'Bag' is there twice"),
    ],
)
def test_what_would_have_no_effect_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_config(text, "x.toml")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("rounds", "expected NAME=VALUE"),
        ("=3", "expected NAME=VALUE"),
        ("rounds.x=3", "'rounds' is no table"),
        ("train.lrr=3", "train.lrr: unknown setting"),
    ],
)
def test_a_wrong_override_is_named(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_config("rounds = 1", "x.toml", [override])


@given(
    st.builds(
        Config,
        name=st.text("ab\"'\\ é=#\n", min_size=1),
        rounds=st.integers(1, 10**6),
        arms=st.lists(
            st.builds(Arm, name=st.from_regex(r"[a-z]{1,9}", fullmatch=True)),
            min_size=1,
            max_size=4,
            unique_by=lambda arm: arm.name,
        ).map(tuple),
    )
)
def test_to_toml_reads_back_as_the_same(config: Config) -> None:
    assert parse_config(config.to_toml(), "config.toml") == config


def test_names_become_paths() -> None:
    config = parse_config('name = "demo"\nseed = 4\nout = "o/{name}-{seed}"', "x.toml")
    assert config.run_directory == Path("o/demo-4")
    assert Arm(name="FedAvg + Augmentation (IID)").slug == "fedavg-augmentation-iid"


def test_the_reference_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == reference_markdown(), "run `make docs`"


def test_reading_a_configuration_imports_nothing_heavy() -> None:
    code = (
        "import sys, fairfed.config; fairfed.config.load_config(None);"
        "print(sorted({'torch', 'numpy', 'flwr', 'datasets', 'PIL'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def _examples(command: str) -> list[Path]:
    paths = sorted((ROOT / "examples").glob("*.toml"))
    return [path for path in paths if f"fairfed {command}" in path.read_text(encoding="utf-8")]


def test_every_example_says_how_it_is_run() -> None:
    every = sorted((ROOT / "examples").glob("*.toml"))
    assert sorted(p for what in ("run", "augment", "audit") for p in _examples(what)) == every


@pytest.mark.parametrize("path", _examples("augment"), ids=lambda p: p.stem)
def test_the_examples_of_augmentations_are_valid(path: Path) -> None:
    config = load_model(PipelineConfig, path)
    assert parse_model(PipelineConfig, config.to_toml(), "config.toml") == config
    assert f"--config examples/{path.name}" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[synthesis]\nper_clas = 1", "synthesis.per_clas: unknown setting; did you mean 'per_cl"),
        ("epsilon = 1", "epsilon: unknown setting; did you mean 'conditioning.epsilon'?"),
        ('[synthesis]\ngenerator = "inversion"', "inversion.classifier: missing"),
        ('[synthesis]\ncells = "none"', "synthesis.cells: expected 'missing', 'short' or 'all'"),
    ],
)
def test_an_error_of_an_augmentation_names_file_and_field(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"aug.toml: {message}"):
        parse_model(PipelineConfig, text, "aug.toml")


@pytest.mark.parametrize("path", _examples("run"), ids=lambda p: p.stem)
def test_the_examples_are_valid(path: Path) -> None:
    config = load_config(path)
    assert config.name == path.stem.replace("_", "-")
    assert path.read_text(encoding="utf-8").count(f"fairfed run examples/{path.name}") == 1
