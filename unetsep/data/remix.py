"""New music from old: stems changed and exchanged within a batch, on the batch's device."""

from collections.abc import Callable

import torch
from torch import Tensor

from unetsep.audio.files import InputError
from unetsep.data.stretch import samples_for, stretch


class Remix:
    """Augments a batch of stems by what a mixing engineer could have done differently.

    Uhlich et al., "Improving music source separation based on deep neural networks through data augmentation and
    network blending", 2017: gains, swapped channels and stems of different songs make many songs out of few. Défossez
    et al., "Music source separation in the waveform domain", 2019, add pitch and tempo; they cost more, and are off
    unless asked for. What is drawn depends on the generator alone, not on the device of the stems.

    Args:
        gain_db: lowest and highest gain of a stem in decibels, drawn evenly between them.
        swap_channels: probability that a stem's channels are reversed (left and right exchanged).
        flip_polarity: probability that a stem is multiplied by -1.
        shuffle_stems: probability that a song gives its stems away: every such song of the batch gets each of its
            stems from a random one of them. The batch keeps exactly the stems it had.
        pitch: probability that a song is transposed, all its stems alike, before it gives any away.
        pitch_semitones: lowest and highest transposition, drawn evenly between them, from -12 to 12.
        tempo: probability that a song is played at another tempo at the same pitch, all its stems alike.
        tempo_factor: lowest and highest factor on the speed, drawn evenly between them, from 0.5 to 2; 1.1 is faster.
        stretch_window: of the phase vocoder that changes pitch and tempo, in samples, a multiple of 4 from 16 on; 2048
            is 46 ms at 44.1 kHz. A longer one keeps chords cleaner, a shorter one keeps drums sharper.

    Raises:
        InputError: if a probability lies outside 0 to 1, or a range is not in order or leaves its bounds.
    """

    def __init__(
        self,
        gain_db: tuple[float, float] = (-6.0, 6.0),
        swap_channels: float = 0.5,
        flip_polarity: float = 0.5,
        shuffle_stems: float = 0.5,
        pitch: float = 0.0,
        pitch_semitones: tuple[float, float] = (-2.0, 2.0),
        tempo: float = 0.0,
        tempo_factor: tuple[float, float] = (0.9, 1.1),
        stretch_window: int = 2048,
    ) -> None:
        probabilities = {
            "swap_channels": swap_channels,
            "flip_polarity": flip_polarity,
            "shuffle_stems": shuffle_stems,
            "pitch": pitch,
            "tempo": tempo,
        }
        for name, probability in probabilities.items():
            if not 0.0 <= probability <= 1.0:
                raise InputError(f"{name} is {probability}: a probability lies between 0 and 1")
        lowest, highest = gain_db
        if not lowest <= highest:
            raise InputError(f"gain_db is ({lowest}, {highest}): give the lower gain first, as (-6.0, 6.0)")
        lowest, highest = pitch_semitones
        if not -12.0 <= lowest <= highest <= 12.0:
            raise InputError(
                f"pitch_semitones is ({lowest}, {highest}): give the lower first, both from -12 to 12, as (-2.0, 2.0)"
            )
        lowest, highest = tempo_factor
        if not 0.5 <= lowest <= highest <= 2.0:
            raise InputError(
                f"tempo_factor is ({lowest}, {highest}): give the lower first, both from 0.5 to 2, as (0.9, 1.1)"
            )
        if stretch_window < 16 or stretch_window % 4:
            raise InputError(f"stretch_window is {stretch_window}: give a multiple of 4 from 16 on, as 2048")
        self.gain_db = gain_db
        self.swap_channels = swap_channels
        self.flip_polarity = flip_polarity
        self.shuffle_stems = shuffle_stems
        self.pitch = pitch
        self.pitch_semitones = pitch_semitones
        self.tempo = tempo
        self.tempo_factor = tempo_factor
        self.stretch_window = stretch_window

    def needs(self, length: int) -> int:
        """How many samples of a song to give for `length` remixed ones: a faster tempo uses up more of it."""
        if not (self.pitch or self.tempo):
            return length
        fastest = max(1.0, self.tempo_factor[1]) if self.tempo else 1.0
        return samples_for(length, fastest, self.stretch_window)

    def __call__(self, stems: Tensor, generator: torch.Generator, length: int | None = None) -> Tensor:
        """A remixed copy of a batch.

        Args:
            stems: (batch, source, channel, sample), on any device.
            generator: of random numbers; one on the CPU gives the same remix on every device.
            length: samples to return, no more than were given. None returns as many; a song whose tempo is raised then
                ends in silence, unless there are `needs(length)` samples of it.

        Returns:
            The new stems, (batch, source, channel, `length`); the mixture is their sum.
        """
        songs, sources = stems.shape[:2]

        def uniform(*size: int) -> Tensor:
            return torch.rand(*size, generator=generator, device=generator.device)

        def there(decided: Tensor) -> Tensor:
            return decided.to(stems.device, non_blocking=stems.is_cuda)  # training does not wait for the GPU

        givers = torch.nonzero(uniform(songs) < self.shuffle_stems).flatten()
        origin = torch.arange(songs, device=generator.device).repeat(sources, 1)  # (source, batch)
        for source in range(sources):
            order = torch.randperm(len(givers), generator=generator, device=generator.device)
            origin[source, givers] = givers[order]
        swapped = uniform(songs, sources) < self.swap_channels
        sign = 1.0 - 2.0 * (uniform(songs, sources) < self.flip_polarity).to(torch.float32)
        lowest, highest = self.gain_db
        gain = 10.0 ** ((lowest + (highest - lowest) * uniform(songs, sources)) / 20.0)

        stems = self._stretched(stems, stems.shape[-1] if length is None else length, uniform)
        dealt = stems[there(origin.T), torch.arange(sources, device=stems.device)]
        dealt = torch.where(there(swapped)[..., None, None], dealt.flip(2), dealt)
        return dealt * there(sign * gain)[..., None, None]

    def _stretched(self, stems: Tensor, length: int, uniform: Callable[[int], Tensor]) -> Tensor:
        """The songs with the pitch and the tempo that they draw, `length` samples long."""
        songs = len(stems)

        def sometimes(probability: float, bounds: tuple[float, float], otherwise: float) -> list[float]:
            if not probability:  # and draw nothing: a generator goes on as it did before there was this option
                return [otherwise] * songs
            lowest, highest = bounds
            taken = uniform(songs) < probability
            return torch.where(taken, lowest + (highest - lowest) * uniform(songs), otherwise).tolist()

        semitones = sometimes(self.pitch, self.pitch_semitones, 0.0)
        tempo = sometimes(self.tempo, self.tempo_factor, 1.0)
        changed = [song for song in range(songs) if (semitones[song], tempo[song]) != (0.0, 1.0)]
        stretched = stems[..., :length].clone() if changed else stems[..., :length]
        for song in changed:
            pitch = 2.0 ** (semitones[song] / 12.0)
            stretched[song] = stretch(stems[song], length, pitch, tempo[song], self.stretch_window)
        return stretched
