"""A sweep's file: one question, as YAML."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from unetsep.audio.files import InputError
from unetsep.configs import BASES, find_config
from unetsep.sweep.cluster import Needs, read_resources
from unetsep.sweep.document import Config, label, parse_yaml, read_yaml
from unetsep.sweep.domain import FRAGMENT, Choice, Domain, every_domain, read_space
from unetsep.sweep.fold import layered, put
from unetsep.sweep.listed import grid_of
from unetsep.sweep.means import read_seeds, refuse_set_twice
from unetsep.sweep.rungs import Rungs, read_rungs
from unetsep.sweep.space import Space
from unetsep.sweep.values import SYNTHETIC, check_values, mapping, refuse_unknown

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
    refuse_unknown(given, DEFAULTS, str(path))
    document = {**DEFAULTS, **given}
    try:
        document["base"] = _names(document["base"])
        document["overrides"] = {**mapping(document, "overrides"), **(overrides or {})}
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
        check_values(document)
        domains = read_space(document["space"])
        if not domains:
            raise InputError("space: is missing; it maps dotted config keys to ranges")
        names = [*document["base"], *_fragments_of(domains)]
        known = mapping(document, "fragments")
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
    return read_yaml(find_config(name, BASES, path.parent))


def _names(base: Any) -> list[str]:
    names = base if isinstance(base, list) else [base]
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"base: is {label(base)}, but must be the path of a config file, or a list of such")
    return names
