"""The drawing of a U-Net as a U: encoders down on the left, decoders up on the right, skips across."""

import math
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

if TYPE_CHECKING:
    from jinja2 import Template

WIDTH = 340.0  # of the drawing; all lengths in its own units, which are pixels where it is shown at full size
BESIDE = 68.0  # for the words on each side of the outermost level
CLEAR = 34.0  # half of what stays free between the innermost skip's ends, for its name
STEP = 22.0  # inwards from level to level, at most
OCTAVE = 6.0  # of height for twice as many frequency bins
LINE = 12.0  # from one line of words to the next
GAP = 15.0  # between levels
LONGEST = 11  # letters of a class's name


class Row(TypedDict):
    """One resolution of a U-Net.

    Attributes:
        level: 0 at full resolution.
        channels: of the encoder's features, or of the bottleneck's.
        freqs: frequency bins.
        encoder: the class of the encoder's block, or of the bottleneck. Here and in the next two: empty where there is
            none, as at full resolution with `entry` "stride".
        decoder: the class of the decoder's block.
        skip: the class of the skip.
        stride: (freq, frame) to the next level; empty for the bottleneck.
        entry: the U-Net's `entry`, of the outermost level; empty for the others.
        subbands: bins that are folded into channels before this level; 1 for all but the outermost.
    """

    level: int
    channels: int
    freqs: int
    encoder: str
    decoder: str
    skip: str
    stride: list[int]
    entry: str
    subbands: int


class Bar(NamedTuple):
    """A level's features: as high as the logarithm of their bins, as wide as that of their channels."""

    x: float
    y: float
    width: float
    height: float
    hollow: bool

    @property
    def centre(self) -> float:
        """Where the ways down and up meet it."""
        return round(self.x + self.width / 2, 1)

    @property
    def end(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def middle(self) -> float:
        """Halfway down."""
        return self.y + self.height / 2


class Skip(NamedTuple):
    """A line from the encoder's bar to the decoder's."""

    left: float
    right: float
    y: float
    dropped: bool


class Label(NamedTuple):
    """Words, and the point at which they start, end or have their middle."""

    x: float
    y: float
    anchor: str
    words: str
    soft: bool = False


def draw(rows: list[Row], background: str = "none") -> str:
    """An SVG of a U-Net's outline, which takes its colours from the page around it.

    A bar's height tells the frequency bins and its width the channels, both as logarithms.

    Args:
        rows: as `outline` gives them, the bottleneck last.
        background: a colour as SVG names it, for a picture that stands by itself.

    Returns:
        The markup of one `<svg>`; names of classes are escaped.
    """
    bars: list[Bar] = []
    skips: list[Skip] = []
    labels: list[Label] = []
    ways: list[str] = []
    step = min(STEP, (WIDTH / 2 - BESIDE - CLEAR) / max(1, len(rows) - 1))
    top = 4.0
    if (subbands := rows[0]["subbands"]) > 1:
        labels.append(Label(WIDTH / 2, top + 9, "middle", f"folded into {subbands} subbands", soft=True))
        top += LINE + 4
    above: tuple[Bar, Bar] | None = None
    for number, row in enumerate(rows):
        height = _short(max(4.0, OCTAVE * math.log2(row["freqs"])))
        tall = height if number == len(rows) - 1 else max(height, 2 * LINE + 2)
        y = _short(top + (tall - height) / 2)
        wide = _short(3 + 1.8 * math.log2(row["channels"]))
        if number == len(rows) - 1:
            left = right = Bar(_short((WIDTH - wide) / 2), y, wide, height, hollow=False)
            bars.append(left)
        else:
            x = _short(BESIDE + number * step)
            left = Bar(x, y, wide, height, hollow=not row["encoder"])
            right = left._replace(x=_short(WIDTH - x - wide))
            bars += [left, right]
            _skip(row, left, right, skips, labels)
            labels += _stride(row, top + tall + GAP / 2 + 4)
        if above:
            ways += [_way(above[0], left, last=left is right), _way(above[1], right, last=left is right)]
        labels += _beside(row, left, right)
        above, top = (left, right), top + tall + GAP
    return _template().render(
        width=_short(WIDTH),
        height=_short(top - GAP + LINE + 4),
        words=in_words(rows),
        background=background,
        bars=bars,
        skips=skips,
        labels=labels,
        ways=ways,
    )


def in_words(rows: list[Row]) -> str:
    """The outline for whoever cannot see the drawing: sentences, level by level."""
    sentences = [f"A U-Net of depth {len(rows) - 1}"]
    if rows[0]["subbands"] > 1:
        sentences.append(f"{rows[0]['subbands']} subbands")
    for row in rows:
        size = f"{row['channels']} channels, {row['freqs']} bins"
        if not row["encoder"]:
            sentences.append(f"Level {row['level']}: {size}, resampled at once")
        elif not row["stride"]:
            sentences.append(f"Bottleneck: {size}, {row['encoder']}")
        else:
            blocks = dict.fromkeys((row["encoder"], row["decoder"]))
            skip = "no skip" if row["skip"] in ("", "Drop") else f"{row['skip']} skip"
            sentences.append(f"Level {row['level']}: {size}, {' and '.join(blocks)}, {skip}")
    return ". ".join(sentences) + "."


def _skip(row: Row, left: Bar, right: Bar, skips: list[Skip], labels: list[Label]) -> None:
    if row["skip"]:
        dropped = row["skip"] == "Drop"
        skips.append(Skip(_short(left.end + 3), _short(right.x - 3), _short(left.middle), dropped))
        name = "no skip" if dropped else _name(row["skip"])
        labels.append(Label(WIDTH / 2, _short(left.middle - 4), "middle", name, soft=dropped))


def _stride(row: Row, y: float) -> list[Label]:
    """What is told of a way down that does not halve both axes, as nearly all do."""
    freq, frame = row["stride"]
    if (freq, frame) == (2, 2):
        return []
    told = " ".join(f"{axis} ÷{by}" for axis, by in (("freq", freq), ("time", frame)) if by > 1)
    return [Label(WIDTH / 2, _short(y), "middle", told or "same size", soft=True)]


def _beside(row: Row, left: Bar, right: Bar) -> list[Label]:
    """The blocks' names, and the features' size, channels first."""
    size, middle = f"{row['channels']} \N{MULTIPLICATION SIGN} {row['freqs']}", _short(left.middle)
    start, end = _short(left.x - 5), _short(right.end + 5)
    if left is right:  # below it: the ways from the last level come in at its sides
        name, y = _name(row["encoder"]), _short(left.y + left.height + LINE)
        return [Label(WIDTH / 2, y, "middle", f"{name}, {size}")]
    if not row["encoder"]:
        return [
            Label(start, middle - 2, "end", "in"),
            Label(start, middle - 2 + LINE, "end", size, soft=True),
            Label(end, middle + 4, "start", "out"),
        ]
    return [
        Label(start, middle - 2, "end", _name(row["encoder"])),
        Label(start, middle - 2 + LINE, "end", size, soft=True),
        Label(end, middle + 4, "start", _name(row["decoder"])),
    ]


def _way(outer: Bar, inner: Bar, last: bool) -> str:
    """The line from a bar to the one below it; to the bottleneck it goes round the corner."""
    start = f"M{outer.centre} {_short(outer.y + outer.height + 2)}"
    if last:
        edge = inner.x - 2 if outer.x < inner.x else inner.end + 2
        return f"{start}V{_short(inner.middle)}H{_short(edge)}"
    return f"{start}L{inner.centre} {_short(inner.y - 2)}"


def _name(kind: str) -> str:
    """A class's name as far as there is room: `Conv` for `ConvBlock`."""
    short = {"NoBlock": "no block"}.get(kind) or kind.removesuffix("Block") or kind
    return short if len(short) <= LONGEST else short[: LONGEST - 1] + "…"


def _short(value: float) -> float:
    return round(value, 1)


@cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # here, as training draws nothing

    settings: dict[str, Any] = {"autoescape": True, "undefined": StrictUndefined, "trim_blocks": False}
    return Environment(loader=PackageLoader("unetsep.model", "."), **settings).get_template("unet.svg")
