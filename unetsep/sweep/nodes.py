"""What happens on a node of a Ray cluster: a look whether it is fit for the sweep, and the training.

The rule: every node sees the run folder and the data under the same paths as the driver, a shared folder for instance,
and has the same Python, torch and Lightning installed. The code of this package need not be the same there: the driver
sends its own along. Each node is asked before anything is trained, and again at the beginning of every training, since
nodes come and go.
"""

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias

from unetsep.audio.files import InputError, replacing
from unetsep.sweep.joining import one_line
from unetsep.sweep.trials import Result, Task, Train, carry_out

SIGN = ".shared"  # the file in a run folder by which a node shows that it sees the folder and not one of the same name
PATIENCE = 120.0  # seconds in which a node must have answered; it may have to fetch the code first
_CACHED = 5.0  # seconds for which a shared folder may not show a file that another machine has just written
_PACKAGES = ("torch", "lightning", "jsonargparse")

MakeTrain: TypeAlias = Callable[[], Train]
"""Makes what trains, in the process that will; hashable, since that process keeps what was made."""


@dataclass(frozen=True)
class Training:
    """Makes what trains by the command line. Its parser takes seconds to make, and is made once in a process.

    Attributes:
        group: what every trial's Weights & Biases run belongs to.
    """

    group: str

    def __call__(self) -> Train:
        from unetsep.sweep.trial import CommandLine

        return CommandLine(self.group).train


@dataclass(frozen=True)
class Sights:
    """What the driver sees, and every node must see as well.

    Attributes:
        run: the run folder.
        sign: the content of the file `SIGN` in it.
        directory: the working directory, which relative paths in a config count from.
        folders: others, such as the data's.
        versions: of the software, by name.
    """

    run: Path
    sign: str
    directory: Path
    folders: tuple[Path, ...]
    versions: tuple[tuple[str, str], ...]


def sights(run: Path, folders: Sequence[Path]) -> Sights:
    """What this machine sees; leaves the sign in the run folder if it has none."""
    sign = run / SIGN
    if not sign.is_file():
        with replacing(sign) as unfinished:
            unfinished.write_text(f"{time.time_ns()} {platform.node()}\n", encoding="utf-8")
    needed = [folder.absolute() for folder in folders]
    if not all(path.is_absolute() for path in (run, *folders)):
        needed.append(Path.cwd())
    return Sights(run.absolute(), sign.read_text(encoding="utf-8"), Path.cwd(), tuple(needed), _versions())


def complaint(seen: Sights, patience: float = _CACHED) -> str:
    """What of that is otherwise on this machine and what to do, in one line; empty if nothing is."""
    for (name, here), (_, there) in zip(_versions(), seen.versions, strict=True):
        if here != there:
            return f"has {name} {here}, but the driver {there}; install the same there"
    give_up = time.monotonic() + patience
    while _sign(seen.run) != seen.sign:
        if time.monotonic() > give_up:
            return f"does not see {seen.run} as the driver does; share that folder, under the same path"
        time.sleep(0.2)
    for folder in seen.folders:
        if not folder.exists():
            return f"does not see {folder}; share that folder, under the same path"
    return ""


def work(task: Task, make: MakeTrain, seen: Sights, cpus: float, gpus: float) -> Result | str:
    """Carries out a task in a process of a node; a line instead of a result if the node is not fit for it.

    Args:
        task: what is to be done.
        make: makes what trains.
        seen: what the node must see.
        cpus: as many threads torch uses.
        gpus: none are visible if it is 0; Ray leaves them visible to everybody.
    """
    if problem := complaint(seen):
        return f"{platform.node()} {problem}"
    if seen.directory.is_dir():
        os.chdir(seen.directory)
    # Lightning takes a process with these for one of several that srun started to train together
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        del os.environ[name]
    if not gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import torch

    torch.set_num_threads(max(1, int(cpus)))
    return carry_out(task, _made(make))


def check_nodes(ray: Any, nodes: Sequence[Mapping[str, Any]], seen: Sights) -> None:
    """Has every node look.

    Args:
        ray: the module, connected.
        nodes: as `ray.nodes()` describes them.
        seen: what they must see.

    Raises:
        InputError: naming a node that sees something else, or says nothing.
    """
    # a look costs no resources: a node may be busy with another driver's trainings
    look = ray.remote(num_cpus=0, max_retries=2)(complaint)
    there = _strategy()
    answers = {look.options(scheduling_strategy=there(node["NodeID"], soft=False)).remote(seen): node for node in nodes}
    done, silent = ray.wait(list(answers), num_returns=len(answers), timeout=PATIENCE)
    for answer in [*done, *silent]:
        name = f"{answers[answer]['NodeManagerHostname']} ({answers[answer]['NodeManagerAddress']})"
        if answer in silent:
            raise InputError(f"--ray: node {name} did not answer within {PATIENCE:.0f} seconds")
        try:
            problem = ray.get(answer)
        except ray.exceptions.RayError as error:
            raise InputError(f"--ray: node {name} cannot run this package: {one_line(error)}") from None
        if problem:
            raise InputError(f"--ray: node {name} {problem}")


def _strategy() -> Any:
    """Ray's way to name a node that a task must run on."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy


@lru_cache(maxsize=1)
def _made(make: MakeTrain) -> Train:
    return make()


def _sign(run: Path) -> str | None:
    try:
        return (run / SIGN).read_text(encoding="utf-8")
    except OSError:
        return None


def _versions() -> tuple[tuple[str, str], ...]:
    """Those of what could make a difference; a build for GPUs is the same version as one without."""
    return (("Python", ".".join(platform.python_version_tuple()[:2])), *((name, _version(name)) for name in _PACKAGES))


def _version(package: str) -> str:
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return "nowhere"
