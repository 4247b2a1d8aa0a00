"""The command line of `unetsep data`: synth, check, cache, show. Heavy imports wait until a verb is run."""

import argparse
from pathlib import Path

_SOURCES = ("vocals", "drums", "bass", "other")


def main(args: list[str]) -> None:
    """Runs `unetsep data <verb> ...`.

    Args:
        args: what follows `data` on the command line.

    Raises:
        InputError: if the data set or a setting is not as it should be.
        SystemExit: with 0 after `--help`, with 2 after a wrong option.
    """
    given = _parser().parse_args(args)
    sources: list[str] = getattr(given, "sources", [])
    if given.verb == "synth":
        from unetsep.data.synthetic import write_set

        write_set(given.out, given.train, given.valid, given.test, given.seconds, given.seed)
        print(given.out)
    elif given.verb == "check":
        from unetsep.data.inspection import check

        check(given.root, sources)
    elif given.verb == "cache":
        from unetsep.data.decoding import cache_set

        kind = (given.sample_rate, given.channels, given.dtype)
        cache_set(given.root, given.splits, sources, *kind, given.workers, given.cache)
    else:
        from unetsep.data.inspection import show

        for path in show(given.root, given.track, given.out, sources, given.start, given.seconds):
            print(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="unetsep data", description="Makes, checks and shows data sets of stems.")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    synth = verbs.add_parser(
        "synth",
        help="make a synthetic data set",
        description="Writes songs made by rule, in the layout of MUSDB18-HQ (44.1 kHz, stereo, 16 bit).",
    )
    synth.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    for split, songs in (("train", 16), ("valid", 4), ("test", 4)):
        synth.add_argument(f"--{split}", type=int, default=songs, metavar="N", help=f"{split} songs (default {songs})")
    synth.add_argument("--seconds", type=float, default=30.0, metavar="S", help="length of a song (default 30)")
    synth.add_argument("--seed", type=int, default=0, metavar="K", help="the same seed, the same bits (default 0)")

    check = verbs.add_parser(
        "check",
        help="read a whole data set and name every problem",
        description="Prints tracks, seconds, sample rates, silences and the residual of mixture minus sum of stems; "
        "every problem gets a line, and the exit code is then 2.",
    )
    cache = verbs.add_parser(
        "cache",
        help="decode a whole data set before training on it",
        description="Decodes every track into a memory-mapped file, several at once, as `unetsep fit` does by itself"
        " the first time. Stopped, the same command goes on where it was; a track whose files changed is decoded again."
        " Sample rate, channels, stems and type must be those of the training.",
    )
    show = verbs.add_parser(
        "show",
        help="draw a track's spectrograms and segmentation map",
        description="Draws log spectrograms of the mixture and every stem, and which stem owns each "
        "time-frequency bin.",
    )
    for verb in (check, cache, show):
        verb.add_argument("root", type=Path, metavar="ROOT", help="folder of the data set")
        names = " ".join(_SOURCES)
        verb.add_argument(
            "--sources", nargs="+", default=_SOURCES, metavar="STEM", help=f"names of the stems (default {names})"
        )
    cache.add_argument(
        "--splits",
        nargs="+",
        choices=("train", "valid", "test"),
        metavar="SPLIT",
        help="of train, valid, test (default: all)",
    )
    cache.add_argument("--sample-rate", type=int, default=44_100, metavar="HZ", help="resample to it (default 44100)")
    cache.add_argument("--channels", type=int, choices=(1, 2), default=2, help="1 or 2 (default 2)")
    cache.add_argument("--mono", dest="channels", action="store_const", const=1, help="the same as --channels 1")
    cache.add_argument("--dtype", choices=("int16", "float16"), default="int16", help="of the samples (default int16)")
    cache.add_argument("--workers", type=int, metavar="N", help="tracks at once (default: one a processor, at most 16)")
    cache.add_argument("--cache", type=Path, metavar="DIR", help="folder to write to (default ROOT/.unetsep)")
    show.add_argument("--track", required=True, metavar="NAME", help="name of the track")
    show.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the pictures")
    show.add_argument("--start", type=float, default=0.0, metavar="S", help="first second to draw (default 0)")
    show.add_argument("--seconds", type=float, default=30.0, metavar="S", help="how many to draw (default 30)")
    return parser
