"""Pictures of sound: log spectrograms, and maps of which source owns each time-frequency bin.

Training, `unetsep data show` and the report draw with these functions, so that a source has the same colour, and a
hertz the same height, wherever it is seen. They use matplotlib without pyplot: nothing global is touched, no display is
needed, and worker threads may draw.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Integer
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from torch import Tensor

from unetsep.audio.files import InputError, replacing

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]

SOURCE_COLOURS = {"vocals": "#f2568b", "drums": "#f6b93b", "bass": "#4a90e2", "other": "#35c9a5"}
"""The fixed colours of MUSDB18's stems; they differ in brightness too, for colour-blind eyes and grey printers."""

_MORE_COLOURS = ("#a678f0", "#f4845f", "#9fd356", "#56cfe1", "#e0aaff", "#d4a373")
_BACKGROUND = "#101216"
_KNEE_HZ = 200.0  # below it the frequency axis is about linear, above it about logarithmic
_DPI = 110
_PER_INCH = 0.75 * _DPI  # of a panel: its labels take the rest
_LEFT, _BELOW, _GAP = 0.6, 0.5, 0.15  # inches for the labels of the axes, and between panels
_BAR, _LEGEND = 0.85, 0.35  # inches for the colour bar at the right, and for the legend below
_RANGE_DB, _FULL_DB = 80.0, 25.0  # black, and full colour in the maps, this far below the loudest bin
_MARKS_HZ = (200.0, 1000.0, 5000.0)  # few: they lie upon the picture
_TICKS_HZ = (100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0, 20000.0)


def source_colours(sources: Sequence[str]) -> dict[str, str]:
    """One colour per source: the fixed one for MUSDB18's stems, and for other names the next of a fixed series.

    Args:
        sources: names in the separator's order, which decides the colours of unknown names.

    Returns:
        A `#rrggbb` string by source.
    """
    others = [source for source in sources if source not in SOURCE_COLOURS]
    series = {source: _MORE_COLOURS[index % len(_MORE_COLOURS)] for index, source in enumerate(others)}
    return {source: SOURCE_COLOURS.get(source) or series[source] for source in sources}


def draw_spectrograms(
    spectra: Mapping[str, Float[Tensor, "freq frame"]],
    sample_rate: int,
    hop: int,
    path: Path,
    *,
    columns: int = 1,
    start: float = 0.0,
) -> None:
    """Draws log spectrograms that share one time axis and one decibel scale.

    Args:
        spectra: magnitudes (not squared) of a centred STFT by title; a title that begins with a source's name, as in
            `vocals estimate`, gets that source's colour.
        sample_rate: of the sound, in hertz.
        hop: samples between frames.
        path: the PNG file to write, atomically.
        columns: pictures side by side, filled row by row: 2 puts every reference beside its estimate.
        start: time of the first frame in seconds, where the time axis begins.

    Raises:
        InputError: if there is nothing to draw, or the spectra differ in shape.
    """
    levels = {title: _decibels(_array(spectrum)) for title, spectrum in spectra.items()}
    shape = _one_shape({title: level.shape for title, level in levels.items()})
    loudest = max(float(level.max()) for level in levels.values())
    rows = math.ceil(len(levels) / columns)
    width, height = (10.0 if columns == 1 else 7.0), 2.0
    figure, panels = _panels(rows, columns, width, height, right=_BAR)
    grid = _Grid(shape, sample_rate, hop, start, width, height)
    for panel, (title, level) in zip(panels, levels.items(), strict=False):
        picture = level.reshape(-1)[grid.loudest_bins(level)] - loudest
        source = next((name for name in SOURCE_COLOURS if title.startswith(name)), "")
        image = _show(panel, grid, picture, title, SOURCE_COLOURS.get(source, "white"))
    for panel in panels[len(levels) :]:
        panel.set_axis_off()
    paper_width, paper_height = figure.get_size_inches()
    bottom, up = _BELOW / paper_height, 1 - (_BELOW + _GAP) / paper_height
    beside = figure.add_axes((1 - (_BAR - 0.1) / paper_width, bottom, 0.1 / paper_width, up))
    bar = figure.colorbar(image, cax=beside, label="dB below the loudest bin")
    bar.outline.set_visible(False)
    _save(figure, path)


def draw_segmentation(
    maps: Mapping[str, Integer[Tensor, "freq frame"]],
    energy: Float[Tensor, "freq frame"],
    sources: Sequence[str],
    sample_rate: int,
    hop: int,
    path: Path,
    *,
    start: float = 0.0,
) -> None:
    """Draws side by side which source owns each time-frequency bin: one colour per source, brightness for level.

    Args:
        maps: indices into `sources` by title, for example `{"true": ..., "predicted": ...}`.
        energy: the mixture's energy per bin (squared magnitude, summed over channels), which dims the quiet bins in
            every map alike: who owns silence is of no interest.
        sources: names in index order; the legend.
        sample_rate: of the sound, in hertz.
        hop: samples between frames.
        path: the PNG file to write, atomically.
        start: time of the first frame in seconds, where the time axis begins.

    Raises:
        InputError: if there is nothing to draw, the shapes differ, or an index names no source.
    """
    owners = {title: np.asarray(owner.detach().cpu(), dtype=np.int64) for title, owner in maps.items()}
    level = _decibels(np.sqrt(_array(energy)))
    shape = _one_shape({title: owner.shape for title, owner in owners.items()} | {"energy": level.shape})
    for title, owner in owners.items():
        if owner.size and not 0 <= owner.min() <= owner.max() < len(sources):
            raise InputError(
                f"the map {title!r} holds indices from {owner.min()} to {owner.max()}, but there are {len(sources)}"
                f" sources ({', '.join(sources)}): give indices from 0 to {len(sources) - 1}"
            )
    width, height = (11.0 if len(owners) == 1 else 7.0), 4.6
    figure, panels = _panels(1, len(owners), width, height, below=_LEGEND)
    grid = _Grid(shape, sample_rate, hop, start, width, height)
    loudest = grid.loudest_bins(level)  # the loudest of the bins that share a pixel speaks for it
    colours = source_colours(sources)
    for panel, (title, owner) in zip(panels, owners.items(), strict=True):
        _show(panel, grid, _owned(owner, level, loudest, sources), title, "white")
    figure.legend(
        handles=[Patch(color=colours[source], label=source) for source in sources],
        loc="lower center",
        ncols=min(len(sources), 8),
        frameon=False,
    )
    _save(figure, path)


def spectrogram_pixels(
    spectrum: Float[Tensor, "freq frame"],
    sample_rate: int,
    hop: int,
    loudest: float,
    rows: int = 144,
    columns: int = 480,
) -> Pixels:
    """A log spectrogram without axes, as `draw_spectrograms` draws it, for pictures that share their axes.

    Args:
        spectrum: magnitudes (not squared) of a centred STFT.
        sample_rate: of the sound, in hertz.
        hop: samples between frames.
        loudest: the magnitude that is white, as the mixture's largest.
        rows: height of the picture, the highest frequency on top.
        columns: its width; fewer where there are fewer frames.

    Returns:
        Bytes of shape (row, column, 3).
    """
    level = _decibels(_array(spectrum)) - 20 * math.log10(max(loudest, 1e-7))
    grid = _Grid(level.shape, sample_rate, hop, 0.0, columns / _PER_INCH, rows / _PER_INCH)
    shares = 1 + level.reshape(-1)[grid.loudest_bins(level)][::-1] / _RANGE_DB
    return _bytes(colormaps["magma"](np.clip(shares, 0.0, 1.0))[..., :3])


def segmentation_pixels(
    owner: Integer[Tensor, "freq frame"],
    energy: Float[Tensor, "freq frame"],
    sources: Sequence[str],
    sample_rate: int,
    hop: int,
    rows: int = 144,
    columns: int = 480,
) -> Pixels:
    """Which source owns each bin without axes, as `draw_segmentation` draws it.

    Args:
        owner: indices into `sources`.
        energy: the mixture's energy per bin, which dims the quiet ones.
        sources: names in index order.
        sample_rate: of the sound, in hertz.
        hop: samples between frames.
        rows: height of the picture, the highest frequency on top.
        columns: its width; fewer where there are fewer frames.

    Returns:
        Bytes of shape (row, column, 3).
    """
    level = _decibels(np.sqrt(_array(energy)))
    grid = _Grid(level.shape, sample_rate, hop, 0.0, columns / _PER_INCH, rows / _PER_INCH)
    return _bytes(
        _owned(np.asarray(owner.detach().cpu(), dtype=np.int64), level, grid.loudest_bins(level), sources)[::-1]
    )


def frequency_marks(sample_rate: int) -> dict[str, float]:
    """Where some round frequencies lie in a picture without axes.

    Args:
        sample_rate: of the sound, in hertz.

    Returns:
        Shares of the height, from 0 at the bottom to 1 at the top, by the frequency in words.
    """
    names = {f"{hertz / 1000:g} kHz": hertz for hertz in _MARKS_HZ if hertz < 0.45 * sample_rate}
    return {
        name: math.log1p(hertz / _KNEE_HZ) / math.log1p(sample_rate / 2 / _KNEE_HZ) for name, hertz in names.items()
    }


class _Grid:
    """Places the bins of a spectrum on the pixels of a picture with a bent frequency axis.

    Args:
        shape: (freq, frame) of the spectrum.
        sample_rate: in hertz.
        hop: samples between frames.
        start: time of the first frame in seconds.
        width: of the panel in inches, its labels included; so
        height: too.
    """

    def __init__(
        self, shape: tuple[int, ...], sample_rate: int, hop: int, start: float, width: float, height: float
    ) -> None:
        self.bins, self.frames = shape
        # Never more rows or columns than the paper has pixels (labels take the rest): drawing would drop some of them.
        self.columns, rows = min(self.frames, round(_PER_INCH * width)), round(_PER_INCH * height)
        self.top = math.log1p(sample_rate / 2 / _KNEE_HZ)
        self.times = (start, start + self.frames * hop / sample_rate)
        self.ticks_hz = [hertz for hertz in _TICKS_HZ if hertz <= sample_rate / 2]
        # Row edges in hertz, evenly spaced on the bent axis, as positions between bins (bin k reaches from k-½ to k+½).
        edges_hz = _KNEE_HZ * np.expm1(np.linspace(0.0, self.top, rows + 1))
        self.rows = edges_hz / (sample_rate / 2) * (self.bins - 1) + 0.5

    def height(self, hertz: float) -> float:
        """Where on the frequency axis a frequency lies."""
        return math.log1p(hertz / _KNEE_HZ)

    def loudest_bins(self, level: Array) -> Indices:
        """For every pixel (row, column) the flat index of the loudest bin in it: pooling that loses no short attack."""
        columns = np.linspace(0, self.frames, self.columns + 1).astype(np.int64)
        frames = _loudest(level, columns, axis=1)  # (freq, column)
        level = np.take_along_axis(level, frames, axis=1)
        first = np.clip(self.rows[:-1].astype(np.int64), 0, self.bins - 1)
        last = np.clip(np.ceil(self.rows[1:]).astype(np.int64), first + 1, self.bins)
        rows = np.stack([low + level[low:high].argmax(axis=0) for low, high in zip(first, last, strict=True)])
        return rows * self.frames + np.take_along_axis(frames, rows, axis=0)


def _loudest(level: Array, edges: Indices, axis: int) -> Indices:
    """The index of the maximum along an axis between each pair of neighbouring edges."""
    parts = [low + level.take(range(low, high), axis).argmax(axis) for low, high in pairwise(edges)]
    return np.stack(parts, axis)


def _owned(owner: Indices, level: Array, bins: Indices, sources: Sequence[str]) -> Array:
    """The colours (row, column, 3), from 0 to 1, of each pixel's owner, dimmed where the mixture is quiet."""
    below = level.max() - level.reshape(-1)[bins]
    brightness = np.clip((_RANGE_DB - below) / (_RANGE_DB - _FULL_DB), 0.0, 1.0)[..., None]
    colours = source_colours(sources)
    palette, dark = np.array([to_rgb(colours[source]) for source in sources]), np.array(to_rgb(_BACKGROUND))
    return dark + (palette[owner.reshape(-1)[bins]] - dark) * brightness


def _bytes(shares: Array) -> Pixels:
    return (255 * shares + 0.5).astype(np.uint8)


def _array(values: Tensor) -> Array:
    return np.asarray(values.detach().double().cpu())


def _decibels(magnitudes: Array) -> Array:
    return 20.0 * np.log10(np.maximum(magnitudes, 1e-7))


def _one_shape(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    described = ", ".join(f"{title}: {shape}" for title, shape in shapes.items()) or "nothing"
    if len(set(shapes.values())) != 1 or 0 in next(iter(shapes.values())):
        raise InputError(f"a picture needs spectra of one shape (freq, frame) with at least one frame, got {described}")
    return next(iter(shapes.values()))


def _panels(
    rows: int, columns: int, width: float, height: float, *, right: float = 0.0, below: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """A figure of panels, of this many inches each with its share of the margins; more is kept free where asked for.

    The margins are given: matplotlib's search for them takes half of the time.
    """
    paper_width, paper_height = width * columns + 0.5, height * rows + 0.5
    right, below = max(right, _GAP), below + _BELOW
    margins = {
        "left": _LEFT / paper_width,
        "right": 1 - right / paper_width,
        "bottom": below / paper_height,
        "top": 1 - _GAP / paper_height,
        # as parts of a panel's size
        "wspace": _GAP * columns / (paper_width - _LEFT - right - _GAP * (columns - 1)),
        "hspace": _GAP * rows / (paper_height - below - _GAP * rows),
    }
    figure = Figure(figsize=(paper_width, paper_height), dpi=_DPI)
    axes = figure.subplots(rows, columns, squeeze=False, gridspec_kw=margins)
    for (row, column), panel in np.ndenumerate(axes):  # labels at the edges alone: every tick takes its time
        panel.set(xlabel="time in seconds", ylabel="frequency in kHz")
        panel.xaxis.set_visible(row == rows - 1)
        panel.yaxis.set_visible(column == 0)
    return figure, list(axes.reshape(-1))


def _show(panel: Axes, grid: _Grid, picture: Array, title: str, colour: str) -> AxesImage:
    """Puts decibels or colours on the axes, ticks in kHz, and the title inside, where it costs no height."""
    extent = (*grid.times, 0.0, grid.top)
    image = panel.imshow(
        picture,
        "magma",
        vmin=-_RANGE_DB,
        vmax=0.0,
        origin="lower",
        aspect="auto",
        extent=extent,
        interpolation="nearest",
    )
    if panel.yaxis.get_visible():
        names = [f"{hertz / 1000:g}" for hertz in grid.ticks_hz]
        panel.set_yticks([grid.height(hertz) for hertz in grid.ticks_hz], names)
    box = {"facecolor": _BACKGROUND, "edgecolor": "none", "alpha": 0.75, "boxstyle": "round,pad=0.25"}
    panel.text(0.008, 0.96, title, transform=panel.transAxes, va="top", color=colour, weight="bold", bbox=box)
    return image


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as unfinished:
        # in three fifths of the time of the usual 6, and the files are as large
        figure.savefig(unfinished, format="png", pil_kwargs={"compress_level": 4})
