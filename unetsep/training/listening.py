"""What a run sounds and looks like: the same seconds of the same tracks, as sound files and pictures."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor

from unetsep.audio.files import InputError, write_audio
from unetsep.audio.stft import stft
from unetsep.data import Batch
from unetsep.metrics import dominant_source
from unetsep.training.records import WandbRun
from unetsep.training.scores import measuring_stft


class Excerpt(NamedTuple):
    """Some seconds of a track: references and estimates `(source, channel, sample)`."""

    references: Float[Tensor, "source channel sample"]
    estimates: Float[Tensor, "source channel sample"]


def telling_start(references: Float[Tensor, "source channel sample"], sample_rate: int, seconds: float) -> int:
    """Where to listen: the start, in samples, of the stretch in which the faintest stem is loudest.

    Stretches start at whole seconds. A stem counts in decibels below its own loudest stretch, so a stretch in which all
    play is preferred; stems that are silent throughout do not count, and the first of equals is taken.
    """
    length = round(seconds * sample_rate)
    energy = references.double().square().sum(1)
    starts = range(0, max(1, references.shape[-1] - length + 1), sample_rate)
    by_start = torch.stack([energy[:, start : start + length].sum(-1) for start in starts])
    loudest = by_start.amax(0)
    if not bool((loudest > 0).any()):
        return 0
    share = by_start[:, loudest > 0] / loudest[loudest > 0]
    return starts[int(share.amin(1).argmax())]


class Listening(Callback):
    """Keeps what the best weights so far make of a few validation tracks, as sounds and pictures.

    They lie in the run's folder as `audio/<track>_{mixture,<stem>_reference,<stem>_estimate}.flac` and
    `pictures/<track>_{spectrograms,segmentation}.png`, and go to Weights & Biases under the same names.

    Args:
        out: the run's folder.
        tracks: how many validation tracks, the first ones; 0 for none.
        seconds: length of the stretch, which is chosen once by the references: the faintest stem at its loudest.
        every: validations between writing; what a better one in between made is written later. 0 writes at the end.
        monitor: the score that says what is better.
    """

    def __init__(self, out: Path, tracks: int = 2, seconds: float = 6.0, every: int = 1, monitor: str = "val/usdr"):
        super().__init__()
        if tracks < 0 or seconds <= 0 or every < 0:
            raise InputError(
                f"listening has tracks {tracks}, seconds {seconds}, every {every}: "
                "use tracks and every from 0 on, and seconds above 0"
            )
        self.out = Path(out)
        self.tracks = tracks
        self.seconds = seconds
        self.every = every
        self.monitor = monitor
        self.best = -math.inf
        self._validations = 0
        self._heard: dict[str, Excerpt] = {}
        self._pending: dict[str, Excerpt] = {}
        self._references_logged: set[str] = set()

    def state_dict(self) -> dict[str, Any]:
        """The best score so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the best score up again."""
        self.best = state_dict["best"]

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Cuts the stretch out of the stems that validation has just separated."""
        if batch_idx < self.tracks and isinstance(outputs, Tensor) and trainer.is_global_zero:
            references = batch.stems[0].float().cpu()
            separator: Any = pl_module.separator
            sample_rate: int = separator.sample_rate
            start = telling_start(references, sample_rate, self.seconds)
            stretch = slice(start, start + round(self.seconds * sample_rate))
            # clones: a slice would keep the whole song in memory
            self._heard[batch.tracks[0]] = Excerpt(
                references[..., stretch].clone(), outputs[..., stretch].float().cpu().clone()
            )

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keeps the stretches if the score is the best so far, and writes them when it is time."""
        heard, self._heard = self._heard, {}
        if trainer.sanity_checking or not heard:
            return
        score = float(trainer.callback_metrics.get(self.monitor, -math.inf))
        if score > self.best or self.best == -math.inf:  # where nothing can be scored, the last is the best known
            self.best = max(self.best, score)  # in this order NaN is not taken
            self._pending = heard
        self._validations += 1
        if self.every and self._validations % self.every == 0:
            self._write(trainer, pl_module)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes what is still to be written."""
        self._write(trainer, pl_module)

    def _write(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pending, self._pending = self._pending, {}
        separator: Any = pl_module.separator
        for track, excerpt in pending.items():
            sounds = self._write_sounds(track, excerpt, separator.sources, separator.sample_rate)
            pictures = self._write_pictures(track, excerpt, separator.sources, separator.sample_rate)
            for run in trainer.loggers:
                if isinstance(run, WandbRun):
                    key = track.replace(".", "_")  # a dot would nest the key
                    run.log_files(
                        step=trainer.global_step,
                        sounds={f"audio/{key}/{name}": path for name, path in sounds.items()},
                        pictures={f"pictures/{key}/{name}": path for name, path in pictures.items()},
                    )
            self._references_logged.add(track)

    def _write_sounds(
        self, track: str, excerpt: Excerpt, sources: tuple[str, ...], sample_rate: int
    ) -> dict[str, Path]:
        sounds = {f"{source}_estimate": estimate for source, estimate in zip(sources, excerpt.estimates, strict=True)}
        if track not in self._references_logged:
            sounds["mixture"] = excerpt.references.sum(0)
            sounds |= {f"{source}_reference": stem for source, stem in zip(sources, excerpt.references, strict=True)}
        paths = {name: self.out / "audio" / f"{file_name(track)}_{name}.flac" for name in sounds}
        for name, path in paths.items():
            write_audio(path, sounds[name], sample_rate)
        return paths

    def _write_pictures(
        self, track: str, excerpt: Excerpt, sources: tuple[str, ...], sample_rate: int
    ) -> dict[str, Path]:
        from unetsep.audio.pictures import draw_segmentation, draw_spectrograms  # matplotlib takes its time to load

        n_fft, hop = measuring_stft(sample_rate)
        mixture = stft(excerpt.references.sum(0), n_fft, hop).abs().square().sum(0)
        true, predicted = (stft(waveform, n_fft, hop).abs() for waveform in excerpt)
        spectra = {"mixture": mixture.sqrt()}
        spectra["sum of estimates"] = stft(excerpt.estimates.sum(0), n_fft, hop).abs().square().sum(0).sqrt()
        for index, source in enumerate(sources):
            spectra[f"{source} reference"] = true[index].square().sum(0).sqrt()
            spectra[f"{source} estimate"] = predicted[index].square().sum(0).sqrt()
        names = ("spectrograms", "segmentation")
        paths = {name: self.out / "pictures" / f"{file_name(track)}_{name}.png" for name in names}
        draw_spectrograms(spectra, sample_rate, hop, paths["spectrograms"], columns=2)
        maps = {"true": dominant_source(true), "predicted": dominant_source(predicted)}
        draw_segmentation(maps, mixture, list(sources), sample_rate, hop, paths["segmentation"])
        return paths


class StemsWriter(BasePredictionWriter):
    """Writes what `unetsep predict` separates as `<out>/stems/<track>/<stem>.wav`.

    Args:
        out: the run's folder.
    """

    def __init__(self, out: Path):
        super().__init__(write_interval="batch")
        self.folder = Path(out) / "stems"

    def write_on_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        prediction: Any,
        batch_indices: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Writes the stems of one track."""
        separator: Any = pl_module.separator
        for source, stem in zip(separator.sources, prediction, strict=True):
            path = self.folder / file_name(batch.tracks[0]) / f"{source}.wav"
            write_audio(path, stem.float(), separator.sample_rate)


def file_name(track: str) -> str:
    """The track's name without what a file system or a shell would stumble over."""
    return "".join(letter if letter.isalnum() or letter in " -_.()&'," else "_" for letter in track)
