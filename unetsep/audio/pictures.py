"""Pictures of sound with axes, ticks and legends, as PNG files.

Training, `unetsep data show` and the notebooks draw with these functions. They use matplotlib without pyplot: nothing
global is touched, no display is needed, and worker threads may draw.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Integer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from torch import Tensor

from unetsep.audio.files import InputError, replacing
from unetsep.audio.pixels import (
    BACKGROUND,
    DPI,
    RANGE_DB,
    SOURCE_COLOURS,
    Array,
    Grid,
    array_of,
    decibels,
    owned_colours,
    source_colours,
)

_LEFT, _BELOW, _GAP = 0.6, 0.5, 0.15  # inches for the labels of the axes, and between panels
_BAR, _LEGEND = 0.85, 0.35  # inches for the colour bar at the right, and for the legend below


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
    levels = {title: decibels(array_of(spectrum)) for title, spectrum in spectra.items()}
    shape = _one_shape({title: level.shape for title, level in levels.items()})
    loudest = max(float(level.max()) for level in levels.values())
    rows = math.ceil(len(levels) / columns)
    width, height = (10.0 if columns == 1 else 7.0), 2.0
    figure, panels = _panels(rows, columns, width, height, right=_BAR)
    grid = Grid(shape, sample_rate, hop, start, width, height)
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
    level = decibels(np.sqrt(array_of(energy)))
    shape = _one_shape({title: owner.shape for title, owner in owners.items()} | {"energy": level.shape})
    for title, owner in owners.items():
        if owner.size and not 0 <= owner.min() <= owner.max() < len(sources):
            raise InputError(
                f"the map {title!r} holds indices from {owner.min()} to {owner.max()}, but there are {len(sources)}"
                f" sources ({', '.join(sources)}): give indices from 0 to {len(sources) - 1}"
            )
    width, height = (11.0 if len(owners) == 1 else 7.0), 4.6
    figure, panels = _panels(1, len(owners), width, height, below=_LEGEND)
    grid = Grid(shape, sample_rate, hop, start, width, height)
    loudest = grid.loudest_bins(level)  # the loudest of the bins that share a pixel speaks for it
    colours = source_colours(sources)
    for panel, (title, owner) in zip(panels, owners.items(), strict=True):
        _show(panel, grid, owned_colours(owner, level, loudest, sources), title, "white")
    figure.legend(
        handles=[Patch(color=colours[source], label=source) for source in sources],
        loc="lower center",
        ncols=min(len(sources), 8),
        frameon=False,
    )
    _save(figure, path)


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
    figure = Figure(figsize=(paper_width, paper_height), dpi=DPI)
    axes = figure.subplots(rows, columns, squeeze=False, gridspec_kw=margins)
    for (row, column), panel in np.ndenumerate(axes):  # labels at the edges alone: every tick takes its time
        panel.set(xlabel="time in seconds", ylabel="frequency in kHz")
        panel.xaxis.set_visible(row == rows - 1)
        panel.yaxis.set_visible(column == 0)
    return figure, list(axes.reshape(-1))


def _show(panel: Axes, grid: Grid, picture: Array, title: str, colour: str) -> AxesImage:
    """Puts decibels or colours on the axes, ticks in kHz, and the title inside, where it costs no height."""
    extent = (*grid.times, 0.0, grid.top)
    image = panel.imshow(
        picture,
        "magma",
        vmin=-RANGE_DB,
        vmax=0.0,
        origin="lower",
        aspect="auto",
        extent=extent,
        interpolation="nearest",
    )
    if panel.yaxis.get_visible():
        names = [f"{hertz / 1000:g}" for hertz in grid.ticks_hz]
        panel.set_yticks([grid.height(hertz) for hertz in grid.ticks_hz], names)
    box = {"facecolor": BACKGROUND, "edgecolor": "none", "alpha": 0.75, "boxstyle": "round,pad=0.25"}
    panel.text(0.008, 0.96, title, transform=panel.transAxes, va="top", color=colour, weight="bold", bbox=box)
    return image


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as unfinished:
        # in three fifths of the time of the usual 6, and the files are as large
        figure.savefig(unfinished, format="png", pil_kwargs={"compress_level": 4})
