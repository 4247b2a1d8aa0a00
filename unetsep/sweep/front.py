"""The best trials of a sweep as configs: what a sweep puts out, a training takes in."""

from pathlib import Path

import optuna

from unetsep.sweep.document import read_yaml, write_yaml
from unetsep.sweep.search import PLACE
from unetsep.sweep.trials import trial_folder


def write_front(run: Path, study: optuna.Study) -> list[Path]:
    """Writes `run/pareto/<number>.yaml` for every trial that no other beats in all objectives, and removes older ones.

    Each is the trial's complete config without the folder and the names it had in the sweep, so that
    `unetsep fit --config run/pareto/0007.yaml` trains it anew in a folder of its own.
    """
    folder = run / "pareto"
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    best = [trial.number for trial in study.best_trials] if complete else []
    written = []
    for number in sorted(best):
        config = trial_folder(run, number) / "config.yaml"
        if config.is_file():
            content = {key: value for key, value in read_yaml(config).items() if key not in PLACE}
            written.append(folder / f"{number:04d}.yaml")
            write_yaml(written[-1], content)
    for stale in set(folder.glob("*.yaml")) - set(written):
        stale.unlink()
    return written
