"""Trainings on a Ray cluster, or on all cores and GPUs of this machine by way of one.

Every task is one Ray task, and the driver alone touches the study. A task may be begun twice: its trial's folder knows
how far it is. So a task whose worker or node dies is simply handed in again, by the driver, which counts: Ray's own
retries have no end where memory runs out. Tasks end with their driver.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from unetsep.audio.files import InputError
from unetsep.sweep.document import label
from unetsep.sweep.joining import LOCAL, join, one_line
from unetsep.sweep.nodes import MakeTrain, check_nodes, sights, work
from unetsep.sweep.trials import Result, Task, read_result, write_result

WORKERS = 3  # workers that a task may cost before it is failed: the config may be what kills them
NODES = 10  # nodes that a task may cost: those leave for reasons of their own
NOWHERE = 600.0  # seconds that tasks wait for a cluster of which no node is large enough, but which may grow
_GLANCE = 1.0  # seconds after which the cluster is asked again what others use of it
_LAG = 0.5  # seconds by which Ray's answer may be late


@dataclass(frozen=True)
class Needs:
    """What one training takes.

    Attributes:
        cpus: cores, above 0.
        gpus: GPUs, a part of one or a whole number; None for one if the cluster has any.
    """

    cpus: float = 1
    gpus: float | None = None

    def fit(self, resources: Mapping[str, float]) -> int:
        """How many trainings fit in a node's resources, as Ray counts them."""
        cores, gpus, small = resources.get("CPU", 0.0), resources.get("GPU", 0.0), 1e-6
        fits = int(cores / self.cpus + small)
        if self.gpus and self.gpus < 1:  # a part is always one of a single GPU
            each = int(1 / self.gpus + small)
            return min(fits, int(gpus) * each + int(gpus % 1 / self.gpus + small))
        return min(fits, int(gpus / self.gpus + small)) if self.gpus else fits

    def __str__(self) -> str:
        return f"{{cpus: {self.cpus:g}, gpus: {self.gpus or 0:g}}}"


def read_resources(given: Any) -> Needs:
    """What a sweep's file says one training takes, such as `{cpus: 1, gpus: 0.5}`.

    Raises:
        InputError: naming the key that is wrong.
    """
    if given is None:
        return Needs()
    if not isinstance(given, Mapping) or not set(given) <= {"cpus", "gpus"}:
        raise InputError(f"resources: is {label(given)}, but must be like {{cpus: 1, gpus: 0.5}}")
    for key, value in given.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e6
        if not number or (key == "cpus" and value == 0) or (value > 1 and value != int(value)):
            kinds = {"cpus": "a whole number above 0, or a part of 1", "gpus": "a whole number, 0 too, or a part of 1"}
            raise InputError(f"resources: {key} is {label(value)}, but must be {kinds[key]}")
    return Needs(**given)


@dataclass
class _Held:
    task: Task
    workers: int = 0
    nodes: int = 0


class Cluster:
    """An `Executor` of Ray tasks; a context manager, which ends what it started and what still runs.

    Args:
        address: `local` for this machine's cores and GPUs, or the address of a cluster that this machine is a node of.
        make: makes what trains, in a worker's process.
        needs: what one training takes.
        run: the run folder.
        folders: what else every node must see: the data.

    Raises:
        InputError: if there is no such cluster, or one of its nodes is not fit for the sweep.
    """

    def __init__(self, address: str, make: MakeTrain, needs: Needs, run: Path, folders: Sequence[Path] = ()):
        self.address, self.make = address, make
        self.seen = sights(run, folders)
        self.held: dict[Any, _Held] = {}
        self.changes: list[tuple[float, int]] = []
        self.glanced, self.free = float("-inf"), 0
        self.large_enough = time.monotonic()
        self.ray = join(address)
        self.here = self.ray.get_runtime_context().get_node_id()
        try:
            nodes = self._nodes()
            gpus = max((node["Resources"].get("GPU", 0.0) for node in nodes), default=0.0)
            self.needs = replace(needs, gpus=min(gpus, 1.0) if needs.gpus is None else needs.gpus)
            fit = [node for node in nodes if self.needs.fit(node["Resources"])]
            if address == LOCAL and not fit:
                cores = nodes[0]["Resources"].get("CPU", 0.0)
                raise InputError(
                    f"resources: {self.needs} for one training is more than this machine has: {cores:g} cores, "
                    f"{gpus:g} GPUs"
                )
            if address != LOCAL:
                check_nodes(self.ray, fit, self.seen)
        except BaseException:
            self.close()
            raise
        options: dict[str, Any] = {"num_cpus": self.needs.cpus, "num_gpus": self.needs.gpus or 0}
        options |= {"max_retries": 0, "scheduling_strategy": "SPREAD"}
        self.kept = self.ray.remote(max_calls=0, **options)(work)
        self.fresh = self.ray.remote(max_calls=1, **options)(work)

    def __str__(self) -> str:
        nodes = self._nodes()
        fit = sum(self.needs.fit(node["Resources"]) for node in nodes)
        return f"{len(nodes)} node{'s' * (len(nodes) != 1)}, room for {fit} at a time"

    def room(self) -> int:
        """How many more tasks fit in the cluster as it is now; at least one while there is none, for it may grow."""
        fit = sum(self.needs.fit(node["Resources"]) for node in self._nodes())
        now = time.monotonic()
        if fit:
            self.large_enough = now
        if now - self.glanced > _GLANCE:
            self.glanced, self.free = now, self.needs.fit(self.ray.available_resources())
            self.changes = [change for change in self.changes if change[0] > now - _LAG]
        free = self.free + sum(change for _, change in self.changes)  # others may use the cluster too
        return max(min(fit - len(self.held), free), int(not self.held))

    def submit(self, task: Task) -> None:
        """Hands a task in."""
        self._start(_Held(replace(task, folder=task.folder.absolute())))

    def wait(self, seconds: float) -> list[Result]:
        """The results of the tasks that ended since the last call; after so many seconds perhaps none.

        Raises:
            InputError: if a node that came later is not fit for the sweep, no node is large enough for long, or this
                machine's own node is gone.
        """
        if not self.held:
            return []
        self.ray.wait(list(self.held), num_returns=1, timeout=seconds)
        ended, _ = self.ray.wait(list(self.held), num_returns=len(self.held), timeout=0)
        self.room()
        if not ended and time.monotonic() - self.large_enough > NOWHERE:
            raise InputError(f"resources: {self.needs} for one training is more than any node of the cluster has")
        results = (self._ended(each) for each in ended)
        return [result for result in results if result is not None]

    def close(self) -> None:
        """Ends the running tasks and leaves the cluster, which ends if it was started here."""
        self.held.clear()
        self.ray.shutdown()

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, held: _Held) -> None:
        # a process that has used a GPU keeps to it, whatever Ray gives it next: it serves again only where there is one
        several = bool(self.needs.gpus) and any(node["Resources"].get("GPU", 0.0) > 1 for node in self._nodes())
        remote = self.fresh if several else self.kept
        self.held[remote.remote(held.task, self.make, self.seen, self.needs.cpus, self.needs.gpus or 0)] = held
        self.changes.append((time.monotonic(), -1))

    def _ended(self, reference: Any) -> Result | None:
        """What a task came to; None if it was handed in again."""
        held = self.held.pop(reference)
        self.changes.append((time.monotonic(), 1))
        errors = self.ray.exceptions
        try:
            result = self.ray.get(reference)
        except (errors.NodeDiedError, errors.ObjectLostError, errors.RuntimeEnvSetupError) as error:
            held.nodes += 1
            lost = f"it lost {held.nodes} nodes: {one_line(error)}" if held.nodes >= NODES else ""
        except errors.RayError as error:
            held.workers += 1
            lost = f"it was begun {held.workers} times in vain: {one_line(error)}" if held.workers >= WORKERS else ""
        else:
            if isinstance(result, Result):
                return result
            raise InputError(f"--ray {self.address}: node {result}")
        if lost:
            return _failed(held.task, lost)
        self._start(held)
        return None

    def _nodes(self) -> list[dict[str, Any]]:
        nodes = [node for node in self.ray.nodes() if node["Alive"]]
        if all(node["NodeID"] != self.here for node in nodes):  # nothing can be handed in any more
            raise InputError(
                f"--ray {self.address}: this machine is no longer a node of it; start its node and the sweep again"
            )
        return nodes


def _failed(task: Task, reason: str) -> Result:
    """Writes that a task failed, unless its folder holds the result all the same."""
    before = read_result(task.folder) or Result(task.number, "paused")
    if before.reached(task.level):
        return before
    result = replace(before, state="failed", reason=reason, cost=task.cost, params=task.params)
    write_result(task.folder, result)
    (task.folder / "progress.json").unlink(missing_ok=True)
    return result
