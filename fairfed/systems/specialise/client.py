"""What a site does in domain specialisation.

What leaves it: LoRA weights, a number of images, sums of losses, seconds. Labels stay unused.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

from fairfed.config.base import required
from fairfed.draws import generator_of
from fairfed.sites.request import Request
from fairfed.sites.site import Site
from fairfed.sites.workplace import Workplace
from generators.requests import Image
from generators.specialise import Examples, Part, Specialiser
from semantic.errors import InputError
from semantic.space import CellScorer

TRAINING, JUDGING = 201, 202
"""What random numbers are drawn for."""
OTHER_WEIGHTS = (
    "generator.model {model!r} or its additions have other weights here than at the server, and "
    "only what differs from them travels; install the same ones"
)


def specialiser(place: Workplace) -> Specialiser:
    """The pipeline to specialise, loaded once on a machine."""
    study = place.study
    rank = required(study.specialise).rank
    return place.kept("specialiser", lambda: Specialiser(place.diffusion, rank, study.seed))


def train(request: Request) -> Message:
    """Train the received LoRA on the site's images; only it goes back."""
    begun = time.perf_counter()
    site = _asked(request)
    how, own = required(site.study.specialise), examples(site, False)
    part, loss = _received(request.message), 0.0
    if len(own.latents):
        part, loss = specialiser(site.place).train(
            part,
            own,
            steps=how.steps,
            batch_size=how.batch_size,
            lr=how.lr,
            caption_drop=how.caption_drop,
            generator=generator_of(TRAINING, site.study.seed, site.index, request.round),
        )
    metrics = MetricRecord(
        {
            "partition-id": site.index,
            "n-real": len(site.said_rows(site.rows.train)),
            "loss": loss,
            "seconds": time.perf_counter() - begun,
        }
    )
    return request.answer(RecordDict({"arrays": ArrayRecord(part), "metrics": metrics}))


def evaluate(request: Request) -> Message:
    """Sum the received LoRA's losses on held-out images, every time at equal noise."""
    site = _asked(request)
    held, total = examples(site, True), 0.0
    if len(held.latents):
        draw = generator_of(JUDGING, site.study.seed, site.index)
        total = specialiser(site.place).loss(_received(request.message), held, draw)
    return request.reply({"n-real": len(held.latents), "loss": total})


def _asked(request: Request) -> Site:
    """The site, once its weights are known to be the server's."""
    site = request.plain_site
    if specialiser(site.place).identity != request.sent["weights"]:
        raise InputError(OTHER_WEIGHTS.format(model=site.place.sources.generator))
    return site


def _received(message: Message) -> Part:
    return dict(message.content.array_records["arrays"].to_torch_state_dict())


def examples(site: Site, test: bool) -> Examples:
    """A site's images as the UNet learns them, kept because every round asks for them."""
    return site.place.kept(("specialise", site.name, test), lambda: _examples(site, test))


def _examples(site: Site, test: bool) -> Examples:
    rows = site.rows.train
    if test:
        rng = np.random.default_rng((JUDGING, site.study.seed, site.index))
        most, said = required(site.study.specialise).held_out, site.said_rows(site.rows.test)
        rows = np.sort(rng.permutation(said)[:most])
    pixels = site.images.images[rows]
    if not len(pixels):
        return Examples(torch.zeros(0), torch.zeros(0))
    return specialiser(site.place).prepare(pixels, captions(site.place, pixels))


def captions(place: Workplace, pixels: Image) -> list[str]:
    """What the UNet is told of images, by the images alone."""
    if required(place.study.specialise).caption == "empty":
        return [""] * len(pixels)
    space = place.space
    scores = CellScorer(place.encoder, space).scores(pixels)
    best = scores.reshape(len(pixels), -1).argmax(1)
    cells = [space.cell(*divmod(int(cell), len(space.groups))) for cell in best]
    return [space.prompts(cell)[0] for cell in cells]
