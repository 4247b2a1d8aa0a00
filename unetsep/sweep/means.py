"""How a sweep is carried out: to which rungs, with which seeds, where, and which keys that leaves to nobody else."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from unetsep.audio.files import InputError
from unetsep.sweep.document import Config, label
from unetsep.sweep.fold import MISSING, find
from unetsep.sweep.rungs import Rungs

DIALECT = "postgresql+psycopg"
LENGTHS = tuple(f"trainer.{name}" for name in ("max_epochs", "max_steps", "min_epochs", "min_steps", "max_time"))
SEED = "seed_everything"
# what they may be without a rung's end being missed: a rung ends with an epoch, and with a validation
_HARMLESS: dict[str, tuple[Any, ...]] = {
    "trainer.check_val_every_n_epoch": (1,),
    "trainer.val_check_interval": (None, 1.0),
    "trainer.min_epochs": (None,),
    "trainer.min_steps": (None,),
    "trainer.max_time": (None,),
    "trainer.max_steps": (None, -1),
}


def read_seeds(given: Any) -> tuple[int, ...]:
    """The seeds that every config is trained with: a number of them, counted from 0, or a list; none for the config's.

    Raises:
        InputError: if it is neither.
    """
    if given is None:
        return ()
    seeds = list(range(given)) if _is_whole(given) else given
    if not isinstance(seeds, list) or not seeds or not all(_is_whole(seed) and 0 <= seed < 2**32 for seed in seeds):
        raise InputError(f"seeds: is {label(given)}, but must be how many there are, or a list such as [0, 1, 2]")
    if len(set(seeds)) < len(seeds):
        raise InputError(f"seeds: {label(given)} holds a seed twice")
    return tuple(seeds)


def check_storage(given: Any) -> None:
    """Refuses an address of a study that several drivers cannot share; the message never holds a password."""
    if given is None:
        return
    try:
        dialect = make_url(given).drivername if isinstance(given, str) else ""
    except (ArgumentError, ValueError):
        dialect = ""
    if dialect != DIALECT:
        what = f"of {dialect}" if dialect else "no address" if isinstance(given, str) else label(given)
        raise InputError(f"storage: is {what}, but must be like {DIALECT}://user@host/database; or leave it out")


def check_warm_start(given: Any) -> None:
    """Refuses run folders, relative to the working folder, that hold no trials."""
    if not isinstance(given, list) or not all(isinstance(folder, str) for folder in given):
        raise InputError(f"warm_start: is {label(given)}, but must be a list of run folders")
    for folder in given:
        if not (Path(folder) / "trials").is_dir():
            raise InputError(f"warm_start: {folder} is no run folder; there is no {Path(folder) / 'trials'}")


def refuse_set_twice(
    rungs: Rungs | None, seeds: tuple[int, ...], searched: Iterable[str], overrides: Mapping[str, Any], base: Config
) -> None:
    """Refuses what `rungs` or `seeds` sets already, and what would keep a training from ending at a rung.

    Args:
        rungs: the rungs, if there are any.
        seeds: the seeds, if there are any.
        searched: the dotted keys of the space.
        overrides: values by dotted key.
        base: the config that every trial starts from.

    Raises:
        InputError: naming the key.
    """
    for where, keys in (("space", list(searched)), ("overrides", list(overrides))):
        for key in keys:
            if rungs is not None and key in LENGTHS:
                raise InputError(
                    f"{where}: {key} is set by rungs: a training is as long as its last rung; leave it out"
                )
            if seeds and key == SEED:
                raise InputError(f"{where}: {SEED} is set by seeds: every config is trained with each; leave it out")
            if rungs is not None and where == "space" and key in _HARMLESS:
                raise InputError(f"{where}: {key} cannot be searched with rungs: each ends with an epoch's validation")
    if rungs is None:
        return
    for key, harmless in _HARMLESS.items():
        where, value = _visible(key, overrides, base)
        if value is not MISSING and value not in harmless and key not in rungs.settings:
            why = "limits the training as well" if key in LENGTHS else "leaves a rung without the validation it needs"
            raise InputError(f"{where}: {key} is {label(value)}, which {why}; leave it out, or leave out rungs")
    where, schedule = _visible("model.schedule", overrides, base)
    if rungs.unit == "seconds" and schedule != "constant":
        said = "cosine by default" if schedule is MISSING else label(schedule)
        raise InputError(
            f"{where}: model.schedule is {said}, but rungs in seconds have no last step for it "
            "to end at; set it to constant"
        )


def _visible(key: str, overrides: Mapping[str, Any], base: Config) -> tuple[str, Any]:
    return ("overrides", overrides[key]) if key in overrides else ("base", find(base, key))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
