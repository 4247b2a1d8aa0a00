"""What a run sounds and looks like: the same seconds of the same tracks, as sound files and pictures."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor

from unetsep.audio.files import InputError, read_audio, write_audio
from unetsep.audio.stft import stft
from unetsep.data import Batch
from unetsep.metrics import dominant_source
from unetsep.metrics.scores import measuring_stft
from unetsep.training.records import WandbRun

_PICTURES = ("spectrograms", "segmentation")


def telling_start(references: Float[Tensor, "source channel sample"], sample_rate: int, seconds: float) -> int:
    """Where to listen: the start, in samples, of the stretch in which the faintest stem is loudest.

    Stretches start at whole seconds. A stem counts in decibels below its own loudest stretch, so a stretch in which all
    play is preferred; stems that are silent throughout do not count, and the first of equals is taken.

    Args:
        references: the true stems.
        sample_rate: in hertz.
        seconds: length of the stretch.
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
    `pictures/<track>_{spectrograms,segmentation}.png`, and go to Weights & Biases under the same names. The sounds are
    written with every better score, the pictures are drawn from them when it is time.

    Args:
        out: the run's folder.
        tracks: how many validation tracks, the first ones; 0 for none.
        seconds: length of the stretch, which is chosen once by the references: the faintest stem at its loudest.
        every: validations between drawing and logging, where there is something new; 0 does it once, at the end.
        monitor: the score that says what is better.

    Raises:
        InputError: if a number is out of range.
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
        self._heard: dict[str, dict[str, Tensor]] = {}
        self._known: list[str] = []
        self._references_logged: set[str] = set()

    def state_dict(self) -> dict[str, Any]:
        """The best score so far, and the tracks whose sounds lie in the folder."""
        return {"best": self.best, "tracks": self._known}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes them up again: what a killed process had not drawn is drawn even if no epoch is left."""
        self.best = state_dict["best"]
        self._known = list(state_dict.get("tracks", ()))

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
        if batch_idx >= self.tracks or not isinstance(outputs, Tensor) or not trainer.is_global_zero:
            return
        separator: Any = pl_module.separator
        references = batch.stems[0].float().cpu()
        start = telling_start(references, separator.sample_rate, self.seconds)
        stretch = slice(start, start + round(self.seconds * separator.sample_rate))
        sounds = {"mixture": references[..., stretch].sum(0)}
        for index, source in enumerate(separator.sources):
            # clones: a slice would keep the whole song in memory
            sounds[f"{source}_reference"] = references[index, :, stretch].clone()
            sounds[f"{source}_estimate"] = outputs[index, :, stretch].float().cpu().clone()
        self._heard[batch.tracks[0]] = sounds

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the sounds if the score is the best so far, and shows them when it is time."""
        heard, self._heard = self._heard, {}
        if trainer.sanity_checking or not heard:
            return
        self._known = list(heard)
        score = float(trainer.callback_metrics.get(self.monitor, -math.inf))
        if score > self.best or self.best == -math.inf:  # where nothing can be scored, the last is the best known
            self.best = max(self.best, score)  # in this order NaN is not taken
            separator: Any = pl_module.separator
            for track, sounds in heard.items():
                for name, sound in sounds.items():
                    write_audio(self._sound(track, name), sound, separator.sample_rate)
        self._validations += 1
        if self.every and self._validations % self.every == 0:
            self._show(trainer, pl_module)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows what has not been shown yet, perhaps since before a stop."""
        self._show(trainer, pl_module)

    def _sound(self, track: str, name: str) -> Path:
        return self.out / "audio" / f"{file_name(track)}_{name}.flac"

    def _picture(self, track: str, name: str) -> Path:
        return self.out / "pictures" / f"{file_name(track)}_{name}.png"

    def _show(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws and logs the tracks whose sounds are newer than their pictures."""
        separator: Any = pl_module.separator
        for track in self._known:
            last, picture = self._sound(track, f"{separator.sources[-1]}_estimate"), self._picture(track, _PICTURES[-1])
            if picture.exists() and picture.stat().st_mtime_ns > last.stat().st_mtime_ns:
                continue
            self._draw(track, separator.sources)
            names = [f"{source}_estimate" for source in separator.sources]
            if track not in self._references_logged:
                names += ["mixture", *(f"{source}_reference" for source in separator.sources)]
                self._references_logged.add(track)
            key = track.replace(".", "_")  # a dot would nest the key
            for run in trainer.loggers:
                if isinstance(run, WandbRun):
                    run.log_files(
                        step=trainer.global_step,
                        sounds={f"audio/{key}/{name}": self._sound(track, name) for name in names},
                        pictures={f"pictures/{key}/{name}": self._picture(track, name) for name in _PICTURES},
                    )

    def _draw(self, track: str, sources: Sequence[str]) -> None:
        from unetsep.audio.pictures import draw_segmentation, draw_spectrograms  # matplotlib takes its time to load

        names = ["mixture", *(f"{source}_{kind}" for source in sources for kind in ("reference", "estimate"))]
        read = {name: read_audio(self._sound(track, name)) for name in names}
        sample_rate = read["mixture"][1]
        n_fft, hop = measuring_stft(sample_rate)
        sounds = {name: torch.from_numpy(sound) for name, (sound, _) in read.items()}
        sounds["sum of estimates"] = torch.stack([sounds[f"{source}_estimate"] for source in sources]).sum(0)
        bins = {name: stft(sound, n_fft, hop).abs() for name, sound in sounds.items()}
        order = ["mixture", "sum of estimates", *names[1:]]
        spectra = {name.replace("_", " "): bins[name].square().sum(0).sqrt() for name in order}
        draw_spectrograms(spectra, sample_rate, hop, self._picture(track, "spectrograms"), columns=2)
        maps = {
            title: dominant_source(torch.stack([bins[f"{source}_{kind}"] for source in sources]))
            for title, kind in {"true": "reference", "predicted": "estimate"}.items()
        }
        energy = bins["mixture"].square().sum(0)
        draw_segmentation(maps, energy, list(sources), sample_rate, hop, self._picture(track, "segmentation"))


class StemsWriter(BasePredictionWriter):
    """Writes what `unetsep predict` separates as `<out>/stems/<track>/<stem>.wav`, in 32-bit float: nothing is clipped.

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
            write_audio(path, stem.float(), separator.sample_rate, floating=True)


def file_name(track: str) -> str:
    """The track's name without what a file system or a shell would stumble over."""
    return "".join(letter if letter.isalnum() or letter in " -_.()&'," else "_" for letter in track)
