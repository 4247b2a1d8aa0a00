"""Trainings on a real Ray cluster of two nodes on this machine, with authentication on."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from unetsep.audio.files import InputError
from unetsep.sweep import joining
from unetsep.sweep.cluster import Cluster, Needs, read_resources
from unetsep.sweep.document import write_yaml
from unetsep.sweep.nodes import complaint, sights, work
from unetsep.sweep.trials import Result

from . import arithmetic
from .arithmetic import ONE, begun, finish, make, task

if find_spec("ray") is None:  # not imported here: Ray takes its authentication's mode when it is
    pytest.skip("Ray is not installed", allow_module_level=True)

HERE = str(Path(__file__).parents[1])  # from where pytest, too, imports `sweep.arithmetic`


class Node(NamedTuple):
    """A node of the cluster.

    Attributes:
        processes: the process group, and the session, of everything Ray started for it.
        folder: where it keeps its sockets and logs.
    """

    processes: int
    folder: Path

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.processes, signal.SIGKILL)


def start(*args: str) -> Node:
    folder = Path(tempfile.mkdtemp(prefix="ray"))  # a socket's path has room for 107 letters, fewer than pytest's take
    command = [str(Path(sys.executable).parent / "ray"), "start", *args, "--num-cpus=1"]
    quiet = ["--object-store-memory=80000000", f"--temp-dir={folder}", "--disable-usage-stats"]
    environment = {**os.environ, "PYTHONPATH": HERE, "RAY_health_check_failure_threshold": "2"}
    with (folder / "log").open("w") as log:
        pipes = {"stdout": log, "stderr": log, "stdin": subprocess.DEVNULL}
        starting = subprocess.Popen([*command, *quiet], **pipes, start_new_session=True, env=environment)
    node = Node(starting.pid, folder)
    try:
        assert starting.wait(120) == 0, (folder / "log").read_text()
    except BaseException:
        node.end()
        starting.wait()
        raise
    return node


@pytest.fixture(scope="module")
def nodes() -> Iterator[Callable[..., Node]]:
    """Starts nodes, which end with the module's tests."""
    started = []

    def another(*args: str) -> Node:
        started.append(start(*args))
        return started[-1]

    try:
        yield another
    finally:
        for node in reversed(started):
            node.end()
        time.sleep(0.5)
        for node in started:
            shutil.rmtree(node.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def address(nodes: Callable[..., Node]) -> Iterator[str]:
    """A cluster of two nodes, each with one core and the second with what it takes for a GPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.delenv("RAY_ADDRESS", raising=False)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        nodes("--head", f"--port={port}", "--include-dashboard=false")
        nodes(f"--address=127.0.0.1:{port}", "--num-gpus=1")
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def cluster(address: str, run: Path) -> Iterator[Cluster]:
    with Cluster(address, make, ONE, run) as cluster:
        yield cluster


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_results_come_back_from_every_node_and_what_was_trained_is_not_trained_again(cluster: Cluster, run: Path):
    results = finish(cluster, [task(run, number) for number in range(6)])
    assert [(result.state, result.scores["val/usdr"]) for result in results] == [("complete", x) for x in range(6)]
    assert finish(cluster, [task(run, number) for number in range(6)]) == results
    assert [len(begun(run, number)) for number in range(6)] == [1] * 6


def test_there_is_room_for_as_many_as_the_nodes_have_cores(cluster: Cluster, run: Path):
    until(lambda: cluster.room() == 2)
    assert str(cluster) == "2 nodes, room for 2 at a time"
    cluster.submit(task(run, 10, waits=1))
    assert cluster.room() == 1
    cluster.submit(task(run, 11, waits=1))
    assert cluster.room() == 0
    until(lambda: bool(begun(run, 10) and begun(run, 11)))
    assert begun(run, 10)[0][0] != begun(run, 11)[0][0]
    (run / "trials" / "go").touch()
    until(lambda: not cluster.held or bool(cluster.wait(0.1) and not cluster.held))
    (run / "trials" / "go").unlink()
    until(lambda: cluster.room() == 2)


def test_a_training_that_raises_fails_alone(cluster: Cluster, run: Path):
    bad, good = finish(cluster, [task(run, 20, fails=1), task(run, 21)])
    assert (bad.state, bad.reason) == ("failed", "ValueError: no such network")
    assert good.state == "complete"


def test_a_task_whose_worker_is_killed_is_begun_again_and_completes(cluster: Cluster, run: Path):
    cluster.submit(task(run, 30, seconds=1.5))
    until(lambda: bool(begun(run, 30)))
    os.kill(int(begun(run, 30)[0][0]), signal.SIGKILL)
    (result,) = finish(cluster, [task(run, 31)])[:1]
    until(lambda: not cluster.held or bool(cluster.wait(0.1)))
    assert (run / "trials" / "0030" / "result.json").is_file()
    assert (result.state, len(begun(run, 30))) == ("complete", 2)


def test_a_config_that_kills_its_worker_every_time_fails_with_the_reason(cluster: Cluster, run: Path):
    (result,) = finish(cluster, [task(run, 40, dies=1)])
    assert result.state == "failed"
    assert result.reason.startswith("it was begun 3 times in vain: The worker died unexpectedly")
    assert "\n" not in result.reason
    assert (len(begun(run, 40)), result.cost) == (3, {"params": 1.0})


@pytest.mark.slow
def test_a_task_whose_node_is_removed_completes_on_another(
    cluster: Cluster, run: Path, nodes: Callable[..., Node], address: str
):
    third = nodes(f"--address={address}")
    until(lambda: cluster.room() == 3)
    numbers = (50, 51, 52)
    for number in numbers:
        cluster.submit(task(run, number, waits=1))

    def there() -> list[int]:
        """The tasks that are in training on the third node."""
        begins = [(number, int(process)) for number in numbers for process, _ in begun(run, number)]
        return [number for number, process in begins if os.getsid(process) == third.processes]

    until(lambda: bool(there()))
    (lost,) = there()
    third.end()
    until(lambda: not Path("/proc", begun(run, lost)[0][0]).exists())
    (run / "trials" / "go").touch()
    results: list[Result] = []
    until(lambda: bool(results.extend(cluster.wait(0.2)) or len(results) == 3))
    assert [result.state for result in results] == ["complete"] * 3
    assert {number: len(begun(run, number)) for number in numbers} == {**dict.fromkeys(numbers, 1), lost: 2}


@pytest.mark.slow
def test_nothing_was_said_on_the_terminal(cluster: Cluster, run: Path, capfd: pytest.CaptureFixture[str]):
    finish(cluster, [task(run, 60, dies=1)])
    time.sleep(1)
    assert capfd.readouterr() == ("", "")


def test_a_node_that_is_not_fit_ends_the_sweep_and_not_the_trial(cluster: Cluster, run: Path, tmp_path: Path):
    seen = replace(cluster.seen, folders=(tmp_path / "nowhere",))
    assert "does not see" in work(task(tmp_path, 70), make, seen, 1, 0)
    cluster.seen, right = seen, cluster.seen
    cluster.submit(task(run, 70))
    cluster.seen = right
    with pytest.raises(InputError, match=r"--ray .*: node .* does not see .*nowhere; share that folder"):
        until(lambda: bool(cluster.wait(1)))
    assert not (run / "trials" / "0070").exists()


@pytest.mark.slow
def test_what_the_nodes_do_not_see_is_said_before_anything_is_trained(address: str, cluster: Cluster, tmp_path: Path):
    cluster.close()
    with pytest.raises(InputError, match=r"^--ray: node .+ \(.+\) does not see .*data; share that folder"):
        Cluster(address, make, ONE, tmp_path, [tmp_path / "data"])


@pytest.mark.slow
def test_two_trainings_share_a_gpu(address: str, cluster: Cluster, tmp_path: Path):
    cluster.close()  # one at a time in a process
    with Cluster(address, make, Needs(cpus=0.5, gpus=0.5), tmp_path) as cluster:
        assert cluster.room() == 2
        for number in (1, 2):
            cluster.submit(task(tmp_path, number, waits=1))
        until(lambda: bool(begun(tmp_path, 1) and begun(tmp_path, 2)))
        (tmp_path / "trials" / "go").touch()
        results = []
        until(lambda: bool(results.extend(cluster.wait(0.2)) or len(results) == 2))
        finish(cluster, [task(tmp_path, 3)])
    (one,), (two,) = begun(tmp_path, 1), begun(tmp_path, 2)
    assert (one[0] != two[0], one[1], two[1]) == (True, "0", "0")
    assert begun(tmp_path, 3)[0] in (one, two)  # with one GPU in a node its process serves again


@pytest.mark.slow
def test_a_second_driver_finishes_what_a_killed_one_began(address: str, tmp_path: Path):
    command = [sys.executable, "-m", arithmetic.__name__, address, str(tmp_path), "4", "1.5"]
    places = {**os.environ, "PYTHONPATH": HERE}
    with subprocess.Popen(command, env=places, cwd=tmp_path) as driver:
        until(lambda: bool(begun(tmp_path, 2) or begun(tmp_path, 3)))
        driver.kill()
    finished = {number for number in range(4) if (tmp_path / "trials" / f"{number:04d}" / "result.json").is_file()}
    workers = {int(each[0]) for number in range(4) for each in begun(tmp_path, number)}
    assert 0 < len(finished) < 4
    second = subprocess.run(command, env=places, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert all((tmp_path / "trials" / f"{number:04d}" / "result.json").is_file() for number in range(4))
    assert all(len(begun(tmp_path, number)) == 1 for number in finished)
    assert not any(Path("/proc", str(worker)).exists() for worker in workers)


@pytest.mark.slow
def test_a_sweep_trains_on_every_node_of_a_cluster(address: str, config: dict[str, Any], tmp_path: Path):
    del config["out"], config["trainer"]["enable_progress_bar"]
    write_yaml(tmp_path / "tiny.yaml", config)
    (tmp_path / "question.yaml").write_text(
        "base: tiny.yaml\ntrials: 4\nresources: {cpus: 1, gpus: 0}\n"
        "rungs: {unit: epochs, first: 1, eta: 3, last: 3}\n"
        "space: {model.optimizer.init_args.lr: {float: [1e-4, 1e-2], log: true}}\n"
    )
    command = [sys.executable, "-m", "unetsep", "sweep", "question.yaml", "--out", "run", "--ray", address]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert (ended.returncode, ended.stderr) == (0, "")
    states = [json.loads(path.read_text())["state"] for path in (tmp_path / "run" / "trials").glob("*/result.json")]
    assert (len(states), set(states)) == (4, {"complete", "stopped"})


@pytest.mark.parametrize("given", ["wrong", "none"])
def test_a_token_that_is_not_the_clusters_is_one_line(
    given: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 64) if given == "wrong" else monkeypatch.delenv("RAY_AUTH_TOKEN")
    with pytest.raises(InputError, match=r"token.*RAY_AUTH_TOKEN_PATH.*") as refused:
        joining.join(address)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("nowhere", ["127.0.0.1:1", "nowhere.invalid:6379"])
def test_no_cluster_is_one_line(nowhere: str):
    with pytest.raises(InputError, match=f"--ray {nowhere}: no Ray cluster answers there"):
        joining.join(nowhere)


def test_what_is_no_address_is_one_line():
    with pytest.raises(InputError, match="--ray foo: this process cannot join the Ray cluster: Invalid address"):
        joining.join("foo")
    with pytest.raises(InputError, match="Ray Client is not used here"):
        joining.join("ray://host:10001")


def test_without_ray_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(joining, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'unetsep\[ray\]'"):
        joining.join("local")


@pytest.mark.slow
def test_this_machines_cores_are_a_cluster_that_ends_with_the_driver(tmp_path: Path):
    """In a process of its own, for Ray takes its token once."""
    command = [sys.executable, "-m", arithmetic.__name__, "local", str(tmp_path), "3", "0"]
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        places = {**os.environ, "PYTHONPATH": HERE, "RAY_TMPDIR": folder, "HOME": folder}
        places = {name: value for name, value in places.items() if not name.startswith("RAY_AUTH")}
        driver = subprocess.Popen(
            command, env=places, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        assert (driver.communicate(timeout=120), driver.returncode) == (("", None), 0)
        assert not list(Path(folder).glob(".ray"))
    assert all(len(begun(tmp_path, number)) == 1 for number in range(3))
    with pytest.raises(ProcessLookupError):
        until(lambda: bool(os.killpg(driver.pid, 0)), 10)


@pytest.mark.slow
def test_a_machine_too_small_for_one_training_says_so(tmp_path: Path):
    code = (
        "from pathlib import Path\nfrom unetsep.sweep.cluster import *\n"
        f"Cluster('local', int, Needs(cpus=1000), Path({str(tmp_path)!r}))"
    )
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        places = {**os.environ, "RAY_TMPDIR": folder}
        ended = subprocess.run([sys.executable, "-c", code], env=places, capture_output=True, text=True, timeout=120)
    assert "InputError: resources: {cpus: 1000, gpus: 0} for one training is more than this machine has" in ended.stderr


def test_a_node_complains_of_what_it_sees_otherwise(tmp_path: Path):
    seen = sights(tmp_path, [tmp_path])
    assert complaint(seen) == ""
    assert sights(tmp_path, [tmp_path]) == seen
    assert "as the driver does; share that folder" in complaint(replace(seen, sign="another's"), patience=0)
    older = tuple((name, "0.1" if name == "torch" else version) for name, version in seen.versions)
    assert complaint(replace(seen, versions=older)).endswith("but the driver 0.1; install the same there")


@pytest.mark.parametrize(
    ("needs", "resources", "fit"),
    [
        (Needs(1, 0), {"CPU": 2.0}, 2),
        (Needs(2, 0), {"CPU": 3.0, "GPU": 1.0}, 1),
        (Needs(1, 0.5), {"CPU": 16.0, "GPU": 2.0}, 4),
        (Needs(1, 0.3), {"CPU": 16.0, "GPU": 2.0}, 6),
        (Needs(1, 0.3), {"CPU": 16.0, "GPU": 0.7}, 2),
        (Needs(4, 0.5), {"CPU": 8.0, "GPU": 8.0}, 2),
        (Needs(1, 2), {"CPU": 8.0, "GPU": 3.0}, 1),
        (Needs(1, 1), {"CPU": 8.0}, 0),
    ],
)
def test_trainings_fit_in_whole_parts_of_gpus(needs: Needs, resources: dict[str, float], fit: int):
    assert needs.fit(resources) == fit


def test_resources_are_read():
    assert read_resources(None) == Needs()
    assert read_resources({"cpus": 2, "gpus": 0.5}) == Needs(2, 0.5)
    assert read_resources({"gpus": 0}) == Needs(1, 0)


@pytest.mark.parametrize(
    "given", [3, {"gpu": 1}, {"cpus": 0}, {"cpus": 1.5}, {"gpus": -1}, {"gpus": True}, {"gpus": "1"}]
)
def test_resources_that_are_none_are_refused_with_their_key(given: object):
    with pytest.raises(InputError, match=r"^resources: "):
        read_resources(given)
