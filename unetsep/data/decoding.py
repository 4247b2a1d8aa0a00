"""Whole data sets decoded into the cache: before a training, or by `unetsep data cache`."""

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from tqdm import tqdm

from unetsep.audio.files import InputError
from unetsep.data.cache import CachedTrack, cache_folder
from unetsep.data.store import CacheType, NoCacheError
from unetsep.data.track import SOURCES, Track
from unetsep.data.tracks import no_tracks, split_folders, tracks_in

_MOST_WORKERS = 16  # each holds a song in float32 and more: half a gigabyte


def decode(
    tracks: Sequence[Track],
    folder: Path,
    sample_rate: int,
    channels: int,
    dtype: CacheType = "int16",
    *,
    workers: int | None = None,
    what: str = "decoding",
) -> tuple[list[CachedTrack], list[InputError]]:
    """Opens tracks in the cache, several at once, and decodes those that are not in it yet.

    Interrupted, it finishes the tracks it is at and leaves the others: the next call goes on from there.

    Args:
        tracks: any.
        folder: of the cached files.
        sample_rate: in hertz.
        channels: 1 or 2.
        dtype: of the stored samples.
        workers: tracks that are decoded at once; None takes as many as this process has processors, at most 16.
        what: the progress bar's words; the bar stays away if nothing takes long.

    Returns:
        The tracks that could be read, in the order given, and what is wrong with each of the others.

    Raises:
        NoCacheError: if the folder cannot be written to, or is full.
    """
    opened = partial(CachedTrack, folder=folder, sample_rate=sample_rate, channels=channels, dtype=dtype)
    # Threads, not processes: libsndfile, soxr, ffmpeg and numpy work outside Python's lock, and a script that trains
    # needs no `if __name__ == "__main__"` for them.
    with (
        ThreadPoolExecutor(workers or min(_processors(), _MOST_WORKERS)) as pool,
        tqdm(
            total=len(tracks),
            desc=what,
            leave=False,
            delay=2.0,
            disable=None,
            dynamic_ncols=True,
            bar_format="{desc} {bar:20} {n_fmt}/{total_fmt}  {remaining}",
        ) as bar,
    ):
        futures = [pool.submit(opened, track) for track in tracks]
        try:
            for future in as_completed(futures):
                error = future.exception()
                if error is not None and (isinstance(error, NoCacheError) or not isinstance(error, InputError)):
                    raise error
                bar.update()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    outcomes = [(future, future.exception()) for future in futures]
    cached = [future.result() for future, error in outcomes if error is None]
    return cached, [error for _, error in outcomes if isinstance(error, InputError)]


def refuse(problems: Sequence[InputError]) -> None:
    """Nothing if there are no problems.

    Raises:
        InputError: the problem, or how many there are after a line on stderr for each.
    """
    if len(problems) == 1:
        raise problems[0]
    if problems:
        print("\n".join(f"problem: {problem}" for problem in problems), file=sys.stderr)
        raise InputError(f"there are {len(problems)} problems, named above; all other tracks are in the cache")


def cache_set(
    root: Path,
    splits: Sequence[str] | None = None,
    sources: Sequence[str] = SOURCES,
    sample_rate: int = 44_100,
    channels: int = 2,
    dtype: CacheType = "int16",
    workers: int | None = None,
    cache: Path | None = None,
) -> None:
    """Decodes a data set and prints what the cache then holds; behind `unetsep data cache`.

    Args:
        root: the data set's folder.
        splits: some of its folders train, valid and test; None takes those there are. Validation tracks that are taken
            out of `train` count there.
        sources: names of the stems.
        sample_rate: in hertz.
        channels: 1 or 2.
        dtype: of the stored samples.
        workers: tracks that are decoded at once, as for `decode`.
        cache: folder of the decoded tracks, as for `StemsDataModule`.

    Raises:
        InputError: if anything given is wrong, or a track cannot be read; the others are decoded all the same.
        NoCacheError: if the folder cannot be written to, or is full.
    """
    for name, number in {"sample rate": sample_rate, "number of workers": 1 if workers is None else workers}.items():
        if number < 1:
            raise InputError(f"the {name} is {number}: it must be at least 1")
    folders = split_folders(root)
    for split in splits or folders:
        if split not in folders:
            raise InputError(f"{root} has no folder {split!r} with tracks: there is {', '.join(folders)}")
    cache = cache or cache_folder(root)
    title = "split   tracks  minutes       MB  loudness of the mixture  already there\n"
    problems = []
    for split in splits or folders:
        tracks = tracks_in(folders[split], split, sources)
        if not tracks:
            problems.append(InputError(no_tracks(folders[split], sources)))
        cached, wrong = decode(tracks, cache, sample_rate, channels, dtype, workers=workers, what=f"decoding {split}")
        problems += wrong
        print(title + _described(split, cached), flush=True)
        title = ""
    print(f"\nin {cache}")
    refuse(problems)


def _described(split: str, tracks: Sequence[CachedTrack]) -> str:
    minutes = sum(track.seconds for track in tracks) / 60
    megabytes = sum(track.bytes for track in tracks) / 1e6
    levels = [track.loudness_db["mixture"] for track in tracks]
    loudness = f"{min(levels):.1f} to {max(levels):.1f} dB" if levels else "-"
    there = sum(not track.decoded for track in tracks)
    return f"{split:6}  {len(tracks):6}  {minutes:7.1f}  {megabytes:7.1f}  {loudness:>23}  {there:13}"


def _processors() -> int:
    """Those that this process may use, which are fewer than the machine's under taskset or a batch system."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
