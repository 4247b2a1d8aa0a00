"""New music from old: stems changed and exchanged within a batch, on the batch's device."""

import torch
from torch import Tensor

from unetsep.audio.files import InputError


class Remix:
    """Augments a batch of stems by what a mixing engineer could have done differently.

    Uhlich et al., "Improving music source separation based on deep neural networks through data augmentation and
    network blending", 2017: gains, swapped channels and stems of different songs make many songs out of few. What is
    drawn depends on the generator alone, not on the device of the stems.

    Args:
        gain_db: lowest and highest gain of a stem in decibels, drawn evenly between them.
        swap_channels: probability that a stem's channels are reversed (left and right exchanged).
        flip_polarity: probability that a stem is multiplied by -1.
        shuffle_stems: probability that a song gives its stems away: every such song of the batch gets each of its
            stems from a random one of them. The batch keeps exactly the stems it had.

    Raises:
        InputError: if a probability lies outside 0 to 1, or the gains are not in order.
    """

    def __init__(
        self,
        gain_db: tuple[float, float] = (-6.0, 6.0),
        swap_channels: float = 0.5,
        flip_polarity: float = 0.5,
        shuffle_stems: float = 0.5,
    ) -> None:
        probabilities = {"swap_channels": swap_channels, "flip_polarity": flip_polarity, "shuffle_stems": shuffle_stems}
        for name, probability in probabilities.items():
            if not 0.0 <= probability <= 1.0:
                raise InputError(f"{name} is {probability}: a probability lies between 0 and 1")
        lowest, highest = gain_db
        if not lowest <= highest:
            raise InputError(f"gain_db is ({lowest}, {highest}): give the lower gain first, as (-6.0, 6.0)")
        self.gain_db = (lowest, highest)
        self.swap_channels = swap_channels
        self.flip_polarity = flip_polarity
        self.shuffle_stems = shuffle_stems

    def __call__(self, stems: Tensor, generator: torch.Generator) -> Tensor:
        """A remixed copy of a batch.

        Args:
            stems: (batch, source, channel, sample), on any device.
            generator: of random numbers; one on the CPU gives the same remix on every device.

        Returns:
            The new stems, of the same shape; the mixture is their sum.
        """
        songs, sources = stems.shape[:2]

        def uniform(*size: int) -> Tensor:
            return torch.rand(*size, generator=generator, device=generator.device)

        givers = torch.nonzero(uniform(songs) < self.shuffle_stems).flatten()
        origin = torch.arange(songs, device=generator.device).repeat(sources, 1)  # (source, batch)
        for source in range(sources):
            order = torch.randperm(len(givers), generator=generator, device=generator.device)
            origin[source, givers] = givers[order]
        swapped = uniform(songs, sources) < self.swap_channels
        sign = 1.0 - 2.0 * (uniform(songs, sources) < self.flip_polarity).to(torch.float32)
        lowest, highest = self.gain_db
        gain = 10.0 ** ((lowest + (highest - lowest) * uniform(songs, sources)) / 20.0)

        dealt = stems[origin.T.to(stems.device), torch.arange(sources, device=stems.device)]
        dealt = torch.where(swapped[..., None, None].to(stems.device), dealt.flip(2), dealt)
        return dealt * (sign * gain)[..., None, None].to(stems)
