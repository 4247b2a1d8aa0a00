"""What the page plays and shows of each excerpt: sounds, spectrograms, segmentation maps, and the SDR over time."""

import hashlib
import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch
from PIL import Image
from rich.progress import track as progress
from torch import Tensor

from unetsep.audio.files import InputError, audio_info, read_audio, replacing
from unetsep.audio.pixels import Pixels, frequency_marks, segmentation_pixels, source_colours, spectrogram_pixels
from unetsep.audio.stft import stft
from unetsep.metrics import dominant_source, usdr
from unetsep.metrics.scores import measuring_stft
from unetsep.report.excerpts import Excerpt, excerpts
from unetsep.report.run import Run, Trial

WINDOW, HOP = 1.0, 0.25
"""Seconds of a frame of the SDR over time, which is csdr's, and from frame to frame."""

QUALITY = 55
"""Of WebP: ten kilobytes for a picture of six seconds, in which nothing is missing that one would look for."""

NUMBERS = "scores.json"
"""Written last beside the pictures, with what tells the sounds they were drawn from: of these none is drawn again."""


def listening(run: Run, trials: Sequence[Trial], page: Path, *, copy: bool) -> dict[str, Any] | None:
    """Everything that can be heard of the trials as plain data, tracks that most have first; None where nothing can.

    Pictures are drawn into `media/` beside the page, and again only where a sound is another one. A track's mixture and
    references are those of the first trial that has them. What cannot be read, as of a training that was killed while
    it wrote, is left out.

    Args:
        run: The sweep, for the names of its stems.
        trials: Those to be heard.
        page: The folder of the page; all addresses are relative to it.
        copy: Copy the sounds into `media/` as well, for a report that is taken elsewhere.
    """
    heard = {
        (trial.key, each.track): each
        for trial in trials
        for each in excerpts(trial.folder, run.stems)
        if any(stem.estimate for stem in each.stems.values())
    }
    stems = list(dict.fromkeys([*run.stems, *(stem for each in heard.values() for stem in each.stems)]))
    drawn: dict[tuple[str, str], dict[str, Any]] = {}
    for (key, name), excerpt in _shown(heard.items()):
        with suppress(InputError):
            drawn[key, name] = _trial(excerpt, stems, page, page / "media" / name / key, copy=copy)
    tracks = []
    shared = Counter(name for _, name in drawn)
    for name in sorted(shared, key=lambda name: (-shared[name], name)):
        of_track = {key: heard[key, track] for key, track in drawn if track == name}
        told = {key: drawn[key, name] for key in of_track}
        tracks.append(_track(name, of_track, stems, page, copy=copy) | {"trials": told})
    colours = source_colours(stems)
    return (
        {"stems": [{"name": stem, "colour": colours[stem]} for stem in stems], "excerpts": tracks} if tracks else None
    )


def _shown(excerpts_of: Iterable[Any]) -> Iterable[Any]:
    """With a progress bar, where there are so many that one has to wait."""
    known = list(excerpts_of)
    return progress(known, "sounds and pictures", transient=True) if len(known) > 20 else known


def _track(name: str, heard: dict[str, Excerpt], stems: Sequence[str], page: Path, *, copy: bool) -> dict[str, Any]:
    """What a track's trials have in common: the mixture, the references, and the true segmentation."""
    folder = page / "media" / name
    best = max(heard.values(), key=lambda each: (each.mixture is not None, _references(each)))
    sounds = {f"reference {stem}": each.reference for stem, each in best.stems.items() if each.reference}
    sounds |= {"mixture": best.mixture} if best.mixture else {}
    first = next(iter(sounds.values()), None) or next(each.estimate for each in best.stems.values() if each.estimate)
    info = audio_info(first)
    if _kept(folder, sounds) is None:
        waves = {key: _wave(file) for key, file in sounds.items()}
        _draw(folder, waves, info.rate, stems, "reference ", waves.get("mixture"))
        _keep(folder, sounds, {})
    files = {
        key: {
            "sound": _sound(file, folder / key, page, copy=copy),
            "spectrogram": _address(folder / f"{key}.webp", page),
        }
        for key, file in sounds.items()
    }
    owned = folder / "segmentation.webp"
    return {
        "track": name,
        "seconds": info.samples / info.rate,
        "marks": frequency_marks(info.rate),
        "mixture": files.get("mixture"),
        "references": {stem: files[f"reference {stem}"] for stem in stems if f"reference {stem}" in files},
        "segmentation": _address(owned, page) if owned.is_file() else "",
    }


def _trial(excerpt: Excerpt, stems: Sequence[str], page: Path, folder: Path, *, copy: bool) -> dict[str, Any]:
    """How one trial heard a track.

    Raises:
        InputError: If one of its sounds cannot be read.
    """
    files = {stem: each.estimate for stem, each in excerpt.stems.items() if each.estimate}
    references = {stem: each.reference for stem, each in excerpt.stems.items() if each.reference}
    own = {**files, **{f"reference {stem}": file for stem, file in references.items()}, "mixture": excerpt.mixture}
    sources = {name: file for name, file in own.items() if file}
    if (scores := _kept(folder, sources)) is None:
        waves = {name: wave for name, file in sources.items() if (wave := _readable(file)) is not None}
        heard = {stem: waves[stem] for stem in files if stem in waves}
        if not heard:
            raise InputError(f"no sound of {folder.name} can be read")
        sample_rate = audio_info(sources[next(iter(heard))]).rate
        _draw(folder, heard, sample_rate, stems, "", waves.get("mixture"))
        true = {stem: waves.get(f"reference {stem}") for stem in heard}
        scores = {
            stem: {"usdr": None, "sdr": []} if reference is None else _scores(reference, heard[stem], sample_rate)
            for stem, reference in true.items()
        }
        _keep(folder, sources, scores)
    owned = folder / "segmentation.webp"
    return {
        "segmentation": _address(owned, page) if owned.is_file() else "",
        "stems": {
            stem: {
                "sound": _sound(file, folder / stem, page, copy=copy),
                "spectrogram": _address(folder / f"{stem}.webp", page),
                **scores[stem],
            }
            for stem, file in files.items()
            if stem in scores  # the others cannot be read
        },
    }


def _draw(
    folder: Path, waves: dict[str, Tensor], sample_rate: int, stems: Sequence[str], prefix: str, mixture: Tensor | None
) -> None:
    """Draws every sound's spectrogram on the mixture's scale, and who owns which bin where all stems are there."""
    n_fft, hop = measuring_stft(sample_rate)
    spectra = {key: stft(wave, n_fft, hop).abs() for key, wave in waves.items()}
    whole = stft(mixture, n_fft, hop).abs() if mixture is not None else None
    levels = {key: spectrum.square().sum(0).sqrt() for key, spectrum in spectra.items()}
    scale = list(levels.values()) if whole is None else [whole.square().sum(0).sqrt()]
    loudest = max(float(level.max()) for level in scale)
    for key, level in levels.items():
        _write(folder / f"{key}.webp", spectrogram_pixels(level, sample_rate, hop, loudest))
    ordered = [spectra.get(prefix + stem) for stem in stems]
    if whole is not None and len(ordered) > 1 and all(each is not None for each in ordered):
        frames = min(each.shape[-1] for each in [whole, *ordered])  # type: ignore[union-attr]
        owner = dominant_source(torch.stack([each[..., :frames] for each in ordered if each is not None]))
        energy = whole[..., :frames].square().sum(0)
        _write(folder / "segmentation.webp", segmentation_pixels(owner, energy, stems, sample_rate, hop))


def _scores(reference: Tensor, estimate: Tensor, sample_rate: int) -> dict[str, Any]:
    """A stem's SDR over all of the excerpt, and over time: pairs of the middle of a frame in seconds and its decibels.

    A stem's silences are its own: unlike for csdr, they drop no frame of the others.
    """
    length = min(reference.shape[-1], estimate.shape[-1])
    reference, estimate = reference[:, :length], estimate[:, :length]
    window, hop = min(round(WINDOW * sample_rate), length), round(HOP * sample_rate)
    signal, error, heard = (
        wave.double().square().sum(0).unfold(0, window, hop).sum(1)
        for wave in (reference, reference - estimate, estimate)
    )
    frames = (10 * torch.log10(signal / error)).masked_fill(heard == 0, torch.nan).tolist()
    middles = [round((number * hop + window / 2) / sample_rate, 3) for number in range(len(frames))]
    return {
        "usdr": _decibels(usdr(reference[None], estimate[None]).item()),
        "sdr": [[middle, _decibels(dB)] for middle, dB in zip(middles, frames, strict=True)],
    }


def _decibels(value: float) -> float | None:
    """Rounded; None where there is none, as in silence."""
    return round(value, 2) if math.isfinite(value) else None


def _wave(file: Path) -> Tensor:
    return torch.from_numpy(read_audio(file)[0])


def _references(excerpt: Excerpt) -> int:
    return sum(each.reference is not None for each in excerpt.stems.values())


def _readable(file: Path) -> Tensor | None:
    """None for what is half-written, as by a training that was killed."""
    try:
        return _wave(file)
    except InputError:
        return None


def _kept(folder: Path, sources: Mapping[str, Path]) -> dict[str, Any] | None:
    """What was computed of these very sounds, whose pictures lie in the folder; None where that is to be done."""
    try:
        kept = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
        scores = kept["scores"]
        return scores if kept["of"] == _signature(sources) and isinstance(scores, dict) else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _keep(folder: Path, sources: Mapping[str, Path], scores: dict[str, Any]) -> None:
    with replacing(folder / NUMBERS) as unfinished:
        unfinished.write_text(json.dumps({"of": _signature(sources), "scores": scores}), encoding="utf-8")


def _signature(sources: Mapping[str, Path]) -> str:
    """Tells these files, as they are now, from all others; a digest, as a folder to be sent should hold no paths."""
    files = {name: (str(file.resolve()), *_identity(file)) for name, file in sorted(sources.items())}
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


def _identity(file: Path) -> tuple[int, int]:
    """Size and time of a file, which its copy keeps."""
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def _sound(file: Path, place: Path, page: Path, *, copy: bool) -> str:
    """The address of a sound, which is copied to a place in `media/` first where it is to be taken along."""
    if not copy:
        return _address(file, page)
    target = place.with_name(place.name + file.suffix)
    if not target.is_file() or _identity(target) != _identity(file):
        with replacing(target) as unfinished:
            shutil.copy2(file, unfinished)
    return _address(target, page)


def _address(file: Path, page: Path) -> str:
    return quote(Path(os.path.relpath(file.resolve(), page.resolve())).as_posix())


def _write(path: Path, pixels: Pixels) -> None:
    with replacing(path) as unfinished:
        Image.fromarray(pixels).save(unfinished, "WEBP", quality=QUALITY)
