from collections.abc import Iterator
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from unetsep.sweep.reading import Reading


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[list[optuna.Study]]:
    """Two views of one study."""
    storages = [RDBStorage(f"sqlite:///{tmp_path}/study.db") for _ in range(2)]
    other = optuna.create_study(storage=storages[0], study_name="other")
    other.ask().suggest_float("x", 0, 1)
    optuna.create_study(storage=storages[0], study_name="study", directions=["maximize", "minimize"])
    yield [optuna.Study("study", Reading(storage), optuna.samplers.RandomSampler(seed=1)) for storage in storages]
    for storage in storages:
        storage.engine.dispose()


def write(study: optuna.Study, random: np.random.Generator, step: int) -> None:
    """One thing that searches do, to a trial by chance."""
    storage = study._storage
    open_trials = [trial for trial in study.get_trials() if trial.state == TrialState.RUNNING]
    act = random.integers(6) if open_trials else random.integers(2)
    trial = open_trials[random.integers(len(open_trials))] if open_trials else None
    if act == 0:
        study.enqueue_trial({"x": 0.5}, user_attrs={"queued": step})
    elif act == 1 or trial is None:
        study.ask()
    elif act == 2:
        if "x" not in trial.params:
            optuna.Trial(study, trial._trial_id).suggest_float("x", 0, 1)
    elif act == 3:
        storage.set_trial_user_attr(trial._trial_id, "rungs", [{"val/usdr": step}])
    elif act == 4:
        storage.set_trial_system_attr(trial._trial_id, "place", step)
    elif step % 2:
        study.tell(trial.number, [1.0, float(step)])
    else:
        study.tell(trial.number, state=TrialState.PRUNED)


def test_what_is_read_is_what_is_there_whoever_wrote_it(writers: list[optuna.Study]) -> None:
    random = np.random.default_rng(0)
    backend = writers[0]._storage._backend  # type: ignore[attr-defined]
    for step in range(70):
        write(writers[random.integers(2)], random, step)
        for study in (writers[step % 2], writers[0])[: 1 + step % 2]:  # one of them now and then looks away
            truth = backend.get_all_trials(study._study_id)
            assert study.get_trials() == truth
            waiting = study.get_trials(states=(TrialState.WAITING,))
            assert waiting == [trial for trial in truth if trial.state == TrialState.WAITING]
    assert {trial.state for trial in truth} == set(TrialState) - {TrialState.FAIL}


def test_only_what_changed_is_read_again(writers: list[optuna.Study], monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = writers
    numbers = [writer.ask().number for _ in range(30)]
    assert len(reader.get_trials()) == 30
    built = []
    build = RDBStorage._build_frozen_trial_from_trial_model

    def building(self: RDBStorage, trial: object) -> optuna.trial.FrozenTrial:
        built.append(trial)
        return build(self, trial)  # type: ignore[arg-type]

    monkeypatch.setattr(RDBStorage, "_build_frozen_trial_from_trial_model", building)
    reader.get_trials()
    assert len(built) == 0
    writer._storage.set_trial_user_attr(reader.trials[3]._trial_id, "work", {"level": 0})
    built.clear()
    assert reader.get_trials()[3].user_attrs == {"work": {"level": 0}}
    assert len(built) == 1
    writer.tell(numbers[5], [1.0, 2.0])
    built.clear()
    assert reader.get_trials()[5].values == [1.0, 2.0]
    assert len(built) == 1
