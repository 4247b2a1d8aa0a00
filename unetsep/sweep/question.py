"""A sweep's file: one question, as YAML."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from unetsep.audio.files import InputError
from unetsep.sweep.cluster import Needs, read_resources
from unetsep.sweep.document import Config, label, parse_yaml, read_yaml
from unetsep.sweep.domain import FRAGMENT, Choice, Domain, every_domain, read_space
from unetsep.sweep.fold import layered, put
from unetsep.sweep.listed import grid_of
from unetsep.sweep.means import check_storage, check_warm_start, read_seeds, refuse_set_twice
from unetsep.sweep.rungs import Rungs, read_rungs
from unetsep.sweep.space import Space

COST = (
    "params",
    "gmacs_per_second",
    "depth",
    "receptive_field_seconds",
    "receptive_field_hz",
    "peak_memory_mb",
    "rtf_cpu",
)
SCORES = ("loss", "usdr", "csdr", "seg_accuracy", "seg_miou", "dropped_frames")
SYNTHETIC: dict[str, Any] = {"train": 24, "valid": 6, "test": 2, "seconds": 20.0, "seed": 0}
DEFAULTS: dict[str, Any] = {
    "question": "",
    "base": [],
    "fragments": {},
    "objectives": {"val/usdr": "maximize", "cost/gmacs_per_second": "minimize"},
    "trials": None,
    "rungs": None,
    "seeds": None,
    "sampler": {"class_path": "TPESampler", "init_args": {"multivariate": True, "group": True}},
    "budget": {},
    "seed": 0,
    "overrides": {},
    "space": None,
    "synthetic": None,
    "data": None,
    "warm_start": [],
    "resources": None,
    "storage": None,
}
ASIDE = ("question", "trials", "warm_start", "resources", "storage")  # another of these is still the same question


@dataclass(frozen=True)
class Sweep:
    """A question, checked as far as it can be without reading a model's code.

    Attributes:
        source: the file it was read from, for messages.
        document: everything in it that decides the trials, with defaults, and every fragment written out: what the run
            folder's `sweep.yaml` holds, itself a sweep file that needs no other.
    """

    source: str
    document: Config

    @property
    def objectives(self) -> dict[str, str]:
        """`maximize` or `minimize` by measure."""
        return dict(self.document["objectives"])

    @property
    def measures_speed(self) -> bool:
        """Whether the real-time factor on this machine matters, which the rest of the cost card does not need."""
        return "rtf_cpu" in self.budget or "cost/rtf_cpu" in self.objectives

    @property
    def trials(self) -> int | None:
        """How many trials are to be trained; None for all there are."""
        return None if self.document["trials"] is None else int(self.document["trials"])

    @property
    def budget(self) -> dict[str, float]:
        """The most that a trial may cost, by name on the cost card."""
        return dict(self.document["budget"])

    @cached_property
    def rungs(self) -> Rungs | None:
        """The lengths of training after which only the best go on; None if all are trained to the end."""
        return read_rungs(self.document["rungs"])

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that every config is trained with; empty for the config's own."""
        return read_seeds(self.document["seeds"])

    @property
    def needs(self) -> Needs:
        """What one training takes of a cluster."""
        return read_resources(self.document["resources"])

    @property
    def storage(self) -> str | None:
        """The URL of a database that several drivers share; None for a file in the run folder."""
        return None if self.document["storage"] is None else str(self.document["storage"])

    @property
    def warm_start(self) -> list[Path]:
        """The run folders of other sweeps to learn from."""
        return [Path(folder) for folder in self.document["warm_start"]]

    @property
    def root(self) -> Path | None:
        """The root of the data set, whether it exists yet or not; None where the config says it."""
        if self.document["data"] is not None:
            return Path(self.document["data"])
        if self.document["synthetic"] is None:
            return None
        made = self.synthetic
        counts = "-".join(str(made[split]) for split in ("train", "valid", "test"))
        return Path("data").absolute() / f"synthetic-{counts}-{made['seconds']:g}s-seed{made['seed']}"

    @property
    def synthetic(self) -> dict[str, Any]:
        """What the synthetic data set is made of: numbers of songs, their seconds, a seed."""
        return {**SYNTHETIC, **(self.document["synthetic"] or {})}

    @cached_property
    def space(self) -> Space:
        """What is searched."""
        base = _layered(self.document)
        if self.root is not None:
            put(base, "data.root", str(self.root))
        overrides = {**self.document["overrides"], **(self.rungs.settings if self.rungs else {})}
        return Space(base, read_space(self.document["space"]), self.document["fragments"], overrides)

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """The keys in which another sweep's document asks another question; more trials are the same question."""
        mine, theirs = ({**DEFAULTS, **document} for document in (self.document, other))
        keys = dict.fromkeys([*mine, *theirs])
        return [key for key in keys if key not in ASIDE and mine.get(key) != theirs.get(key)]


def read_sweep(
    path: Path,
    trials: int | None = None,
    data: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    storage: str | None = None,
) -> Sweep:
    """Reads a sweep's file.

    Args:
        path: the YAML file.
        trials: how many trials to train instead of the file's number.
        data: root of a data set to use instead of the synthetic one.
        overrides: values by dotted key, besides and over the file's own.
        storage: URL of a database instead of the file's own.

    Raises:
        InputError: if the file says anything that is not understood, naming the file and the key.
    """
    given = read_yaml(path)
    _refuse_unknown(given, DEFAULTS, str(path))
    document = {**DEFAULTS, **given}
    try:
        document["base"] = _names(document["base"])
        document["overrides"] = {**_mapping(document, "overrides"), **(overrides or {})}
        if trials is not None:
            document["trials"] = trials
        if storage is not None:
            document["storage"] = storage
        if data is not None:
            document["data"], document["synthetic"] = str(data), None
        if document["data"] is not None:
            if not isinstance(document["data"], str) or not Path(document["data"]).is_dir():
                raise InputError(f"data: {label(document['data'])} is no folder; give the root of a data set")
            document["data"] = str(Path(document["data"]).absolute())
        _check_values(document)
        domains = read_space(document["space"])
        if not domains:
            raise InputError("space: is missing; it maps dotted config keys to ranges")
        names = [*document["base"], *_fragments_of(domains)]
        known = _mapping(document, "fragments")
        document["fragments"] = {name: known[name] if name in known else _read_fragment(path, name) for name in names}
        rungs, seeds = read_rungs(document["rungs"]), read_seeds(document["seeds"])
        searched = [key for key, _ in every_domain(domains)]
        refuse_set_twice(rungs, seeds, searched, document["overrides"], _layered(document))
        sweep = Sweep(str(path), document)
        document["sampler"] = _sampler(document["sampler"], sweep.space)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return sweep


def read_overrides(arguments: Iterable[str]) -> dict[str, Any]:
    """Values by dotted key from `--trainer.max_epochs=3`, `--trainer.max_epochs 3` or `trainer.max_epochs=3`.

    Raises:
        InputError: if an argument is none of these.
    """
    values: dict[str, Any] = {}
    waiting = ""
    for argument in arguments:
        if waiting:
            values[waiting], waiting = parse_yaml(argument, f"--{waiting}"), ""
            continue
        key, equals, text = argument.removeprefix("--").partition("=")
        if not key or key.startswith("-") or not (equals or argument.startswith("--")):
            raise InputError(f"{argument!r} is not understood; overrides are written --trainer.max_epochs=3")
        if equals:
            values[key] = parse_yaml(text, f"--{key}")
        else:
            waiting = key
    if waiting:
        raise InputError(f"--{waiting} needs a value: --{waiting}=VALUE")
    return values


def _check_values(document: Config) -> None:
    if not isinstance(document["question"], str):
        raise InputError(f"question: is {label(document['question'])}, but must be words")
    objectives, budget = _mapping(document, "objectives"), _mapping(document, "budget")
    if not objectives:
        raise InputError("objectives: is empty; write {val/usdr: maximize, cost/gmacs_per_second: minimize}")
    for key, direction in objectives.items():
        kind, _, measure = str(key).partition("/")
        if kind == "cost" and measure:
            _refuse_unknown([measure], COST, "objectives: cost")
        elif kind == "val" and measure:
            _refuse_unknown([measure.partition("/")[0]], SCORES, "objectives: val")
        else:
            raise InputError(f"objectives: {key} is no measure; they are called val/usdr, val/csdr/vocals, cost/params")
        if direction not in ("maximize", "minimize"):
            raise InputError(f"objectives: {key} is {label(direction)}, but must be maximize or minimize")
    _refuse_unknown(budget, COST, "budget")
    for key, limit in budget.items():
        if not _is_number(limit) or not 0 < limit < math.inf:
            raise InputError(f"budget: {key} is {label(limit)}, but must be a number above 0")
    trials, seed = document["trials"], document["seed"]
    if trials is not None and (not isinstance(trials, int) or isinstance(trials, bool) or trials < 1):
        raise InputError(f"trials: is {label(trials)}, but must be a whole number, 1 or more")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise InputError(f"seed: is {label(seed)}, but must be a whole number, 0 or more")
    read_resources(document["resources"])
    check_storage(document["storage"])
    check_warm_start(document["warm_start"])
    if document["synthetic"] is not None:
        synthetic = _mapping(document, "synthetic")
        _refuse_unknown(synthetic, SYNTHETIC, "synthetic")
        for key, value in synthetic.items():
            if not _is_number(value) or value < 0 or (key != "seconds" and not isinstance(value, int)):
                raise InputError(f"synthetic: {key} is {label(value)}, but must be a number, 0 or more")


def _sampler(given: Any, space: Space) -> Any:
    """The sampler as it was given; but a grid that does not say of what goes through the whole space."""
    content: Any = {"class_path": given} if isinstance(given, str) else given
    if not isinstance(content, Mapping) or str(content.get("class_path")).rpartition(".")[2] != "GridSampler":
        return given
    arguments = content.get("init_args") or {}
    if not isinstance(arguments, Mapping) or "search_space" in arguments:
        return given
    return {**content, "init_args": {**arguments, "search_space": grid_of(space.domains, space.overrides)}}


def _layered(document: Config) -> Config:
    """The config that every trial starts from."""
    base: Config = {}
    for name in document["base"]:
        base = layered(base, document["fragments"][name])
    return base


def _fragments_of(domains: Mapping[str, Domain]) -> list[str]:
    names = []
    for key, domain in domains.items():
        options = domain.options if isinstance(domain, Choice) else ()
        if key == FRAGMENT:
            if not options:
                raise InputError("space: base: must be a choice of config files")
            names += [str(option.value) for option in options]
        for option in options:
            names += _fragments_of(option.space)
    return names


def _read_fragment(path: Path, name: str) -> Config:
    return read_yaml(path.parent / name)


def _names(base: Any) -> list[str]:
    names = base if isinstance(base, list) else [base]
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"base: is {label(base)}, but must be the path of a config file, or a list of such")
    return names


def _mapping(document: Config, key: str) -> Config:
    if not isinstance(document[key], Mapping):
        raise InputError(f"{key}: is {label(document[key])}, but must be a mapping")
    return dict(document[key])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refuse_unknown(given: Iterable[Any], allowed: Iterable[str], where: str) -> None:
    for key in given:
        if key not in allowed:
            near = get_close_matches(str(key), list(allowed), n=1)
            hint = f"did you mean {near[0]}?" if near else ""
            raise InputError(f"{where}: {key} is unknown; {hint} there are {', '.join(allowed)}".replace(";  ", "; "))
