"""What is known before a sweep begins: other sweeps' trials, and configs that are to be tried first."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import TrialState, create_trial

from unetsep.audio.files import InputError
from unetsep.sweep.document import Config, label, read_yaml
from unetsep.sweep.domain import every_domain, short
from unetsep.sweep.fold import MISSING
from unetsep.sweep.judging import PLACE
from unetsep.sweep.lookup import Found, of_config, of_values
from unetsep.sweep.means import SEED
from unetsep.sweep.question import Sweep
from unetsep.sweep.rungs import read_rungs
from unetsep.sweep.space import Resolve
from unetsep.sweep.standing import KNOWN, begun, finite
from unetsep.sweep.study import SweepStudy
from unetsep.sweep.trials import Result, read_result
from unetsep.sweep.wording import settings_of

NAMED = 5  # settings that a line names; of more it gives the number


def warm_start(study: SweepStudy, sweep: Sweep, resolve: Resolve) -> str:
    """Adds other sweeps' trials to a study, for its sampler to learn from; none of them twice.

    Args:
        study: the open study; this process must not be `deciding` already.
        sweep: the question, with the run folders in its `warm_start`.
        resolve: the command line.

    Returns:
        One line that says how many were added, and why others were not; empty if there is nothing to say.

    Raises:
        InputError: if a run folder cannot be read.
    """
    if not sweep.warm_start:
        return ""
    counts: Counter[str] = Counter()
    with study.deciding():
        there = {trial.user_attrs.get("from") for trial in study.get_trials(deepcopy=False)}
        for folder in sweep.warm_start:
            same_rungs = sweep.rungs is not None and sweep.rungs == _rungs_of(folder)
            for path in sorted((folder / "trials").glob("[0-9]*")):
                result = read_result(path)
                if str(path) in there:
                    counts["known"] += 1
                elif result is not None and result.measured:
                    counts[_learn(study, sweep, resolve, str(path), result, same_rungs)] += 1
        study.secure()
    others = ", ".join(f"{count} {why}" for why, count in counts.items() if why not in ("known", "added"))
    folders = ", ".join(map(str, sweep.warm_start))
    line = f"the sampler knows {counts['known'] + counts['added']} trials of {folders}"
    return f"{line}; not taken: {others}" if others else line


def _learn(study: SweepStudy, sweep: Sweep, resolve: Resolve, source: str, result: Result, same_rungs: bool) -> str:
    """What has become of a trial: `added`, or why not."""
    values = [result.value(measure) for measure in sweep.objectives]
    if not all(map(math.isfinite, values)):
        return "without this sweep's objectives"
    if result.state != "complete" and not (same_rungs and result.state == "stopped"):
        return "not trained to their end"
    try:
        found = of_values(sweep.space, result.params, resolve)
    except InputError:
        return "outside of this space"
    attributes: dict[str, Any] = {"state": KNOWN, "from": source, "judged": {"cost": finite(result.cost)}}
    if same_rungs:
        attributes["rungs"] = [finite(rung) for rung in result.rungs]
    excess = {key: result.cost.get(key, math.nan) / limit - 1 for key, limit in sweep.budget.items()}
    study.add_trial(
        create_trial(
            state=TrialState.COMPLETE,
            values=values,
            params=found.params,
            distributions=found.distributions,
            user_attrs=attributes,
            constraints={key: over if math.isfinite(over) else 1.0 for key, over in excess.items()},
        )
    )
    return "added"


@dataclass(frozen=True)
class Wanted:
    """A config that is to be tried before what the sampler suggests.

    Attributes:
        path: its file.
        found: its place in the space.
        differences: its settings that the sweep sets otherwise, each as `trainer.max_epochs (50, here 2)`.
    """

    path: Path
    found: Found
    differences: list[str]


def read_wanted(sweep: Sweep, path: Path, resolve: Resolve, complete: Resolve | None = None) -> Wanted:
    """Finds a config in the space.

    Args:
        sweep: the question.
        path: a config that `unetsep fit --config` takes, or a mapping of the space's dotted keys to values.
        resolve: the command line.
        complete: gives a config with the default of every setting, to compare by; without it, by what is said alone.

    Raises:
        InputError: naming the file and the key, if the config is outside of the space.
    """
    given = read_yaml(path)
    try:
        if _is_point(given, sweep):
            return Wanted(path, of_values(sweep.space, given, resolve), [])
        points, complete = of_config(sweep.space, resolve(given), resolve), complete or resolve
        wanted = complete(given)
        candidates = [
            Wanted(path, point, _differences(wanted, complete(point.suggestion.config), sweep)) for point in points
        ]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return min(candidates, key=lambda candidate: len(candidate.differences))


def enqueue(study: SweepStudy, wanted: Wanted) -> str:
    """Queues a config, unless it is queued or was tried already.

    Args:
        study: the open study; this process must not be `deciding` already.
        wanted: the config.

    Returns:
        One line that says what was queued, and which other settings of the config the sweep does not take over.
    """
    params = wanted.found.params
    with study.deciding():
        twins = [
            trial
            for trial in study.get_trials(deepcopy=False)
            if trial.system_attrs.get("fixed_params") == params or (begun(trial) and trial.params == params)
        ]
        if not twins:
            study.enqueue_trial(params)
            study.secure()
    line = f"{wanted.path}: " + (f"is trial {twins[0].number} already" if twins else "is tried first")
    line += f", with {settings_of(wanted.found.suggestion.params)}"
    if differences := wanted.differences:
        more = f" and {len(differences) - NAMED} more" if len(differences) > NAMED else ""
        line += f"; set by this sweep and not taken over: {', '.join(differences[:NAMED])}{more}"
    return line


def _is_point(given: Mapping[str, Any], sweep: Sweep) -> bool:
    """Whether a file maps the space's keys to values, and is no config."""
    keys = {short(key) for key, _ in every_domain(sweep.space.domains)}
    levels = {key.removesuffix(".*") for key in keys if key.endswith(".*")}

    def searched(key: str) -> bool:
        owner, _, level = key.rpartition(".")
        return (
            key in keys or (level.isdigit() and owner in levels) or any(key.startswith(f"{each}.") for each in levels)
        )

    return all(searched(short(str(key))) for key in given)


def _differences(wanted: Config, trained: Config, sweep: Sweep) -> list[str]:
    """The settings of a config that the sweep sets otherwise: `trainer.max_epochs (50, here 2)`."""
    first, second = dict(_leaves(wanted)), dict(_leaves(trained))
    aside = (*PLACE, *([SEED] if sweep.seeds else []))
    keys = [key for key in dict.fromkeys([*first, *second]) if key.partition(".")[0] not in aside]
    return [
        f"{short(key)} ({_said(first, key)}, here {_said(second, key)})"
        for key in keys
        if first.get(key, MISSING) != second.get(key, MISSING)
    ]


def _said(leaves: Mapping[str, Any], key: str) -> str:
    return label(leaves[key]) if key in leaves else "not set"


def _leaves(node: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from _leaves(value, f"{at}.{key}" if at else str(key))
    else:
        yield at, node


def _rungs_of(folder: Path) -> Any:
    held = folder / "sweep.yaml"
    return read_rungs(read_yaml(held).get("rungs")) if held.is_file() else None
