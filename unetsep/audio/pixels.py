"""Sound as pixels: log spectrograms, and who owns which bin, on one bent frequency axis and in one set of colours.

Whatever shows sound takes its heights and colours from here, so that a source has the same colour, and a hertz the same
height, wherever it is seen. `pictures.py` sets them between axes; the report's page shows them bare.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Integer
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from torch import Tensor

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]

SOURCE_COLOURS = {"vocals": "#f2568b", "drums": "#f6b93b", "bass": "#4a90e2", "other": "#35c9a5"}
"""The fixed colours of MUSDB18's stems; they differ in brightness too, for colour-blind eyes and grey printers."""

_MORE_COLOURS = ("#a678f0", "#f4845f", "#9fd356", "#56cfe1", "#e0aaff", "#d4a373")
BACKGROUND = "#101216"
_KNEE_HZ = 200.0  # below it the frequency axis is about linear, above it about logarithmic
DPI = 110
PER_INCH = 0.75 * DPI  # of a panel: its labels take the rest
RANGE_DB, _FULL_DB = 80.0, 25.0  # black, and full colour in the maps, this far below the loudest bin
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
    level = decibels(array_of(spectrum)) - 20 * math.log10(max(loudest, 1e-7))
    grid = Grid(level.shape, sample_rate, hop, 0.0, columns / PER_INCH, rows / PER_INCH)
    shares = 1 + level.reshape(-1)[grid.loudest_bins(level)][::-1] / RANGE_DB
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
    level = decibels(np.sqrt(array_of(energy)))
    grid = Grid(level.shape, sample_rate, hop, 0.0, columns / PER_INCH, rows / PER_INCH)
    return _bytes(
        owned_colours(np.asarray(owner.detach().cpu(), dtype=np.int64), level, grid.loudest_bins(level), sources)[::-1]
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


class Grid:
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
        self.columns, rows = min(self.frames, round(PER_INCH * width)), round(PER_INCH * height)
        self.top = math.log1p(sample_rate / 2 / _KNEE_HZ)
        self.times = (start, start + self.frames * hop / sample_rate)
        self.ticks_hz = [hertz for hertz in _TICKS_HZ if hertz <= sample_rate / 2]
        # Row edges in hertz, evenly spaced on the bent axis, as positions between bins (bin k reaches from k-½ to k+½).
        edges_hz = _KNEE_HZ * np.expm1(np.linspace(0.0, self.top, rows + 1))
        self.rows = edges_hz / (sample_rate / 2) * (self.bins - 1) + 0.5

    def height(self, hertz: float) -> float:
        """Where on the frequency axis a frequency in hertz lies: 0 at 0 Hz, `top` at half the sample rate."""
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


def owned_colours(owner: Indices, level: Array, bins: Indices, sources: Sequence[str]) -> Array:
    """The colours (row, column, 3), from 0 to 1, of each pixel's owner, dimmed where the mixture is quiet.

    Args:
        owner: indices into `sources`, (freq, frame).
        level: of the mixture in decibels, (freq, frame).
        bins: which flat bin speaks for each pixel, (row, column), as `Grid.loudest_bins` gives them.
        sources: names in index order.
    """
    below = level.max() - level.reshape(-1)[bins]
    brightness = np.clip((RANGE_DB - below) / (RANGE_DB - _FULL_DB), 0.0, 1.0)[..., None]
    colours = source_colours(sources)
    palette, dark = np.array([to_rgb(colours[source]) for source in sources]), np.array(to_rgb(BACKGROUND))
    return dark + (palette[owner.reshape(-1)[bins]] - dark) * brightness


def array_of(values: Tensor) -> Array:
    """A tensor of any device and precision as an array."""
    return np.asarray(values.detach().double().cpu())


def decibels(magnitudes: Array) -> Array:
    """Magnitudes in decibels, not below -140."""
    return 20.0 * np.log10(np.maximum(magnitudes, 1e-7))


def _loudest(level: Array, edges: Indices, axis: int) -> Indices:
    """The index of the maximum along an axis between each pair of neighbouring edges."""
    parts = [low + level.take(range(low, high), axis).argmax(axis) for low, high in pairwise(edges)]
    return np.stack(parts, axis)


def _bytes(shares: Array) -> Pixels:
    return (255 * shares + 0.5).astype(np.uint8)
