"""Guidance between the UNet and a pipeline's own loop: composed scores, and only where it matters.

diffusers' pipelines evaluate the UNet on a batch of two halves, without and with the prompt, and
guide by the difference. `GuidedUNet` answers in that form, so that every pipeline's loop stays its
own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    _Conditions = dict[str, Tensor | None]

ADDED = ("text_embeds", "time_ids")
"""Stable Diffusion XL's further conditions."""
SIDE_BY_SIDE = ("encoder_hidden_states", "text_embeds")


def compose(unconditional: Tensor, conditional: list[Tensor], weights: Tensor) -> Tensor:
    """One conditional score from several (Liu et al. 2022, arXiv 2206.01714).

    Each condition pulls the score by dₖ = wₖ(εₖ − ε_∅), and the pulls add up. So that more
    attributes do not mean stronger guidance, which saturates images, their sum is shortened to the
    longest single pull where it exceeds that. A prompt composed with itself therefore changes
    nothing, conditions that agree do not add up, and those that cancel each other stay cancelled.

    Scores are ``[n, …]``, the prompt's conditional one first, for whose place the result is;
    weights ``[n, n_conditions]`` may be negative.
    """
    import torch

    shape = (-1, *[1] * (unconditional.ndim - 1))
    pulls = [
        weights[:, k].reshape(shape) * (score - unconditional)
        for k, score in enumerate(conditional)
    ]
    total = torch.stack(pulls).sum(0)
    longest = torch.stack([pull.flatten(1).norm(dim=1) for pull in pulls]).amax(0)
    length = total.flatten(1).norm(dim=1)
    kept = torch.where(length > longest, longest / length.clamp(min=1e-12), 1.0)
    return unconditional + kept.reshape(shape) * total


class GuidedUNet:
    """A UNet as a pipeline calls it, with what one thread's present batch asks of guidance.

    The network is shared and never changed. `interval` has the shares of the noise schedule, of
    `train_steps`, between which guidance acts.
    """

    def __init__(self, unet: Any, train_steps: int, interval: tuple[float, float]) -> None:
        self._unet = unet
        self._train_steps = train_steps
        self._interval = interval
        self.weights: Tensor | None = None
        """``[n, n_conditions]`` of the batch, or None where it has one condition."""
        self.guided = False
        """Whether the pipeline guides, and thus calls with two halves."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unet, name)

    def __call__(
        self,
        sample: Tensor,
        timestep: Any,
        encoder_hidden_states: Tensor,
        added_cond_kwargs: dict[str, Tensor] | None = None,
        class_labels: Tensor | None = None,
        **options: Any,
    ) -> tuple[Tensor]:
        """Scores ``[2n, …]``, without and with the conditions; ``[n, …]`` without guidance.

        All conditions of a row stand side by side: their tokens in `encoder_hidden_states`, their
        pooled embeddings in `added_cond_kwargs["text_embeds"]`.
        """
        import torch

        given = {
            "encoder_hidden_states": encoder_hidden_states,
            "class_labels": class_labels,
            **(added_cond_kwargs or {}),
        }
        acts = self._acts(timestep)
        if not self.guided or (acts and self.weights is None):
            return (self._evaluate(sample, timestep, given, options),)
        rows = len(sample) // 2
        count = 1 if self.weights is None else self.weights.shape[1]
        scores = []
        for k in range(count):
            prompts = _condition(given, slice(rows, None), k, count)
            scores.append(self._evaluate(sample[rows:], timestep, prompts, options))
        combined = scores[0]
        if self.weights is not None:
            empty = _condition(given, slice(rows), 0, count)
            unconditional = self._evaluate(sample[:rows], timestep, empty, options)
            combined = compose(unconditional, scores, self.weights)
        return (torch.cat([unconditional if acts else combined, combined]),)

    def _acts(self, timestep: Any) -> bool:
        """Whether guidance acts at a time step: from `train_steps` − 1, pure noise, down to 0."""
        start, end = self._interval
        return start <= 1 - (float(timestep) + 1) / self._train_steps < end

    def _evaluate(
        self,
        sample: Tensor,
        timestep: Any,
        given: dict[str, Tensor | None],
        options: dict[str, Any],
    ) -> Tensor:
        added = {name: given[name] for name in ADDED if name in given}
        found: Tensor = self._unet(
            sample,
            timestep,
            encoder_hidden_states=given["encoder_hidden_states"],
            class_labels=given["class_labels"],
            added_cond_kwargs=added or None,
            **options,
        )[0]
        return found


def _condition(given: _Conditions, rows: slice, index: int, count: int) -> _Conditions:
    """One of `count` conditions that stand side by side, for some rows of the batch."""
    return {
        name: value
        if value is None
        else (value.chunk(count, dim=1)[index] if name in SIDE_BY_SIDE else value)[rows]
        for name, value in given.items()
    }
