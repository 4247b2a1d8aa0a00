"""The sounds and pictures in a trial's folder, sorted by track and stem, and links to them.

A sound is named `<track>_mixture`, `<track>_<stem>_reference` or `<track>_<stem>_estimate`; a picture
`<track>_<title>`.
"""

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from unetsep.audio.files import replacing

SOUNDS = (".flac", ".wav", ".ogg", ".mp3")
PICTURES = (".png", ".jpg", ".svg", ".webp")


@dataclass
class StemSounds:
    """One stem of an excerpt: how it is and how the trial heard it."""

    name: str
    reference: Path | None = None
    estimate: Path | None = None


@dataclass
class Excerpt:
    """The same seconds of one track: its mixture, its stems, and pictures by title."""

    track: str
    mixture: Path | None = None
    stems: dict[str, StemSounds] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)


def excerpts(trial: Path, stems: Sequence[str]) -> list[Excerpt]:
    """What a trial's folder holds in `audio/` and `pictures/`, by track in order of name.

    Args:
        trial: The trial's folder.
        stems: Names of the stems, in the order to show them; others follow in order of name.
    """
    found: dict[str, Excerpt] = {}
    known = "|".join(re.escape(stem) for stem in stems)
    pattern = re.compile(
        rf"(?P<track>.+)_(?:mixture|(?P<stem>{known + '|' if known else ''}[^_]+)_(?P<kind>reference|estimate))"
    )
    for path in _files(trial / "audio", SOUNDS):
        match = pattern.fullmatch(path.stem)
        if match is None:
            continue
        excerpt = found.setdefault(match["track"], Excerpt(match["track"]))
        if match["stem"] is None:
            excerpt.mixture = path
        else:
            setattr(excerpt.stems.setdefault(match["stem"], StemSounds(match["stem"])), match["kind"], path)
    for path in _files(trial / "pictures", PICTURES):
        track = max((name for name in found if path.stem.startswith(name + "_")), key=len, default="")
        title = path.stem.removeprefix(track + "_").replace("_", " ")
        found.setdefault(track, Excerpt(track)).pictures[title] = path
    place = {stem: index for index, stem in enumerate(stems)}
    for excerpt in found.values():
        excerpt.stems = dict(sorted(excerpt.stems.items(), key=lambda item: (place.get(item[0], len(place)), item[0])))
    return [found[track] for track in sorted(found, key=lambda name: (name == "", name))]


def linker(page: Path, run: Path, *, copy: bool) -> Callable[[Path], str]:
    """A function from a file in the run's folder to its address on the page.

    Args:
        page: The folder of the page.
        run: The sweep's folder.
        copy: Copy the files beside the page, for a report that is taken elsewhere; otherwise they stay where they are.
    """

    def link(file: Path) -> str:
        if copy:
            target = page / "media" / file.relative_to(run)
            with replacing(target) as unfinished:
                shutil.copyfile(file, unfinished)
        else:
            target = file
        relative = Path(os.path.relpath(target.resolve(), page.resolve()))
        return quote(relative.as_posix())

    return link


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The folder's files of a kind; hidden ones are still being written."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return [file for file in files if file.suffix.lower() in suffixes and not file.name.startswith(".")]
