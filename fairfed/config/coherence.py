"""Do the parts of a run's configuration go together? Every check says why not, or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from fairfed.config.classifiers import MODELS, of_library
from fairfed.config.inversion import InversionConfig
from fairfed.config.source import BUNDLED
from fairfed.config.systems import SYSTEMS

if TYPE_CHECKING:
    from fairfed.config.arms import Arm
    from fairfed.config.model import Config

OF_IMAGES = {
    "peers": "peers are clustered on CLIP prototypes of their images",
    "specialise": "a generator of images is specialised on images",
    "heads": "heads are solved on embeddings of images",
    "shared": "a shared space is of images and captions",
}
"""Sections that no table suits, and why."""


def _systems_of(config: Config) -> list[str]:
    """Sections and settings that ask for a system other than classifiers."""
    return [name for name in (*SYSTEMS, "system") if getattr(config, name) is not None]


def _of_one_kind(config: Config) -> str:
    asked = _systems_of(config)
    if len(asked) > 1:
        return (
            f"{asked[1]}: a run is of one kind, and [{asked[0]}] asks for another; keep one of "
            "the two"
        )
    if config.heads is not None and config.rounds != 1:
        return f"rounds: is {config.rounds}, and [heads] needs one; set rounds = 1"
    if config.arrival is not None and config.shared is None:
        return "arrival: a class can arrive where classes are embeddings; add a section [shared]"
    return ""


def _within_the_run(config: Config) -> str:
    for setting, number in _rounds_named(config):
        if number > config.rounds:
            return (
                f"{setting} would first count in round {number}, and the run ends after "
                f"{config.rounds}; lower it, or raise rounds"
            )
    return ""


def _rounds_named(config: Config) -> Iterator[tuple[str, int]]:
    """Settings that name a round, and the first that they change."""
    if any(arm.inversion for arm in config.arms):
        yield "inversion.start", (config.inversion or InversionConfig()).start
    if config.peers is not None:
        yield "peers.leave_round", config.peers.leave_round
        yield "peers.drift_round", config.peers.drift_round
    for arm in config.arms:
        if arm.replan:
            yield f"arms: {arm.name!r}: replan", arm.replan + 1
        if arm.server_rounds:
            yield f"arms: {arm.name!r}: what follows on server_rounds", arm.server_rounds + 1


def _with_distinct_arms(config: Config) -> str:
    for what in ("name", "slug"):
        counts = Counter(getattr(arm, what) for arm in config.arms)
        twice = [value for value, count in counts.items() if count > 1]
        if twice:
            return f"arms: two arms share the {what} {twice[0]!r}; names must differ"
    return ""


def _of_one_sort_of_data(config: Config) -> str:
    source = config.data.source
    for name, why in OF_IMAGES.items() if config.data.tabular else ():
        if getattr(config, name) is not None:
            return (
                f"{name}: {why}, but data.source {source!r} is a table; use images, or drop "
                f"[{name}]"
            )
    kind = "table" if config.data.tabular else "images"
    if config.data.tabular and of_library(config.model):
        return f"model: {config.model!r} is a network of images, and data.source is a table"
    if config.weights is not None and config.model in ("clip", "clip-head"):
        return f"weights: model {config.model!r} begins with CLIP's own; leave weights out"
    if MODELS.get(config.model, kind) != kind:
        what = "a table" if config.data.tabular else "images"
        fitting = (
            "'logistic' or 'mlp'" if config.data.tabular else "'cnn-bn', 'cnn-gn', 'clip-head'"
        )
        return (
            f"model: {config.model!r} does not suit data.source {source!r}, which is {what}; "
            f"choose {fitting}"
        )
    for arm in config.arms if config.data.tabular else ():
        asks = f"arms: {arm.name!r}"
        if arm.augment:
            return (
                f"{asks} asks for synthetic images, but data.source {source!r} is a table; drop "
                "its augment = true"
            )
        if arm.inversion:
            return (
                f"{asks} inverts a model into images, but data.source {source!r} is a table; drop "
                "its inversion"
            )
        if arm.server_trains or arm.system == "zero-shot":
            return (
                f"{asks} has system {arm.system!r}, which is of images, but data.source "
                f"{source!r} is a table; choose another system"
            )
    return ""


def _judged(arm: Arm) -> bool:
    """Whether the server judges models on examples that it holds."""
    return arm.rule == "fair-fate" or arm.signal == "probe"


def _of_systems_that_can_work(config: Config) -> str:
    train = config.train
    plain = train.optimizer == "sgd" and train.accumulate == 1 and train.clip is None
    for arm in config.arms:
        for what, needed in (("control_variates", arm.control_variates),
                             ("rule 'qffl'", arm.rule == "qffl")):  # fmt: skip
            if needed and not plain:
                return (
                    f"arms: {arm.name!r} has {what}, which counts on the steps of plain SGD; set "
                    "train.optimizer = 'sgd' without accumulate and clip, or drop it"
                )
        if train.batch_norm == "local" and (arm.inversion or arm.control_variates or _judged(arm)):
            return (
                f"arms: {arm.name!r}: with train.batch_norm = 'local' the server has no whole "
                "model to invert, correct or judge; set 'averaged', or drop inversion, "
                "control_variates and what needs the server's examples (rule 'fair-fate', "
                "signal 'probe')"
            )
        augmentation = arm.augmentation or config.train.augmentation
        if augmentation == "randaugment" and (config.data.tabular or config.model == "clip-head"):
            return (
                f"arms: {arm.name!r} asks for randaugment, which changes pixels, but model "
                f"{config.model!r} takes none; use 'mixup' or 'none'"
            )
        if arm.system == "centralised" and config.fraction < 1:
            return (
                f"arms: {arm.name!r} is centralised: one client holds all rows and must not be "
                "left out of a round; set fraction = 1"
            )
        if arm.server_trains and not config.synthesis.per_class:
            return (
                f"arms: {arm.name!r} trains on synthetic images alone, and none are asked for; "
                "raise synthesis.per_class"
            )
    return ""


def _adapting_what_is_there(config: Config) -> str:
    for arm in config.arms:
        reason = _misadapted(config, arm)
        if reason:
            return f"arms: {arm.name!r}: {reason}"
    return ""


def _misadapted(config: Config, arm: Arm) -> str:
    if config.model != "clip":
        if arm.from_scratch:
            return f"from_scratch is of model 'clip', and model is {config.model!r}"
        if arm.adapt and (config.model in MODELS or config.data.tabular):
            return (
                "adapt is of a pretrained network of images, 'clip', torchvision's, timm's or "
                f"your own, and model is {config.model!r}"
            )
        if arm.adapt == "prompt":
            return "adapt = 'prompt' is of model 'clip'; use 'head', 'bias' or 'lora'"
        partly = arm.adapt not in (None, "full")
        if partly and (arm.inversion or config.train.batch_norm == "local"):
            return f"adapt = {arm.adapt!r} keeps BatchNorm as it was pretrained; drop one"
        return ""
    method = arm.adapt or config.adapt.method
    if arm.from_scratch and method != "full":
        return f"from_scratch leaves nothing pretrained to adapt by {method!r}; set adapt = 'full'"
    if arm.inversion:
        return "inversion is of a model trained from scratch, not of an adapted one; drop one"
    augmentation = arm.augmentation or config.train.augmentation
    if augmentation == "randaugment" and method in ("head", "prompt"):
        return f"randaugment changes pixels, and {method!r} embeds every image once; drop one"
    return ""


def _hiding_what_is_private(config: Config) -> str:
    public = config.federation is None and config.data.source == BUNDLED
    if config.peers is not None and config.peers.seeded_noise and not public:
        own = repr(config.data.source) if config.federation is None else "sites' own data"
        return (
            "peers.seeded_noise: whoever knows the seed can subtract the noise, so it is for "
            f"data.source {BUNDLED!r} alone, which is public; with {own} leave it out"
        )
    return ""


def _summing_what_sums(config: Config) -> str:
    if not config.privacy.secure_sum:
        return ""
    asked = "privacy.secure_sum"
    other = next((name for name in _systems_of(config) if name != "heads"), None)
    if other is not None:
        return f"{asked}: is of classifiers and of [heads], and this run has {other}; leave it out"
    if config.heads is not None and "cof" in config.heads.heads:
        return (
            f"heads: 'cof' compares the sites' own means, and with {asked} there are none; drop it"
        )
    for arm in config.arms:
        for what, there in (
            ("control_variates", arm.control_variates),
            ("inversion", arm.inversion),
        ):
            if there:
                return (
                    f"arms: {arm.name!r} has {what}, which needs what each client sends; with "
                    f"{asked} the server learns sums alone; drop one"
                )
    return ""


def _private_as_far_as_it_goes(config: Config) -> str:
    train = config.train
    if train.dp is None:
        return ""
    others = _systems_of(config)
    if others:
        return f"train.dp: is of classifiers, and this run has {others[0]}; leave it out"
    if train.accumulate > 1 or train.clip is not None or train.amp:
        return (
            "train.dp: has steps and clipping of its own; leave train.accumulate, train.clip and "
            "train.amp out"
        )
    how = config.conditioning
    modes = {arm.conditioning or how.mode for arm in config.arms if arm.augment}
    if modes and (how.start_from_real or "prototype" in modes):
        return (
            "train.dp: images that start from a site's own, or from its prototypes, hold something "
            "of many rows at once; choose another conditioning"
        )
    for arm in config.arms:
        mixes = (arm.augmentation or train.augmentation) == "mixup"
        for what, there in (
            ("augmentation 'mixup', which blends rows", mixes),
            ("control_variates", arm.control_variates),
            ("inversion", arm.inversion),
        ):
            if there:
                return (
                    f"arms: {arm.name!r} has {what}; with train.dp every row counts alone; drop one"
                )
    return ""


CHECKS: tuple[Callable[[Config], str], ...] = (
    _of_one_kind,
    _within_the_run,
    _with_distinct_arms,
    _of_one_sort_of_data,
    _of_systems_that_can_work,
    _adapting_what_is_there,
    _hiding_what_is_private,
    _summing_what_sums,
    _private_as_far_as_it_goes,
)
"""In the order in which a user is told."""
