"""Where estimates come from: a trained separator, a folder of sound files, or an oracle that knows the true stems."""

import hashlib
import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unetsep import metrics
from unetsep.audio.files import AudioInfo, InputError, audio_info
from unetsep.data import Track, find_tracks
from unetsep.data.musdb18 import StemFile
from unetsep.deploy.separator import Separator
from unetsep.deploy.weights import find_checkpoint

Progress = Callable[[float, float], None]


class Estimates(ABC):
    """Somebody's estimates of the stems of whole tracks.

    Attributes:
        name: For people.
        sources: The stems, in the order in which they are estimated.
        description: All that the estimates of one and the same track depend on, in plain values.
    """

    name: str
    sources: tuple[str, ...]
    description: dict[str, Any]

    def prepare(self, tracks: Sequence[Track]) -> list[str]:
        """Refuses what can be refused before anything is computed.

        Returns:
            Lines that the user should read.

        Raises:
            InputError: If there are no estimates for these tracks.
        """
        return []

    def files(self, track: Track) -> list[Path]:
        """The files that a track's estimates are read from."""
        return []

    @abstractmethod
    def separate(self, track: Track, references: Tensor, rate: int, on_progress: Progress) -> tuple[Tensor, float]:
        """The estimates of one track.

        Args:
            track: Which one.
            references: Its stems `(source, channel, sample)`; their sum is the mixture.
            rate: Their sample rate in hertz.
            on_progress: Told how much is done, and of how much.

        Returns:
            Estimates of the same shape, and the seconds it took: NaN for what is no separator.

        Raises:
            InputError: If there are none, or they do not fit the references.
        """


class Model(Estimates):
    """What a trained separator makes of the mixtures.

    Args:
        path: A checkpoint, or a run's or a sweep's folder.
        sources: Those asked for; None for the separator's own.
        device: Where it computes.
        settings: `segment_seconds` and `overlap`, as `Separator.separate` takes them.

    Raises:
        InputError: If there is no such model, or it knows other stems.
    """

    def __init__(self, path: Path, sources: Sequence[str] | None, device: str, **settings: float | None) -> None:
        checkpoint = find_checkpoint(path)
        self._separator = Separator.load(checkpoint, device=device, precision="float32")
        self._settings = settings
        self.name, self.sources = str(path), tuple(self._separator.sources)
        if sources and sorted(sources) != sorted(self.sources):
            raise InputError(
                f"--sources asks for {', '.join(sources)}, but {path} separates {', '.join(self.sources)}:"
                " leave --sources out"
            )
        digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
        self.description = {"model": checkpoint.name, "sha256": digest, **settings}

    def separate(self, track: Track, references: Tensor, rate: int, on_progress: Progress) -> tuple[Tensor, float]:
        started = time.perf_counter()
        mixture = references.sum(0)
        # the model's own stems: none is given what another lacks
        settings: dict[str, Any] = {**self._settings, "consistent": False, "on_progress": on_progress}
        stems = self._separator.separate(mixture, rate, **settings)
        return torch.stack([stems[name] for name in self.sources]), time.perf_counter() - started


class Folder(Estimates):
    """Anybody's estimates on disk: `<folder>/<split>/<track>/<source>.wav` as museval has them, or without the split.

    An estimate that is a little longer or shorter than its track is cut or padded with zeros, as museval does.

    Args:
        folder: Of the estimates.
        split: Of the tracks.
        sources: The stems.

    Raises:
        InputError: If there is no such folder.
    """

    def __init__(self, folder: Path, split: str, sources: Sequence[str]) -> None:
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}: give the one that holds the estimates, a folder per track")
        self.name, self.sources = str(folder), tuple(sources)
        self.description = {"folder": folder.resolve().name}
        self._root = folder / split if (folder / split).is_dir() else folder

    def prepare(self, tracks: Sequence[Track]) -> list[str]:
        wanted = {track.name for track in tracks}
        found = {path.name for path in self._root.iterdir() if path.is_dir() and not path.name.startswith(".")}
        if missing := sorted(wanted - found):
            raise InputError(f"{self._root} has no estimates of the track {missing[0]!r}: add a folder of that name")
        if additional := sorted(found - wanted):
            raise InputError(
                f"{self._root} has a folder {additional[0]!r}, but the data has no such track: is --split right?"
                " Else take it out"
            )
        unequal = []
        for track in tracks:
            files = self.files(track)
            if isinstance(track, StemFile):
                continue  # has no header that is read without decoding: its estimates are checked when they are used
            stems = [audio_info(file) for file in track.files()]
            whole = stems[0]._replace(channels=max(stem.channels for stem in stems))
            lacking = [_lacking(file, audio_info(file), whole) for file in files]
            unequal += [(abs(samples), track.name) for samples in lacking if samples]
        if not unequal:
            return []
        count = len({name for _, name in unequal})
        samples, name = max(unequal)
        return [
            f"estimates of {count} track{'s' * (count > 1)} are a little longer or shorter than the references (up to"
            f" {samples} samples, in {name}): cut or padded with zeros, as museval does"
        ]

    def files(self, track: Track) -> list[Path]:
        return self._estimate(track).files()

    def separate(self, track: Track, references: Tensor, rate: int, on_progress: Progress) -> tuple[Tensor, float]:
        whole = AudioInfo(references.shape[2], rate, references.shape[1])
        estimate, stems = self._estimate(track), []
        for source in self.sources:
            waveform, own_rate = estimate.stem(source)
            own = AudioInfo(waveform.shape[1], own_rate, waveform.shape[0])
            lacking = _lacking(estimate.file(source), own, whole)
            stems.append(torch.nn.functional.pad(torch.from_numpy(waveform), (0, lacking)))
        return torch.stack(stems), math.nan

    def _estimate(self, track: Track) -> Track:
        return Track(track.name, self._root.name, self._root / track.name, self.sources)


def _lacking(file: Path, estimate: AudioInfo, track: AudioInfo) -> int:
    """How many samples an estimate is shorter than its track; negative if it is longer."""
    for what, unit in (("rate", "Hz"), ("channels", "channels")):
        own, wanted = getattr(estimate, what), getattr(track, what)
        if own != wanted:
            raise InputError(f"{file} has {own} {unit}, its track has {wanted}: export the estimates as the data is")
    lacking = track.samples - estimate.samples
    if abs(lacking) > min(track.rate, track.samples / 100):
        raise InputError(
            f"{file} has {estimate.samples} samples, its track has {track.samples}: more than 1 s or 1 % apart, it is"
            " another recording or a part of it"
        )
    return lacking


class Oracle(Estimates):
    """What knows the true stems, and the floors: bounds on what separators of the usual kinds can reach.

    Args:
        kind: mixture, fixed_mask, irm, ibm or mwf.
        sources: The stems.
        root: The data set's folder, whose training tracks the fixed masks are learned from.

    Raises:
        InputError: If there are no training tracks to learn masks from.
    """

    def __init__(self, kind: str, sources: Sequence[str], root: Path) -> None:
        self.name, self.sources = f"oracle {kind}", tuple(sources)
        self.description = {"oracle": kind}
        self._kind, self._masks = kind, dict[int, Tensor]()
        if kind == "fixed_mask":
            self._training = find_tracks(root, "train", sources)
            known = json.dumps([[track.name, stamp(track.files())] for track in self._training])
            self.description["learned_from"] = hashlib.sha256(known.encode()).hexdigest()

    def separate(self, track: Track, references: Tensor, rate: int, on_progress: Progress) -> tuple[Tensor, float]:
        # 46 ms, 2048 samples at 44.1 kHz as in SiSEC 2018's oracles, at any rate; the hop of a quarter rather than
        # their half lets neighbouring frames' masks blend, and is what trained separators use.
        n_fft = 2 ** max(4, round(math.log2(0.0464 * rate)))
        hop = n_fft // 4
        if self._kind == "mixture":
            return metrics.mixture_as_estimate(references), math.nan
        if self._kind == "fixed_mask":
            if rate not in self._masks:
                self._masks[rate] = metrics.fixed_masks(self._learning(rate, on_progress), n_fft, hop)
            return metrics.apply_masks(self._masks[rate], references.sum(0), n_fft, hop), math.nan
        oracles = {
            "irm": metrics.ideal_ratio_mask,
            "ibm": metrics.ideal_binary_mask,
            "mwf": metrics.multichannel_wiener,
        }
        return oracles[self._kind](references, n_fft, hop), math.nan

    def _learning(self, rate: int, on_progress: Progress) -> Any:
        for number, track in enumerate(self._training):
            on_progress(number, len(self._training))
            yield track.read(rate)


def stamp(files: Sequence[Path]) -> list[list[Any]]:
    """What changes when one of the files does: name, size and time of the last change."""
    return [[file.name, stat.st_size, stat.st_mtime_ns] for file in files for stat in [file.stat()]]
