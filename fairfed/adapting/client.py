"""What a client does in domain specialisation; registered in `fairfed.client`.

What leaves a client: LoRA weights, a number of images, sums of losses, seconds. Labels stay unused.
"""

from __future__ import annotations

import threading
import time

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
import numpy as np
import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict

from fairfed import site
from fairfed.config import Config
from fairfed.config.adaptation import SpecialiseConfig
from fairfed.draws import generator_of
from fairfed.errors import PublicInputError
from fairfed.once import once
from fairfed.sites.generation import settings_of
from fairfed.sites.semantics import semantic_space
from generators.requests import Image
from generators.specialise import Examples, Part, Specialiser

TRAINING, JUDGING = 201, 202
"""What random numbers are drawn for."""
OTHER_WEIGHTS = (
    "generator.model {model!r} or its additions have other weights here than at the server, and "
    "only what differs from them travels; install the same ones"
)
_LOADING = threading.RLock()


def settings(config: Config) -> SpecialiseConfig:
    """The section `[specialise]` of a configuration that has one."""
    if config.specialise is None:
        raise TypeError("the configuration has no section [specialise]")
    return config.specialise


@once(_LOADING, kept=2)
def specialiser(toml: str) -> Specialiser:
    """The pipeline to specialise, loaded once per process."""
    config = site.configuration(toml)
    generator = settings_of(config)
    return Specialiser(generator, settings(config).rank, config.seed)


def train(message: Message, context: Context) -> Message:
    """Train the received LoRA on the client's images; only it goes back."""
    begun = time.perf_counter()
    toml, client, config = _asked(message, context)
    how = settings(config)
    own = examples(toml, client, False)
    number = int(message.content.config_records["config"]["round"])  # type: ignore[arg-type]
    part, loss = _received(message), 0.0
    if len(own.latents):
        part, loss = specialiser(toml).train(
            part,
            own,
            steps=how.steps,
            batch_size=how.batch_size,
            lr=how.lr,
            caption_drop=how.caption_drop,
            generator=generator_of(TRAINING, config.seed, client, number),
        )
    metrics = MetricRecord(
        {
            "partition-id": client,
            "n-real": len(own.latents),
            "loss": loss,
            "seconds": time.perf_counter() - begun,
        }
    )
    return Message(RecordDict({"arrays": ArrayRecord(part), "metrics": metrics}), reply_to=message)


def evaluate(message: Message, context: Context) -> Message:
    """Sum the received LoRA's losses on held-out images, every time at equal noise."""
    toml, client, config = _asked(message, context)
    held, total = examples(toml, client, True), 0.0
    if len(held.latents):
        draw = generator_of(JUDGING, config.seed, client)
        total = specialiser(toml).loss(_received(message), held, draw)
    metrics = MetricRecord({"partition-id": client, "n-real": len(held.latents), "loss": total})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)


def _asked(message: Message, context: Context) -> tuple[str, int, Config]:
    """Configuration text, client and configuration, once the weights are the server's."""
    asked = message.content.config_records["config"]
    toml = str(asked["toml"])
    config = site.configuration(toml)
    if specialiser(toml).identity != asked["weights"]:
        raise PublicInputError(OTHER_WEIGHTS.format(model=config.generator.model))
    return toml, int(context.node_config["partition-id"]), config


def _received(message: Message) -> Part:
    return dict(message.content.array_records["arrays"].to_torch_state_dict())


@once(_LOADING, kept=256)
def examples(toml: str, client: int, test: bool) -> Examples:
    """A client's images as the UNet learns them, kept because every round asks for them."""
    config, data = site.configuration(toml), site.images(toml, False)
    rows = data.train[client]
    if test:
        drawn = np.random.default_rng((JUDGING, config.seed, client)).permutation(data.test[client])
        rows = np.sort(drawn[: settings(config).held_out])
    pixels = data.table.images[rows]
    if not len(pixels):
        return Examples(torch.zeros(0), torch.zeros(0))
    return specialiser(toml).prepare(pixels, captions(toml, pixels))


def captions(toml: str, pixels: Image) -> list[str]:
    """What the UNet is told of images, by the images alone."""
    from semantic.encoder import load_encoder
    from semantic.space import CellScorer

    config = site.configuration(toml)
    if settings(config).caption == "empty":
        return [""] * len(pixels)
    table = site.images(toml, False).table
    space = semantic_space(config.semantic, table.classes, table.group_names)
    scores = CellScorer(load_encoder(config.semantic.encoder), space).scores(pixels)
    best = scores.reshape(len(pixels), -1).argmax(1)
    cells = [space.cell(*divmod(int(cell), len(table.group_names))) for cell in best]
    return [space.prompts(cell)[0] for cell in cells]
