"""`unetsep sweep --status OUT`: how a sweep stands, from its files alone, whoever runs it and wherever."""

import shlex
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from unetsep.audio.files import InputError
from unetsep.sweep.document import read_yaml
from unetsep.sweep.picture import Picture, forgiving
from unetsep.sweep.question import DEFAULTS, Sweep
from unetsep.sweep.snapshot import Folder, held
from unetsep.sweep.wording import duration


def status(run: Path, console: Console) -> int:
    """Prints how a sweep stands, and whether anybody works on it or how to go on.

    Args:
        run: the run folder.
        console: where to print.

    Returns:
        0, the exit code.

    Raises:
        InputError: if the folder is no sweep's.
    """
    sweep = sweep_in(run)
    snapshot = Folder(sweep, run).look_around()
    trained = sum(result.seconds for result in snapshot.board.results.values())
    forgiving(console).print(
        Picture(snapshot, time.time(), f"{duration(trained)} of training so far" if trained else "")
    )
    if snapshot.running or driven(run):
        last = f"a driver works on {run}"
    elif snapshot.done:
        last = f"no driver works on it, and nothing is left to do: {shlex.join(['unetsep', 'report', str(run)])}"
    else:
        again = shlex.join(["unetsep", "sweep", sweep.source, "--out", str(run)])
        # of several drivers none holds the folder: between trainings there is nothing to see of them
        none = "no driver works on it" if sweep.document["storage"] is None else "nothing is in training now"
        last = f"{none}: {again} goes on"
    console.print(Text(last), soft_wrap=True, highlight=False)
    return 0


def sweep_in(run: Path) -> Sweep:
    """The question that a run folder answers.

    Raises:
        InputError: if the folder is no sweep's.
    """
    file = run / "sweep.yaml"
    if not file.is_file():
        raise InputError(f"no sweep in {run}: it has no sweep.yaml; give the folder that `unetsep sweep` wrote")
    content = read_yaml(file)
    if not isinstance(content.get("objectives"), dict) or not content["objectives"]:
        raise InputError(f"{file} is no sweep's: it has no objectives")
    return Sweep(str(file), {**DEFAULTS, **content})


def driven(run: Path) -> bool:
    """Whether a driver holds the folder at this moment; of several, which share a database, none does."""
    return held(run / ".driver")
