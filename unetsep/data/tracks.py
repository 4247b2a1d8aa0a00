"""The tracks of a data set, and which of them are for training, validation and test."""

from collections.abc import Sequence
from pathlib import Path

from unetsep.audio.files import InputError
from unetsep.data.musdb18 import STEM_FILE, StemFile, musdb_setup
from unetsep.data.track import SOURCES, STEM_FORMATS, Track

SPLITS = ("train", "valid", "test")


def find_tracks(
    root: Path, split: str, sources: Sequence[str] = SOURCES, valid_tracks: Sequence[str] | None = None
) -> list[Track]:
    """The tracks of one split of a data set, in name order.

    The folders `<root>/train`, `<root>/valid` and `<root>/test` are the splits. Without a `valid` folder, validation
    tracks are taken out of `train`: those named; else MUSDB18's fourteen where they occur; else the last seventh in
    name order (at least one, if there are two). A root without any of these folders is itself `train`.

    Args:
        root: the data set's folder.
        split: train, valid or test.
        sources: names of the stems, which are the names of their files.
        valid_tracks: names of the validation tracks within `train`.

    Raises:
        InputError: if there are no such tracks, or one of them lacks a stem.
    """
    if split not in SPLITS:
        raise InputError(f"there is no split {split!r}: choose one of {', '.join(SPLITS)}")
    folder = split_folders(root).get("train" if split == "valid" and not (root / "valid").is_dir() else split)
    if folder is None:
        raise InputError(f"{root} has no folder {split!r} with tracks: make it, or do without that split")
    tracks = tracks_in(folder, split, sources)
    if not tracks:
        raise InputError(no_tracks(folder, sources))
    if split != "test" and not (root / "valid").is_dir():
        held_out = _validation_names([track.name for track in tracks], valid_tracks)
        tracks = [track for track in tracks if (track.name in held_out) == (split == "valid")]
        if not tracks:
            raise InputError(
                f"no tracks are left for {split!r} when {folder} is split into training and validation: add tracks,"
                f" or a folder {root / 'valid'}"
            )
    elif valid_tracks and split != "test":
        raise InputError(f"valid_tracks names {valid_tracks[0]!r}, but {root / 'valid'} exists: use one of the two")
    for track in tracks:
        track.files()
    return tracks


def split_folders(root: Path) -> dict[str, Path]:
    """The folder of every split that a data set has on disk; a root without such folders is itself `train`.

    Raises:
        InputError: if the root is no folder.
    """
    if not root.is_dir():
        raise InputError(f"there is no folder {root}: give the folder that holds {', '.join(SPLITS)}")
    folders = {split: root / split for split in SPLITS if (root / split).is_dir()}
    return folders or {"train": root}


def no_tracks(folder: Path, sources: Sequence[str]) -> str:
    """The line for a folder without tracks."""
    return (
        f"no tracks in {folder}: put a folder per track there, with {sources[0]}.wav (or"
        f" {', '.join(STEM_FORMATS[1:])}) and so on in each, or MUSDB18's {STEM_FILE} files"
    )


def tracks_in(folder: Path, split: str, sources: Sequence[str]) -> list[Track]:
    """Every track that lies in a folder, in name order, whether or not it is complete."""
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    names = tuple(sources)
    songs = [Track(path.name, split, path, names) for path in paths if path.is_dir()]
    stem_files = [path for path in paths if path.name.endswith(STEM_FILE) and path.is_file()]
    decoded = {song.name for song in songs}  # MUSDB18 is often decoded in place: then the folder is read
    streams = [StemFile(path.name.removesuffix(STEM_FILE), split, path, names) for path in stem_files]
    return sorted([*songs, *(track for track in streams if track.name not in decoded)], key=lambda track: track.name)


def _validation_names(names: list[str], valid_tracks: Sequence[str] | None) -> set[str]:
    """Which of the training tracks, given in name order, are kept for validation."""
    if valid_tracks:
        unknown = [name for name in valid_tracks if name not in names]
        if unknown:
            raise InputError(f"valid_tracks names {unknown[0]!r}, which is no training track: {', '.join(names)}")
        return set(valid_tracks)
    known = set(musdb_setup()["validation_tracks"]).intersection(names)
    if known or len(names) < 2:
        return known
    return set(names[-max(1, len(names) // 7) :])
