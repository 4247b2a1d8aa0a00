"""The files in a sweep's folder that tell what its scores lie between; `floor.py` measures it."""

import json
import math
from pathlib import Path

BOUNDS = {
    "mixture.json": "the mixture itself",
    "floor.json": "the floor, one fixed frequency mask per stem and no network",
    "oracle.json": "the ideal ratio mask, which knows the stems",
}
"""Their names, and in words what each holds the scores of, as validation names them."""


def has_bounds(folder: Path) -> bool:
    """Whether all of them are there; a sweep that an earlier version began has the floor alone."""
    return all((folder / name).is_file() for name in BOUNDS)


def bounds_in_words(folder: Path) -> str:
    """What they say, as one line."""
    told = []
    for name, words in BOUNDS.items():
        usdr = json.loads((folder / name).read_text(encoding="utf-8")).get("usdr", math.nan)
        told.append(f"{words}: usdr {usdr:.2f} dB")
    return "; ".join(told)
