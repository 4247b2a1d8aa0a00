"""Separation of recordings of any length in segments that overlap and fade into each other."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from unetsep.audio.files import InputError


def overlap_add(
    model: Callable[[Tensor], Tensor],
    mixture: Float[Tensor, "channel sample"],
    segment: int,
    overlap: float = 0.25,
    batch_size: int = 4,
) -> Float[Tensor, "source channel sample"]:
    """Separates a mixture segment by segment, with a linear cross-fade from each segment to the next.

    The fades' weights are divided by their sum, so a model that acts on each sample alone gives what one pass over the
    whole mixture would give, up to the last edge. The last segment is moved back to end where the mixture ends: the
    model hears no invented silence. A mixture no longer than one segment is one pass.

    Shape:
        - Mixture: `(channel, sample)`, at least one sample.
        - Output: `(source, channel, sample)`, on the mixture's device, whatever device the model answers on.

    Args:
        model: Maps `(batch, channel, sample)` to `(batch, source, channel, sample)` of the same length.
        mixture: The recording.
        segment: Length in samples that the model sees at once.
        overlap: Share of a segment that the next one covers again, 0 to less than 1.
        batch_size: How many segments the model gets in one call.

    Raises:
        InputError: If the mixture is empty or a setting lies outside its range, or if the model's answer has another
            length than its input.
    """
    length = mixture.shape[-1]
    if length < 1:
        raise InputError("the mixture holds no samples; there is nothing to separate")
    if segment < 1 or batch_size < 1 or not 0 <= overlap < 1:
        raise InputError(
            f"segment is {segment} samples, overlap {overlap}, batch_size {batch_size}; segment and batch_size must be "
            "at least 1, overlap from 0 to less than 1"
        )
    if length <= segment:
        return _separate(model, mixture[None])[0].to(mixture.device)

    step = max(1, segment - int(overlap * segment))
    starts = [*range(0, length - segment, step), length - segment]
    weight = _fade(segment, segment - step).to(mixture)
    total = mixture.new_zeros(length)
    added: Tensor | None = None
    for first in range(0, len(starts), batch_size):
        batch = starts[first : first + batch_size]
        estimates = _separate(model, torch.stack([mixture[:, start : start + segment] for start in batch]))
        estimates = estimates.to(mixture)
        if added is None:
            added = mixture.new_zeros(*estimates.shape[1:-1], length)
        for start, estimate in zip(batch, estimates, strict=True):
            added[..., start : start + segment] += weight * estimate
            total[start : start + segment] += weight
    assert added is not None
    return added.div_(total)


def _separate(model: Callable[[Tensor], Tensor], mixtures: Tensor) -> Tensor:
    """The model's answer, checked for the one property that the addition relies on."""
    estimates = model(mixtures)
    batch, channels, samples = mixtures.shape
    if estimates.ndim != 4 or (estimates.shape[0], *estimates.shape[2:]) != (batch, channels, samples):
        raise InputError(
            f"the model answered {tuple(mixtures.shape)} with {tuple(estimates.shape)}; overlap_add needs "
            f"({batch}, source, {channels}, {samples})"
        )
    return estimates


def _fade(segment: int, shared: int) -> Tensor:
    """One segment's weights: up over the `shared` samples at its start, flat, and down over those at its end."""
    # (i + 1) / (shared + 1): never zero, so that the first and the last sample of a recording keep a weight.
    rise = ((torch.arange(segment) + 1) / (shared + 1)).clamp(max=1)
    return torch.minimum(rise, rise.flip(0))
