"""Looking at a data set before training on it: what is in it, what is wrong with it, and what its stems look like."""

import difflib
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unetsep.audio.files import InputError
from unetsep.audio.pictures import draw_segmentation, draw_spectrograms
from unetsep.audio.stft import stft
from unetsep.data.track import SOURCES, Track, Waveform
from unetsep.data.tracks import no_tracks, split_folders, tracks_in
from unetsep.metrics import dominant_source

_SILENCE_DB = -60.0
_WINDOW_SECONDS = 0.093  # of the STFT that is drawn: 4096 samples at 44.1 kHz


@dataclass
class _Findings:
    """What one track, or all tracks of a split, turned out to be."""

    seconds: float = 0.0
    rates: set[int] = field(default_factory=set)
    channels: set[int] = field(default_factory=set)
    silent: dict[str, tuple[float, float]] = field(default_factory=dict)  # silent seconds and all seconds by source
    residuals_db: list[float] = field(default_factory=list)  # of tracks that have a mixture; NaN if a stem is missing

    def add(self, track: "_Findings") -> None:
        self.seconds += track.seconds
        self.rates |= track.rates
        self.channels |= track.channels
        for source, (silent, seconds) in track.silent.items():
            known = self.silent.get(source, (0.0, 0.0))
            self.silent[source] = (known[0] + silent, known[1] + seconds)
        self.residuals_db += track.residuals_db


def check(root: Path, sources: Sequence[str] = SOURCES) -> None:
    """Reads every sample of a data set and prints what it holds; behind `unetsep data check`.

    A stem's silent fraction is the share of its whole seconds whose mean square lies below -60 dB of full scale. The
    residual is the energy of mixture minus sum of stems, in decibels relative to the mixture; of several tracks, the
    largest.

    Args:
        root: the data set's folder.
        sources: names of the stems.

    Raises:
        InputError: if anything is wrong, after one line on stderr for every problem.
    """
    problems: list[str] = []
    print("silent: share of the seconds below -60 dB; residual: mixture minus sum of stems, relative to the mixture\n")
    print(
        _row("split", "track", "seconds", "rate", "ch", {source: f"silent {source}" for source in sources}, "residual")
    )
    totals = []
    for split, folder in split_folders(root).items():
        tracks = tracks_in(folder, split, sources)
        if not tracks:
            problems.append(no_tracks(folder, sources))
        total = _Findings()
        for track in tracks:
            findings = _examine(track, problems)
            print(_described(split, track.name, findings, sources), flush=True)
            total.add(findings)
        totals.append(_described(split, f"= {len(tracks)} track{'s' * (len(tracks) != 1)}", total, sources))
    print("\n" + "\n".join(totals))
    if problems:
        if len(problems) == 1:
            raise InputError(problems[0])
        print("\n".join(f"problem: {problem}" for problem in problems), file=sys.stderr)
        raise InputError(f"{root} has {len(problems)} problems, named above")


def show(
    root: Path, track: str, out: Path, sources: Sequence[str] = SOURCES, start: float = 0.0, seconds: float = 30.0
) -> list[Path]:
    """Draws a track's log spectrograms and its true segmentation map; behind `unetsep data show`.

    Args:
        root: the data set's folder.
        track: the track's name, with its split before it (`train/name`) where two splits have one of that name.
        out: folder for the pictures.
        sources: names of the stems.
        start: of the part that is drawn, in seconds.
        seconds: length of that part; the rest of the track if there is less.

    Returns:
        The PNG files: the mixture's and every stem's spectrogram, and which source owns each time-frequency bin.

    Raises:
        InputError: if there is no such track, it cannot be read, or it ends before `start`.
    """
    song = _named(root, track, sources)
    _, rate = song.stem(song.sources[0])
    stems = song.read()
    length = stems.shape[-1] / rate
    if not 0 <= start < length or seconds <= 0:
        raise InputError(f"cannot draw {seconds} s of {song} from {start} s on: it has {length:.1f} s")
    stems = stems[..., round(start * rate) : max(round(start * rate) + 1, round((start + seconds) * rate))]
    n_fft = max(4, 2 ** round(math.log2(_WINDOW_SECONDS * rate)))
    hop = n_fft // 4
    spectra = stft(stems, n_fft, hop)  # (source, channel, freq, frame)
    mixture = spectra.sum(dim=0).abs().square().sum(dim=0)
    magnitudes = {"mixture": mixture.sqrt()}
    magnitudes |= dict(zip(song.sources, spectra.abs().square().sum(dim=1).sqrt(), strict=True))
    paths = [out / f"{song.name}-spectrograms.png", out / f"{song.name}-segmentation.png"]
    draw_spectrograms(magnitudes, rate, hop, paths[0], start=start)
    owners = {f"{song.name}: which stem owns each bin": dominant_source(spectra.abs())}
    draw_segmentation(owners, mixture, song.sources, rate, hop, paths[1], start=start)
    return paths


def _named(root: Path, name: str, sources: Sequence[str]) -> Track:
    known = [track for split, folder in split_folders(root).items() for track in tracks_in(folder, split, sources)]
    for track in known:
        if name in (track.name, str(track)):
            return track
    names = [track.name for track in known]
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.3) or names[:3]
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "it has no tracks at all"
    raise InputError(f"there is no track {name!r} in {root}: {hint}")


def _examine(track: Track, problems: list[str]) -> _Findings:
    """Reads a track stem by stem, and adds a line to the problems for everything that is wrong with it."""
    findings = _Findings()
    total: Waveform | None = None
    first = ""
    for source in [*track.sources, *(["mixture"] if track.has_mixture() else [])]:
        try:
            waveform, rate = track.stem(source)
            if total is None:
                first, total = source, np.zeros_like(waveform)
                findings.seconds = waveform.shape[1] / rate
                findings.rates = {rate}
            track.check_alike(source, waveform.shape[1], rate, first, total.shape[1], min(findings.rates))
        except InputError as error:
            if str(error) not in problems:  # all stems of a .stem.mp4 fail alike
                problems.append(str(error))
            continue
        findings.channels.add(waveform.shape[0])
        if source != "mixture":
            findings.silent[source] = (_silent_fraction(waveform, rate) * findings.seconds, findings.seconds)
        if waveform.shape[0] > 2:
            problems.append(f"{track}: {source} has {waveform.shape[0]} channels: export it in mono or stereo")
        elif source != "mixture":
            total = total + waveform
        else:
            complete = len(findings.silent) == len(track.sources)
            findings.residuals_db.append(_residual_db(waveform, total) if complete else math.nan)
    return findings


def _silent_fraction(waveform: Waveform, rate: int) -> float:
    seconds = max(1, waveform.shape[1] // rate)  # a track shorter than a second is one second
    parts = np.array_split(waveform[:, : seconds * rate], seconds, axis=1)
    levels = np.array([np.square(part, dtype=np.float64).mean() for part in parts])
    return float(np.mean(levels < 10 ** (_SILENCE_DB / 10)))


def _residual_db(mixture: Waveform, total: Waveform) -> float:
    """Energy of what the stems do not explain, relative to the mixture: -inf if it is exactly their sum."""
    energy = np.square(mixture, dtype=np.float64).sum() * (max(len(mixture), len(total)) / len(mixture))
    rest = np.square(mixture - total, dtype=np.float64).sum()
    if rest == 0:
        return -math.inf
    return 10 * math.log10(rest / energy) if energy else math.inf


def _described(split: str, name: str, findings: _Findings, sources: Sequence[str]) -> str:
    def numbers(values: set[int]) -> str:
        return "/".join(map(str, sorted(values))) or "-"

    shares = dict.fromkeys(sources, "-")
    shares |= {source: f"{100 * silent / seconds:.0f} %" for source, (silent, seconds) in findings.silent.items()}
    worst = max((known for known in findings.residuals_db if not math.isnan(known)), default=math.nan)
    residual = "exact" if worst == -math.inf else "-" if math.isnan(worst) else f"{worst:.1f} dB"
    rate, channels = numbers(findings.rates), numbers(findings.channels)
    residual = residual if findings.residuals_db else "no mixture"
    return _row(split, name, f"{findings.seconds:.1f}", rate, channels, shares, residual)


def _row(
    split: str, name: str, seconds: str, rate: str, channels: str, silent: Mapping[str, str], residual: str
) -> str:
    shares = "".join(f"{share:>{len(f'silent {source}')}}  " for source, share in silent.items())
    return f"{split:6} {name[:32]:32} {seconds:>8} {rate:>6} {channels:>3}  {shares}{residual:>10}"
