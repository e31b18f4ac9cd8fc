"""What goes together, what is refused and why, and what a checkpoint brings back."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from fairfed.config import Config, arms, parse_config
from fairfed.rounds import checkpoint
from fairfed.strategies.aggregation import combine
from fairfed.strategies.cohort import Cohort
from fairfed.strategies.optimisers import OPTIMISERS, FedAdam
from fairfed.strategies.robust import AGGREGATORS
from fairfed.strategies.rules import AFL, RULES, WeightRule
from fairfed.strategies.signals import SIGNALS, Kind, Loss, Signals, accuracy
from fairfed.strategies.steered import FairnessSteered
from fairfed.strategies.weights import AS_PUBLISHED, Bounds, Weights, sanitise
from fairfed.systems.classifier.build import build_strategy, check_arms
from semantic.errors import InputError
from tests.fairfed.strategies.places import place_of


def probe(model: Any) -> Any:
    return np.array([[[3, 1], [1, 3]], [[2, 2], [0, 4]]], np.int64)


def parts(rule: Any = "fedavg", **given: Any) -> Any:
    settings = {
        "options": {}, "signal": None, "metric": accuracy, "optimiser": "fedavg",
        "aggregator": None, "bounds": AS_PUBLISHED, "probe": probe, **given,
    }  # fmt: skip
    return combine(rule, **settings)


def test_the_configuration_knows_every_part() -> None:
    assert tuple(RULES) == arms.RULES
    assert tuple(SIGNALS) == arms.SIGNALS
    assert tuple(OPTIMISERS) == arms.OPTIMISERS
    assert ("mean", *AGGREGATORS) == arms.AGGREGATORS


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_works_with_every_optimiser_that_makes_sense(
    rule: str, cohort: Callable[..., Any]
) -> None:
    for optimiser in OPTIMISERS:
        if RULES[rule].own_step and optimiser != "fedavg":
            with pytest.raises(InputError, match="decides itself how far the model moves"):
                parts(rule, optimiser=optimiser)
            continue
        outcome = parts(rule, optimiser=optimiser).run(cohort([3, 1], probe=probe))
        assert outcome.model is not None
        assert np.isfinite(outcome.model["x"]).all()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"rule": "afl", "signal": "gap"}, "cannot be steered by signal 'gap': it gives weight"),
        ({"rule": "fairfed", "signal": "loss"}, "by signal 'loss': it takes weight from clients"),
        ({"rule": "fair-fate", "signal": "gap"}, "reads the fairness of the clients' models"),
        ({"rule": "fair-fate", "probe": None}, "the server, which has no examples"),
        ({"rule": "fairfed", "signal": "probe", "probe": None}, "signal 'probe' evaluates"),
        ({"rule": "qffl", "aggregator": "median"}, "uses no weights, so rule 'qffl' would have no"),
        ({"rule": "afl", "options": {"beta": 1}}, "rule 'afl' has no option 'beta'; it has: gamma"),
        ({"rule": "afl", "options": {"gamma": "x"}}, "gamma = 'x': expected number"),
        ({"rule": "afl", "options": {"gamma": -1}}, "gamma = -1: expected a number of at least 0"),
        ({"rule": "fedmgda", "options": {"epsilon": 2}}, "at least 0 and at most 1"),
        ({"rule": "fairfed", "metric": None}, "signal 'gap' is of a fairness metric: give one"),
        ({"signal": "rumour"}, "signal 'rumour': expected one of gap, signed-gap, probe, loss"),
        ({"optimiser": "adam"}, "server optimiser 'adam': expected one of fedavg, fedavgm"),
        ({"aggregator": "mode"}, "aggregator 'mode': expected one of median"),
        ({"bounds": Bounds(0.0)}, "max_weight = 0.0: expected more than 0 and at most 1"),
        ({"bounds": Bounds(1.0, 2.0)}, "min_share = 2.0: expected a number of at least 0 and at m"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(given: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        parts(**given)


def test_objects_are_taken_as_they_are() -> None:
    strategy = FairnessSteered(
        (2, 2), rule=AFL(gamma=0.3), signal=Loss(), optimiser=FedAdam(eta=0.2)
    )
    assert strategy.parts.rule.parameters() == {"gamma": 0.3}
    assert str(strategy.parts.optimiser) == "fedadam (eta 0.2, beta_1 0.9, beta_2 0.99, tau 0.001)"


@dataclass
class Cautious(WeightRule):
    """The example of docs/steering.md: equal weights for clients with a signal."""

    name: ClassVar[str] = "cautious"
    steers_by: ClassVar[frozenset[Kind]] = frozenset({"gap", "risk", "merit"})

    def weigh(self, cohort: Cohort, signals: Signals) -> Weights:
        return sanitise(np.isfinite(signals.values).astype(float), cohort.n)


def test_a_rule_of_ones_own(cohort: Callable[..., Any]) -> None:
    given = cohort([9, 1, 1], losses=[1.0, float("nan"), 2.0])
    outcome = parts(Cautious(), signal="loss", optimiser="fedadam").run(given)
    assert outcome.weights.weight.tolist() == [0.5, 0.0, 0.5]


OWN_RULE = '''
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairfed.strategies.part import kept, number
from fairfed.strategies.rules import WeightRule
from fairfed.strategies.weights import sanitise


@dataclass
class Turns(WeightRule):
    """All weight in turn to the clients, as often as one has been there."""

    name: ClassVar[str] = "turns"
    step: float = number(1.0, above=True)
    rounds: int = number(1)
    _seen: dict[int, float] = kept(dict)

    def weigh(self, cohort, signals):
        for client in cohort.clients:
            self._seen[client] = self._seen.get(client, 0.0) + self.step
        return sanitise(np.array([self._seen[c] for c in cohort.clients]), cohort.n)


class Other:
    pass
'''


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's own, which Python finds."""
    (tmp_path / "my_rules.py").write_text(OWN_RULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_rules", raising=False)
    return "my_rules"


def test_a_rule_from_a_module_of_ones_own(own_module: str, cohort: Callable[..., Any]) -> None:
    arm = f'[[arms]]\nname = "T"\nrule = "{own_module}:Turns"\noptions = {{ step = 2 }}'
    config = configured(f"rounds = 7\n{arm}")
    place = place_of(config)
    check_arms(config, place)
    strategy = build_strategy(place, config.arms[0])
    assert strategy.parts.rule.parameters() == {"step": 2, "rounds": 7}
    strategy.parts.run(cohort([1, 1, 1]))
    state = json.loads(json.dumps(strategy.state_dict()))
    assert state["state"] == {"seen": {"0": 2.0, "1": 2.0, "2": 2.0}}
    resumed = build_strategy(place, config.arms[0])
    resumed.load_state_dict(state)
    assert resumed.parts.rule.state_dict() == state["state"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no_such_module:Turns", "rule 'no_such_module:Turns': No module named 'no_such_module'"),
        ("my_rules:Nothing", "module 'my_rules' has no class 'Nothing'"),
        ("my_rules:Other", "'my_rules:Other' is not derived from .*WeightRule"),
    ],
)
def test_a_rule_of_ones_own_that_is_none_is_refused(own_module: str, name: str, text: str) -> None:
    config = configured(f'[[arms]]\nname = "T"\nrule = "{name}"')
    with pytest.raises(InputError, match=text):
        check_arms(config, place_of(config))


def test_an_unknown_rule_is_refused_with_what_there_is() -> None:
    with pytest.raises(InputError, match=r"arms\[0\].rule: expected one of 'fedavg', .*got 'best'"):
        configured('[[arms]]\nname = "T"\nrule = "best"')


@pytest.mark.parametrize(
    ("rule", "given"),
    [("fairfed", {"beta": 0}), ("fairfed-exp", {"beta": 0}), ("afl", {"gamma": 0}),
     ("term", {"t": 0}), ("fair-fate", {"lambda0": 0}), ("fedminmax", {"gamma": 0}),
     ("fedfb", {"alpha": 0})],
)  # fmt: skip
def test_a_rule_without_its_budget_is_fedavg(
    rule: str, given: dict[str, float], cohort: Callable[..., Any]
) -> None:
    some = cohort([7, 2, 4], losses=[1.0, 5.0, 2.0], x=[[1.0, 2], [3, 4], [0, 9]], probe=probe)
    ours, plain = parts(rule, options=given).run(some), parts().run(some)
    assert ours.weights.weight == pytest.approx(plain.weights.weight, abs=1e-15)
    assert ours.model["x"] == pytest.approx(plain.model["x"], abs=1e-15)
    if rule not in ("fair-fate", "afl"):  # one adds two updates up, the other normalises twice
        assert ours.model["x"].tobytes() == plain.model["x"].tobytes()


def test_clients_are_asked_for_what_the_parts_need() -> None:
    assert FairnessSteered((2, 2), rule="afl")._instructions() == {"ask-loss": True}
    assert FairnessSteered((2, 2), rule="afl", signal="accuracy")._instructions() == {}
    assert FairnessSteered((2, 2), rule="fedfb")._instructions() == {}


@pytest.mark.parametrize(
    ("rule", "optimiser"),
    [(r, o) for r in RULES for o in OPTIMISERS if o == "fedavg" or not RULES[r].own_step],
)
def test_a_checkpoint_continues_bit_for_bit(
    rule: str, optimiser: str, cohort: Callable[..., Any], tmp_path: Path
) -> None:
    good, bad = [[[4, 0], [1, 3]], [[4, 0], [0, 4]]], [[[0, 4], [1, 3]], [[4, 0], [3, 1]]]

    def judged(model: Any) -> Any:
        return np.asarray(good if model["x"][0] > 0.5 else bad, np.int64)

    def rounds(strategy: Any, first: int, last: int) -> bytes:
        for number in range(first, last + 1):
            given = cohort(
                [3, 1, 2], losses=[1.0, 2.0, 0.5], counts=[good, bad, good], round=number,
                x=[[1.0, number], [0.25, 3.0], [number, -1.0]], probe=judged,
            )  # fmt: skip
            model = strategy.parts.run(given).model
        return bytes(model["x"].tobytes())

    def make() -> FairnessSteered:
        return FairnessSteered(
            (2, 2), rule=rule, optimiser=optimiser, metric=accuracy, probe=judged
        )

    whole = rounds(make(), 1, 4)
    begun, path = make(), tmp_path / "arm.npz"
    rounds(begun, 1, 2)
    state = {"strategy": json.loads(json.dumps(begun.state_dict()))}
    checkpoint.save(path, checkpoint.Checkpoint(2, {}, state, strategy=begun.state_arrays()))
    saved, resumed = checkpoint.load(path), make()
    resumed.load_state_dict(saved.state["strategy"], dict(saved.strategy))
    assert rounds(resumed, 3, 4) == whole
    other = FairnessSteered(
        (2, 2), rule=rule, metric=accuracy, probe=judged, max_weight=1.0, min_share=0.0
    )
    if optimiser != "fedavg":
        with pytest.raises(InputError, match="saved strategy is server_optimiser='"):
            other.load_state_dict(saved.state["strategy"])


def configured(text: str) -> Config:
    return parse_config(text, "x.toml")


def test_an_arm_becomes_a_strategy() -> None:
    config = configured("""
        rounds = 7
        [train]
        lr = 0.2
        [fairness]
        beta = 0.4
        max_weight = 0.5
        [[arms]]
        name = "q"
        rule = "qffl"
        options = { q = 2 }
        [[arms]]
        name = "f"
        rule = "fairfed-exp"
        signal = "signed-gap"
        server_optimiser = "fedadam"
        server_options = { eta = 0.3 }
        debias = "reweighing"
        [[arms]]
        name = "t"
        aggregator = "trimmed-mean"
        aggregator_options = { fraction = 0.1 }
        [[arms]]
        name = "o"
        rule = "fairfed"
        options = { beta = 2 }
        """)
    (q, f, t, o), place = config.arms, place_of(config)
    rates = config.adapt.model_copy(update={"lr": {"lora": 0.1}})
    clip = config.model_copy(update={"model": "clip", "adapt": rates})
    assert build_strategy(place_of(clip), q).parts.rule.parameters()["lipschitz"] == 10
    assert build_strategy(place, q).parts.rule.parameters() == {"q": 2, "lipschitz": 5.0}
    strategy = build_strategy(place, f).parts
    assert (strategy.rule.parameters(), strategy.bounds) == ({"beta": 0.4}, Bounds(0.5, 0.5))
    assert strategy.optimiser.parameters()["eta"] == 0.3
    assert strategy.signal is not None
    assert strategy.signal.name == "signed-gap"
    assert f.method == "fairfed-exp, fedadam, reweighing"
    assert build_strategy(place, o).parts.rule.parameters() == {"beta": 2}
    assert str(build_strategy(place, t).parts.aggregator) == "trimmed-mean (fraction 0.1)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('rule = "afl"\nsignal = "gap"', "arm 'A': rule 'afl' cannot be steered"),
        ('rule = "fair-fate"', "arm 'A': rule 'fair-fate' or its signal .* fairness.probe above 0"),
        ('aggregator_options = { fraction = 0.1 }', "aggregator 'mean' has no options"),
        ('server_options = { eta = 1 }', "server optimiser 'fedavg' has no option 'eta'"),
        ('rule = "parity"\ndebias = "fairbatch"', "debias 'fairbatch' would weigh them again"),
    ],
)  # fmt: skip
def test_a_wrong_arm_is_named_before_the_run(text: str, message: str) -> None:
    config = configured(f'[[arms]]\nname = "A"\n{text}')
    with pytest.raises(InputError, match=message):
        check_arms(config, place_of(config))


def test_the_rounds_of_a_run_are_fair_fates() -> None:
    config = configured('rounds = 7\n[fairness]\nprobe = 2\n[[arms]]\nname="A"\nrule="fair-fate"')
    check_arms(config, place_of(config))
    strategy = build_strategy(place_of(config), config.arms[0], probe)
    assert strategy.parts.rule.parameters()["rounds"] == 7
