"""The sounds in a trial's folder, by track and stem.

A sound is named `<track>_mixture`, `<track>_<stem>_reference` or `<track>_<stem>_estimate`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

SOUNDS = (".flac", ".wav", ".ogg", ".mp3")


@dataclass
class StemSounds:
    """One stem of an excerpt: how it is and how the trial heard it."""

    name: str
    reference: Path | None = None
    estimate: Path | None = None


@dataclass
class Excerpt:
    """The same seconds of one track: its mixture and its stems."""

    track: str
    mixture: Path | None = None
    stems: dict[str, StemSounds] = field(default_factory=dict)


def excerpts(trial: Path, stems: Sequence[str]) -> list[Excerpt]:
    """What a trial's folder holds in `audio/`, by track in order of name.

    Args:
        trial: The trial's folder.
        stems: Names of the stems, in the order to show them; others follow in order of name.
    """
    found: dict[str, Excerpt] = {}
    known = "|".join(re.escape(stem) for stem in stems)
    pattern = re.compile(
        rf"(?P<track>.+?)_(?:mixture|(?P<stem>{known + '|' if known else ''}[^_]+)_(?P<kind>reference|estimate))"
    )
    folder = trial / "audio"
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = pattern.fullmatch(path.stem)
        if not path.resolve().is_relative_to(trial.resolve()):
            continue  # a link out of the run: whoever sends a report sends no file of elsewhere
        if match is None or path.suffix.lower() not in SOUNDS or path.name.startswith("."):  # being written
            continue
        excerpt = found.setdefault(match["track"], Excerpt(match["track"]))
        if match["stem"] is None:
            excerpt.mixture = path
        else:
            setattr(excerpt.stems.setdefault(match["stem"], StemSounds(match["stem"])), match["kind"], path)
    place = {stem: index for index, stem in enumerate(stems)}
    for excerpt in found.values():
        excerpt.stems = dict(sorted(excerpt.stems.items(), key=lambda item: (place.get(item[0], len(place)), item[0])))
    return [found[track] for track in sorted(found)]
