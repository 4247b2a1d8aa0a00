"""`unetsep evaluate`: scores of whole tracks for a separator, an oracle or anybody's estimates."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unetsep.audio.files import InputError

if TYPE_CHECKING:
    from unetsep.evaluation.estimates import Estimates

ORACLES = ("mixture", "fixed_mask", "irm", "ibm", "mwf")


def main(args: Sequence[str]) -> int:
    """Runs `unetsep evaluate`.

    Returns:
        0, or 1 if `--verify` found another result than museval's.

    Raises:
        InputError: If anything given is wrong; the tracks that are finished by then stay.
    """
    given = _parser().parse_args(args)

    from rich.console import Console

    from unetsep.data import find_tracks
    from unetsep.evaluation.estimates import stamp
    from unetsep.evaluation.records import Results, read_evaluation, write_csv
    from unetsep.evaluation.scoring import score_tracks
    from unetsep.evaluation.tables import print_table
    from unetsep.evaluation.verification import described

    if given.verify < 0:
        raise InputError(f"--verify is {given.verify}, but must be a number of tracks")
    device = _device(given.device)
    estimates = _estimates(given, device)
    tracks = find_tracks(given.data, given.split, estimates.sources)
    names = [track.name for track in tracks]
    remarks = estimates.prepare(tracks)
    identity = {
        "estimates": estimates.description,
        "data": given.data.resolve().name,
        "split": given.split,
        "sources": estimates.sources,
        "tracks": {track.name: stamp([*track.files(), *estimates.files(track)]) for track in tracks},
    }
    results = Results(given.out, identity)
    theirs = read_evaluation(given.against, names, estimates.sources) if given.against else {}
    told = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)
    for line in remarks:
        told.print(f"unetsep: {line}")

    count = min(given.verify, len(tracks))
    chosen = {names[number * len(names) // count] for number in range(count)}
    difference = score_tracks(tracks, estimates, results, chosen, device, told)
    records = [results.read(name) for name in names]
    write_csv(given.out / "scores.csv", records)
    console = Console()
    title = f"{estimates.name}: {len(tracks)} {given.split} track{'s' * (len(tracks) != 1)} of {identity['data']}"
    print_table(title, records, estimates.sources, console)
    if chosen:
        console.print(described(difference, len(chosen)), markup=False, highlight=False)
    if theirs:
        from unetsep.evaluation.comparison import compare, print_comparison

        for record in records:  # a name alone does not make it the same recording
            other = theirs[record.track]
            if abs(record.seconds - other.seconds) > 0.1:
                raise InputError(
                    f"{given.against} cannot be compared with: {record.track} lasts {other.seconds:.1f} s there and"
                    f" {record.seconds:.1f} s here; both must have scored the same recordings"
                )
        ours = {record.track: record.scores() for record in records}
        others = {name: record.scores() for name, record in theirs.items()}
        console.print()
        print_comparison(compare(ours, others, estimates.sources), estimates.name, str(given.against), console)
    return 0 if difference.agrees else 1


def _device(name: str) -> str:
    import torch

    device = name if name != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"cannot compute on the device {device!r}: {str(error).splitlines()[0]}") from None
    return device


def _estimates(given: argparse.Namespace, device: str) -> "Estimates":
    from unetsep.data.track import SOURCES
    from unetsep.evaluation.estimates import Folder, Model, Oracle

    sources = given.sources or SOURCES
    if len(set(sources)) < len(sources):
        raise InputError(f"--sources names a stem twice: {' '.join(sources)}")
    if given.oracle:
        return Oracle(given.oracle, sources, given.data)
    if given.estimates:
        return Folder(given.estimates, given.split, sources)
    return Model(given.model, given.sources, device, segment_seconds=given.segment_seconds, overlap=given.overlap)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unetsep evaluate",
        usage="unetsep evaluate (MODEL | --estimates DIR | --oracle NAME) --data ROOT --out DIR [option ...]",
        description="Score whole tracks by BSSEval v4 (museval's numbers), whole-track SDR and segmentation. The"
        " mixture is the sum of a track's stems. DIR/<split>/<track>.json is museval's own format, DIR/scores.csv has"
        " a row per track and stem. Stopped, the same command goes on where it was.",
    )
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        type=Path,
        help="a checkpoint, a run's folder, or a sweep's (its best trial)",
    )
    whose.add_argument(
        "--estimates",
        metavar="DIR",
        type=Path,
        help="somebody's estimates, DIR/<track>/<stem>.wav or DIR/<split>/<track>/<stem>.wav (or flac)",
    )
    whose.add_argument(
        "--oracle",
        choices=ORACLES,
        help="the mixture as estimate; one fixed frequency mask per stem, learned on the training tracks; ideal ratio"
        " or binary mask; multichannel Wiener filter",
    )
    parser.add_argument("--data", metavar="ROOT", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="where the scores are written")
    parser.add_argument(
        "--split", choices=("train", "valid", "test"), default="test", help="its tracks (default: %(default)s)"
    )
    parser.add_argument(
        "--sources",
        nargs="+",
        metavar="STEM",
        help="names of the stems (default: the model's; vocals drums bass other)",
    )
    parser.add_argument(
        "--verify",
        nargs="?",
        type=int,
        const=1,
        default=0,
        metavar="N",
        help="compare N tracks (1 if no number is given) with museval, which takes half a minute per minute of audio;"
        " the exit code is 1 if they differ",
    )
    parser.add_argument(
        "--against",
        metavar="OTHER",
        type=Path,
        help="another evaluation's DIR: print the difference per stem with 95 %% intervals",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, ... (default: cuda where there is one)")
    parser.add_argument(
        "--segment-seconds", metavar="S", type=float, help="of MODEL, read at once (default: as `unetsep separate`)"
    )
    parser.add_argument(
        "--overlap", metavar="R", type=float, help="of neighbouring segments, 0 to <1 (default: as `unetsep separate`)"
    )
    return parser
