"""From a run to a model: the weights of an arm, what they are of, and what was measured of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from numpy.typing import NDArray

from evaluation.files import write_whole
from evaluation.intervals import Interval
from evaluation.records import Run
from evaluation.run import read_run
from evaluation.summary import ArmSummary, summarise
from fairfed.config import Arm, Config, load_config
from fairfed.config.federation import FederationConfig, agreed
from fairfed.config.labels import found_space
from fairfed.config.source import Kind
from fairfed.config.training import trains_part
from fairfed.engines.private import records_from_bytes
from fairfed.models.partial import PartlyTrained, whole_state
from fairfed.rounds import checkpoint
from fairfed.rounds.run_directory import with_columns
from fairfed.rounds.run_lock import CONFIG
from fairfed.sites.formats import write_as
from fairfed.sites.model_sources import ENCODER, ModelSources
from fairfed.sites.packaged import load_model, save_model
from fairfed.sites.personal import norms_key, personal_key
from fairfed.sites.simulated import attribute_rows, fingerprints
from fairfed.sites.workplace import Workplace
from generators.writing import explained
from semantic.encoder import load_encoder
from semantic.errors import InputError

CARD = "README.md"
WHICH_ARM = "{run} has several arms: choose one with --arm: {arms}"
NO_ARM = "{run} has no arm {arm!r}; there are: {arms}"
NOTHING = "arm {arm!r} has no trained model yet: no round of it is over"
OWN_MODELS = (
    "arm {arm!r}: every client has {what} of its own, so there is none of the federation; choose a "
    "client's with --client: {names}"
)
NO_CLIENT = "--client {client!r}: there is none; there are: {names}"
COMMON = "--client: arm {arm!r} has one model for all clients; leave it out"
AWAY = (
    "--client {client!r}: what is its own is not in {run}; real sites keep theirs at home, and the "
    "engine 'ray' keeps none"
)
UNTRAINED = "arm {arm!r} trains nothing: CLIP with the classes' prompts is what it is"


def export_run(
    run_dir: Path,
    out: Path,
    named: str | None = None,
    client: str | None = None,
    formats: Sequence[str] = (),
) -> Path:
    """Write an arm's model into a directory, with a card; returns the card's path.

    Of an arm whose clients have models, or BatchNorm layers, of their own, that is a client's.
    `formats` are further ones (`fairfed.sites.formats`).

    Raises
    ------
    semantic.errors.InputError
        The directory is no run of classifiers, the arm has no such model, or has not begun.
    """
    config = _config_of(run_dir)
    arm = _chosen(run_dir, config.arms, named)
    if arm.system == "zero-shot":
        raise InputError(UNTRAINED.format(arm=arm.name))
    path = run_dir / "checkpoints" / f"{arm.slug}.npz"
    if not path.is_file():
        raise InputError(NOTHING.format(arm=arm.name))
    kept, run = checkpoint.load(path), read_run(run_dir)
    arrays = _arrays(config, arm, kept, run, client)
    study = _study_of(config, run_dir, arm)
    if trains_part(config, arm):
        place = Workplace(study, ModelSources(weights=config.weights))
        model = cast("PartlyTrained", place.model_with(arrays, arm))
        arrays = {name: value.numpy() for name, value in whole_state(model).items()}
        plain = arm.model_copy(update={"adapt": None})
        study = study.model_copy(update={"arms": (plain,), "fingerprints": {}})
    summary = next(one for one in summarise(run) if one.name == arm.name)
    facts = {"run": config.name, "seed": config.seed, "arm": arm.name, "round": kept.round,
             "client": client, "measured": _figures(summary)}  # fmt: skip
    save_model(out, study, arrays, config.semantic.encoder, facts)
    with explained(out):
        write_whole(out / CARD, _card(config, arm, study, summary, client).encode())
    if formats:
        written = load_model(out, own_code=True)
        for kind in formats:
            write_as(kind, written, out)
    return out / CARD


def _arrays(
    config: Config, arm: Arm, kept: checkpoint.Checkpoint, run: Run, client: str | None
) -> Mapping[str, NDArray[Any]]:
    """The federation's weights, or a client's with what is its own."""
    local = config.train.batch_norm == "local" and arm.sends_model
    names = ", ".join(run.clients)
    if client is None:
        if arm.own_models or local:
            what = "a model" if arm.own_models else "BatchNorm layers"
            raise InputError(OWN_MODELS.format(arm=arm.name, what=what, names=names))
        return kept.arrays
    if not (arm.own_models or local):
        raise InputError(COMMON.format(arm=arm.name))
    if client not in run.clients:
        raise InputError(NO_CLIENT.format(client=client, names=names))
    state = kept.clients.get(run.clients.index(client))
    found = None
    if state is not None:
        records = records_from_bytes(state).array_records
        found = records.get((personal_key if arm.own_models else norms_key)(arm))
    if found is None:
        raise InputError(AWAY.format(client=client, run=run.path))
    return {**kept.arrays, **{name: value.numpy() for name, value in found.items()}}


def _config_of(run_dir: Path) -> Config:
    if not (run_dir / CONFIG).is_file():
        raise InputError(f"{run_dir}: no run directory: there is no {CONFIG} in it")
    return load_config(run_dir / CONFIG)


def _chosen(run_dir: Path, arms: Sequence[Arm], named: str | None) -> Arm:
    every = ", ".join(repr(arm.name) for arm in arms)
    if named is None:
        if len(arms) > 1:
            raise InputError(WHICH_ARM.format(run=run_dir, arms=every))
        return arms[0]
    found = [arm for arm in arms if named in (arm.name, arm.slug)]
    if not found:
        raise InputError(NO_ARM.format(run=run_dir, arm=named, arms=every))
    return found[0]


def _study_of(config: Config, run_dir: Path, arm: Arm) -> FederationConfig:
    """What the sites were told, of one arm, with what was fitted in the run.

    The run says what its data are called: nothing is read of them.
    """
    labels = config.federation
    if labels is None:
        said, data = json.loads((run_dir / "federation.json").read_text()), config.data
        sensitive = data.sensitive if len(said["groups"]) > 1 else ()
        kind: Kind = "table" if data.tabular else "images"
        names = said["classes"], said["groups"]
        labels = found_space(*names, sensitive, kind, data.image_size)
    told = agreed(config, labels, attribute_rows(config), fingerprints(config))
    if config.model == "clip-head":  # in a run, each site may have its own way to the same CLIP
        clip = load_encoder(config.semantic.encoder).fingerprint
        told = told.model_copy(update={"fingerprints": {ENCODER: clip}})
    return with_columns(told.model_copy(update={"arms": (arm,)}), run_dir)


def _figures(summary: ArmSummary) -> dict[str, Any]:
    gaps = {name: gap.value for name, gap in summary.gaps.items()}
    return {"n": summary.n, "accuracy": summary.accuracy.value, "gaps": gaps,
            "worst_class_recall": summary.worst_class_recall}  # fmt: skip


def _shown(found: Interval) -> str:
    return f"{100 * found.value:.1f} % ({100 * found.low:.1f} to {100 * found.high:.1f})"


def _card(
    config: Config, arm: Arm, study: FederationConfig, summary: ArmSummary, client: str | None
) -> str:
    """A model card, with the metadata that Hugging Face reads."""
    rows = [("accuracy", _shown(summary.accuracy))]
    rows += [(f"accuracy, {group}", _shown(one)) for group, one in summary.group_accuracy.items()]
    rows += [(f"recall, {name}", _shown(one)) for name, one in summary.class_recall.items()]
    rows += [(name.replace("_", " "), _shown(gap)) for name, gap in summary.gaps.items()]
    clients = summary.client_fairness
    rows += [("worst client", f"{100 * clients.worst:.1f} %")]
    lines = [
        "---",
        "library_name: fairfed",
        f"tags: [{'image' if study.labels.kind == 'images' else 'tabular'}-classification]",
        "model-index:",
        f"- name: {config.name}-{arm.slug}",
        "  results:",
        "  - task: {type: classification}",
        f"    dataset: {{name: {config.name}, type: federation}}",
        f"    metrics: [{{type: accuracy, value: {summary.accuracy.value:.4f}}}]",
        "---",
        "",
        f"# {config.name}: {arm.name}",
        "",
        f"A classifier (`{study.model}`) of {', '.join(study.labels.classes)}, trained by "
        f"{summary.clients} clients of a federation in {summary.rounds} rounds ({arm.method}, seed "
        f"{config.seed}).",
        "",
        "```python",
        "import fairfed",
        'model = fairfed.load_model("THIS DIRECTORY")',
        "logits = model(model.preprocess(image)[None])    # model.classes names them",
        "```",
        "",
        *([f"This is the model of client {client}.", ""] if client is not None else []),
        f"Measured on {summary.n:,} test rows of the clients, which were not trained on "
        f"(95 % intervals{'' if client is None else '; each client with its own model'}):",
        "",
        "| | |",
        "|---|---:|",
        *(f"| {name} | {value} |" for name, value in rows),
        "",
        "Other data than the federation's may give other numbers: predict on some "
        "(`fairfed predict`) and audit that (`fairfed audit`) before use.",
        "",
    ]
    return "\n".join(lines)
