"""A kill between any two writes of a search, each of them in turn, changes nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import RDBStorage

from unetsep.sweep import search, trials
from unetsep.sweep.trials import read_result

from .toy import Killed, Toy, run, sweep_of, trials_of

WRITES = (
    "create_new_trial",
    "set_trial_param",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "set_trial_state_values",
    "set_study_user_attr",
)
SPACE = (
    "space: {x: {int: [1, 20]}, z: {choice: {a: {}, b: {y: {float: [0, 2], step: 1}}}}}\n"
    "budget: {params: 150}\nseed: 2\ntrials: 8\n"
)
RUNGS = "rungs: {unit: epochs, first: 1, eta: 2, last: 4}\n"


class Writes:
    """Counts what is written, and raises `Killed` after one of them.

    Args:
        last: the write, from 1 on, after which the search is killed; 0 for none.
    """

    def __init__(self, last: int = 0):
        self.last, self.count = last, 0

    def counted(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*args: Any, **kwargs: Any) -> Any:
            done = write(*args, **kwargs)
            self.count += 1
            if self.count == self.last:
                raise Killed
            return done

        return counting


def carried_out(text: str, folder: Path, toy: Toy, writes: Writes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in WRITES:
            patch.setattr(RDBStorage, name, writes.counted(getattr(RDBStorage, name)))
        for module in (search, trials):
            patch.setattr(module, "write_result", writes.counted(module.write_result))
        run(sweep_of(text), folder, toy)


def state_of(folder: Path) -> list[Any]:
    """All that a sweep has come to, without its times and its drivers."""
    told = [
        (
            trial.state,
            trial.values,
            trial.params,
            trial.constraints,
            {key: value for key, value in trial.user_attrs.items() if key != "work"},
        )
        for trial in trials_of(folder)
    ]
    results = [read_result(path) for path in sorted((folder / "trials").iterdir())]
    return [
        told,
        [
            (each.number, each.state, each.reason, each.scores, each.rungs, each.params, each.cost)
            for each in results
            if each is not None
        ],
    ]


def differing_moments(text: str, folder: Path, first: int, stride: int) -> list[tuple[int, str]]:
    """Kills a search after the first write, the one so many after that, and so on, each in a folder of its own."""
    whole, writes = Toy(), Writes()
    carried_out(text, folder / "whole", whole, writes)
    wanted, found = state_of(folder / "whole"), []
    for moment in range(first, writes.count, stride):
        here, before, after = folder / str(moment), Toy(), Toy()
        with pytest.raises(Killed):
            carried_out(text, here, before, Writes(moment))
        carried_out(text, here, after, Writes())
        came_to = state_of(here)
        if came_to != wanted:
            found.append((moment, f"{came_to} instead of {wanted}"))
        # the write of a result is what ends a training: one that was cut off there is not done again
        if before.stops + after.stops != whole.stops:
            found.append((moment, f"trained {before.stops} and then {after.stops}"))
    return found


@pytest.mark.parametrize("sampler", ["TPESampler", "NSGAIISampler"])
def test_a_kill_between_two_writes_changes_nothing(tmp_path: Path, sampler: str) -> None:
    assert differing_moments(f"{SPACE}{RUNGS}sampler: {sampler}\n", tmp_path, 5, 19) == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("rungs", ["", RUNGS])
@pytest.mark.parametrize("sampler", ["RandomSampler", "TPESampler", "NSGAIISampler", "GPSampler", "QMCSampler"])
def test_a_kill_after_any_write_changes_nothing(tmp_path: Path, sampler: str, rungs: str) -> None:
    assert differing_moments(f"{SPACE}{rungs}sampler: {sampler}\n", tmp_path, 1, 1) == []
