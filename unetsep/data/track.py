"""A track: a song as a set of stems."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unetsep.audio.files import InputError, read_audio
from unetsep.audio.resample import resample

SOURCES = ("vocals", "drums", "bass", "other")
STEM_FORMATS = (".wav", ".flac", ".ogg", ".mp3")

Waveform = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Track:
    """A song in a folder of its own, with one sound file per stem: `<path>/<source>.<wav|flac|ogg|mp3>`.

    Args:
        name: the song's name.
        split: where it was found: train, valid or test.
        path: its folder.
        sources: the names of its stems, in the order in which they are read.
    """

    name: str
    split: str
    path: Path
    sources: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.split}/{self.name}"

    def file(self, stem: str) -> Path:
        """The sound file of a source, or of `mixture`.

        Raises:
            InputError: if there is none; the line names what was looked for.
        """
        found = {path.suffix.lower(): path for path in self.path.iterdir() if path.stem == stem and path.is_file()}
        for suffix in STEM_FORMATS:
            if suffix in found:
                return found[suffix]
        names = sorted(path.name for path in self.path.iterdir())
        raise InputError(
            f"{self}: the stem {stem} is missing: {self.path} needs one of"
            f" {', '.join(stem + suffix for suffix in STEM_FORMATS)}; it holds {', '.join(names) or 'nothing'}"
        )

    def files(self) -> list[Path]:
        """The files that the stems are read from; whoever keeps a copy watches them for changes.

        Raises:
            InputError: if a stem is missing.
        """
        return [self.file(source) for source in self.sources]

    def has_mixture(self) -> bool:
        """Whether the song comes with a mixture of its own, which need not be the sum of the stems."""
        return any((self.path / f"mixture{suffix}").is_file() for suffix in STEM_FORMATS)

    def stem(self, stem: str) -> tuple[Waveform, int]:
        """One stem (or `mixture`) as it is stored.

        Returns:
            The waveform (channel, sample) in float32, full scale at 1.0, and its sample rate in hertz.

        Raises:
            InputError: if the stem is missing, unreadable, truncated, or holds NaN or infinite samples.
        """
        return read_audio(self.file(stem))

    def read(self, sample_rate: int | None = None, channels: int | None = None) -> Tensor:
        """All stems at one sample rate and number of channels; their sum is the mixture.

        Args:
            sample_rate: in hertz; other rates are resampled. None keeps the rate of the files.
            channels: 1 or 2: mono is doubled, stereo is averaged. None keeps the largest number among the stems.

        Returns:
            float32 (source, channel, sample).

        Raises:
            InputError: if a stem cannot be read, the stems differ in length or sample rate, or a number of channels
                cannot be converted.
        """
        stems = {source: self.stem(source) for source in self.sources}
        first = self.sources[0]
        for source, (waveform, rate) in stems.items():
            self.check_alike(source, waveform.shape[1], rate, first, stems[first][0].shape[1], stems[first][1])
        wanted = channels or max(waveform.shape[0] for waveform, _ in stems.values())
        return torch.stack(
            [
                resample(self._with_channels(source, waveform, wanted), rate, sample_rate or rate)
                for source, (waveform, rate) in stems.items()
            ]
        )

    def check_alike(self, stem: str, samples: int, rate: int, other: str, other_samples: int, other_rate: int) -> None:
        """Refuses a stem that does not run beside another one, sample by sample.

        Args:
            stem: its name.
            samples: its length, per channel.
            rate: its sample rate in hertz.
            other: the other's name,
            other_samples: length,
            other_rate: and sample rate.

        Raises:
            InputError: if the sample rates or the lengths differ.
        """
        if rate != other_rate:
            raise InputError(
                f"{self}: {stem} has {rate} Hz, but {other} has {other_rate} Hz: export all stems at one sample rate"
            )
        if samples != other_samples:
            raise InputError(
                f"{self}: {stem} has {samples} samples, but {other} has {other_samples}:"
                " export all stems with one length"
            )

    def _with_channels(self, source: str, waveform: Waveform, channels: int) -> Tensor:
        given = torch.from_numpy(waveform)
        if len(given) == channels:
            return given
        if channels == 1:
            return given.mean(dim=0, keepdim=True)
        if len(given) == 1:
            return given.expand(channels, -1)
        raise InputError(
            f"{self}: {source} has {len(given)} channels, and {channels} are asked for: only mono can be doubled, and"
            " only down to one channel averaged; export the stem with that number of channels, or ask for 1"
        )
