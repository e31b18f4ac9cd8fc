"""FedBN: BatchNorm layers stay at the clients; and what of a client's own can be exported."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from fairfed.config import Config
from fairfed.rounds import checkpoint
from fairfed.sites.packaged import load_model
from fairfed.sites.personal import norms_of
from fairfed.system import simulated_study
from fairfed.systems.classifier.experiment import check
from fairfed.systems.classifier.exporting import export_run
from semantic.errors import InputError
from tests.fairfed.runs import logged, new_process, place_of, play, run_of

Small = Callable[..., Config]
LOCAL = ("model=lenet-bn", "train.batch_norm=local", 'arms=[{name="FedBN"}]')


def test_norms_never_travel_and_measure_their_own_client(small: Small) -> None:
    config = small(*LOCAL)
    replies = [m for m in play(config, workers=1) if "arrays" in m.content.array_records]
    model = place_of(config).model()
    first, norms = model.state_dict(), norms_of(model)
    assert len(norms) == 5 * sum(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())
    for message in replies:
        sent = message.content.array_records["arrays"].to_torch_state_dict()
        assert all(torch.equal(sent[name], first[name]) for name in norms)
        assert not all(torch.equal(sent[name], first[name]) for name in first)
    losses = [[c["test_loss"] for c in row["clients"]] for row in logged(config)]
    other = small(*LOCAL[:1], *LOCAL[2:], f"out={config.run_directory}-averaged")
    play(other, workers=1)
    assert losses != [[c["test_loss"] for c in row["clients"]] for row in logged(other)]


def test_a_continued_run_has_the_clients_norms_again(small: Small) -> None:
    whole = small(*LOCAL)
    cut = small(*LOCAL, f"out={whole.run_directory}-cut")
    play(whole, workers=1)

    def stop(done: int, total: int, reply: object) -> None:
        if len(logged_or_none(cut)) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(cut, workers=1, on_reply=stop)
    new_process()
    play(cut, workers=1)
    assert logged(cut) == logged(whole)


def logged_or_none(config: Config) -> list[object]:
    path = config.run_directory / "rounds.jsonl"
    return logged(config) if path.exists() else []  # type: ignore[return-value]


@pytest.mark.parametrize(
    "settings",
    [LOCAL, ('arms=[{name="Ditto", personal=0.1}]',), ('arms=[{name="Own", system="local"}]',)],
)
def test_a_clients_own_model_is_exported_with_its_name(
    small: Small, settings: tuple[str, ...]
) -> None:
    config = small(*settings, "rounds=1")
    run = run_of(config, workers=1)
    out = run.parent / "model"
    with pytest.raises(InputError, match="of its own, .* --client: a, b, c"):
        export_run(run, out)
    with pytest.raises(InputError, match="--client 'x': there is none; there are: a, b, c"):
        export_run(run, out, client="x")
    card = export_run(run, out, client="b")
    assert "This is the model of client b." in card.read_text()
    kept = checkpoint.load(next((run / "checkpoints").glob("*.npz"))).arrays
    found = load_model(out).network.state_dict()
    export_run(run, run.parent / "other", client="c")
    other = load_model(run.parent / "other").network.state_dict()
    changed = [n for n, value in found.items() if not torch.equal(value, other[n])]
    assert changed
    if settings is LOCAL:
        own = set(norms_of(load_model(out).network))
        assert set(changed) <= own
        assert all(np.array_equal(found[n].numpy(), kept[n]) for n in found if n not in own)


def test_what_does_not_go_together_is_refused(small: Small) -> None:
    with pytest.raises(InputError, match="model 'cnn-gn' has no BatchNorm layer"):
        check(simulated_study(small("model=cnn-gn", *LOCAL[1:])))
    with pytest.raises(InputError, match="the server has no whole model to invert"):
        small(*LOCAL[:2], "rounds=5", 'arms=[{name="x", inversion="client"}]')
    with pytest.raises(InputError, match="counts on the steps of plain SGD"):
        small("train.optimizer=adam", 'arms=[{name="x", control_variates=true}]')
    assert small("model=resnet18").model == "torchvision:resnet18"
