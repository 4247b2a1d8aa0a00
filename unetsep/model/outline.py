"""A U-Net in outline: what one wants to see of it, as plain data; `draw` draws it."""

import json
from pathlib import Path

from unetsep.audio.files import replacing
from unetsep.model.blocks import Block
from unetsep.model.drawing import Row, draw
from unetsep.model.resample import Down
from unetsep.model.unet import Level, UNet

__all__ = ["draw", "outline", "read_outline", "write_outline"]

FILE = "unet.json"
"""The outline's name in the folder of a run."""


def outline(unet: UNet) -> list[Row]:
    """The resolutions of a U-Net as it was built, the outermost first and the bottleneck last."""
    rows: list[Row] = []

    def add(channels: int, freqs: int, parts: tuple[str, str, str], stride: tuple[int, ...]) -> None:
        first = not rows
        row = Row(
            level=len(rows),
            channels=channels,
            freqs=freqs,
            encoder=parts[0],
            decoder=parts[1],
            skip=parts[2],
            stride=list(stride),
            entry=unet.entry if first else "",
            subbands=unet.subbands if first else 1,
        )
        rows.append(row)

    if isinstance(unet.enter, Down):
        folded = -(-unet.freqs // unet.subbands)
        add(unet.in_channels * unet.subbands, folded, ("", "", ""), unet.enter.stride)
    inner: Block | Level = unet.levels
    while isinstance(inner, Level):
        parts = type(inner.encode).__name__, type(inner.decode).__name__, type(inner.skip).__name__
        add(inner.encode.out_channels, inner.encode.freqs, parts, inner.down.stride)
        inner = inner.inner
    add(inner.out_channels, inner.freqs, (type(inner).__name__, "", ""), ())
    return rows


def write_outline(folder: Path, rows: list[Row]) -> None:
    """Writes `unet.json` into a folder, which is made if it is missing.

    Raises:
        InputError: If the folder cannot be made or written to.
    """
    with replacing(folder / FILE) as unfinished:
        unfinished.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def read_outline(folder: Path) -> list[Row] | None:
    """The outline that lies in the folder of a run; None where there is none, or none that can be read."""
    try:
        rows = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(rows, list) or len(rows) < 2 or not all(map(_is_row, rows)):
        return None
    return rows if [len(row["stride"]) for row in rows] == [2] * (len(rows) - 1) + [0] else None


def _is_row(row: object) -> bool:
    """Whether this is a row: the file lies in a folder that anybody may have sent."""
    if not isinstance(row, dict) or set(row) != set(Row.__annotations__) or not isinstance(row["stride"], list):
        return False
    counts = [row["channels"], row["freqs"], row["subbands"], *row["stride"]]
    words = [row["encoder"], row["decoder"], row["skip"], row["entry"]]
    return (
        all(type(count) is int and count >= 1 for count in counts)
        and all(isinstance(word, str) for word in words)
        and type(row["level"]) is int
    )
