"""Whole sweeps, killed at random moments: each ends as if it had not been."""

import os
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unetsep.sweep.document import write_yaml

from .drivers import Driver, Forked, Started, alive
from .kills import Played, a_worker, everything, only_the_driver, play
from .outcomes import differences, mixed_up, results_of, unlike

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(sys.platform != "linux", reason="finds what a killed process left by way of /proc"),
]

QUESTION = """
question: Does it survive?
base: tiny.yaml
trials: 6
seed: 4
rungs: {unit: epochs, first: 1, eta: 2, last: 4}
sampler: {class_path: TPESampler, init_args: {multivariate: true, group: true, n_startup_trials: 3}}
budget: {params: 20000}
space:
  model.separator.init_args.net.init_args.depth: {int: [1, 3]}
  model.separator.init_args.net.init_args.skip_at: {per_level: {choice: [Concat, Drop]}}
  model.optimizer.init_args.lr: {float: [1e-4, 1e-2], log: true}
"""
BREAKING = """
import torch
from unetsep.training.losses import Loss, SpectrogramL1

class OutOfMemory(SpectrogramL1):
    def forward(self, estimates, references):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

class Breaks(SpectrogramL1):
    def forward(self, estimates, references):
        raise KeyError("an error of the user's")

class NotANumber(SpectrogramL1):
    def forward(self, estimates, references):
        return super().forward(estimates, references) * float("nan")
"""


@pytest.fixture
def question(config: dict[str, Any], tmp_path: Path) -> Path:
    del config["out"]
    config["wandb"] = "offline"
    config["model"]["separator"]["init_args"]["net"] = {"class_path": "UNet", "init_args": {"width": 4}}
    write_yaml(tmp_path / "tiny.yaml", config)
    (tmp_path / "question.yaml").write_text(QUESTION)
    return tmp_path / "question.yaml"


@pytest.fixture
def ready(tmp_path: Path) -> Iterator[Driver]:
    driver = Forked(tmp_path)
    yield driver
    driver.close()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Driver]:
    driver = Started(tmp_path)
    yield driver
    driver.close()


def undisturbed(driver: Driver, question: Path, *words: str) -> tuple[Path, float]:
    """The folder of a sweep that nothing killed, and how many seconds it took."""
    run, begin = question.with_name("whole"), time.monotonic()
    log = run.with_name("whole.log")
    driver.start([question.name, "--out", run.name, *words], log)
    assert driver.wait() == 0, log.read_text()
    return run, time.monotonic() - begin


def table(title: str, games: list[Played], capsys: pytest.CaptureFixture[str]) -> None:
    """Prints the kill table, for a closing note."""
    kills = [kill for played in games for kill in played.kills]
    kinds = Counter(kill.what for kill in kills)
    with capsys.disabled():
        print(f"\n{title}: {', '.join(f'{count} x {what}' for what, count in kinds.items())}; {len(games)} sweeps")
        for kill in kills:
            print(kill)


@pytest.mark.parametrize("sampler", ["TPESampler", "RandomSampler"])
def test_a_sweep_killed_at_random_moments_ends_as_if_it_had_not_been(
    question: Path, ready: Driver, sampler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if sampler == "RandomSampler":
        question.write_text(re.sub("sampler: .*", "sampler: RandomSampler", QUESTION))
    whole, seconds = undisturbed(ready, question)
    chance, games, wrong = random.Random(sampler), list[Played](), list[str]()
    while (left := 20 - sum(len(played.kills) for played in games)) > 0:
        run = question.with_name(f"killed-{len(games)}")
        words = [question.name, "--out", run.name]
        played = play(ready, words, run, chance, seconds, most=left)
        games.append(played)
        assert played.code == 0, played.said
        wrong += played.wrong + differences(run, whole) + mixed_up(run)
    table(sampler, games, capsys)
    assert wrong == []


def test_a_sweep_killed_while_it_starts_begins_again(
    question: Path, shell: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    question.write_text(QUESTION.replace("trials: 6", "trials: 2"))
    whole, seconds = undisturbed(shell, question)
    chance, run = random.Random(7), question.with_name("killed")
    played = play(shell, [question.name, "--out", run.name], run, chance, seconds)
    table("the command line itself", [played], capsys)
    assert played.code == 0, played.said
    assert played.wrong + differences(run, whole) + mixed_up(run) == []


def test_ctrl_c_at_any_moment_says_how_to_go_on(question: Path, ready: Driver) -> None:
    question.write_text(QUESTION.replace("trials: 6", "trials: 3"))
    whole, _ = undisturbed(ready, question)
    run, words = question.with_name("stopped"), [question.name, "--out", "stopped"]
    again = f"stopped; what was trained is kept in stopped. Go on with: unetsep sweep {' '.join(words)}"
    # before any trial, when one begins, in its training, after it
    for number, moment in enumerate(["Does it", "trial 0000", "trial 000", "at 1 of 4 epochs: "]):
        log = run.with_name(f"stopped.{number}.log")
        pid = ready.start(words, log)
        while alive(pid) and moment not in log.read_text():
            time.sleep(0.01)
        time.sleep(0.4 * (number == 2))
        os.kill(pid, signal.SIGINT)
        code, said = ready.wait(), log.read_text()
        assert (code, said.splitlines()[-1]) == (130, again), said
        assert "Traceback" not in said
    ready.start(words, log)
    assert ready.wait() == 0, log.read_text()
    assert differences(run, whole) + mixed_up(run) == []


def test_what_fails_in_one_trial_is_told_there_and_harms_no_other(question: Path, ready: Driver) -> None:
    (question.parent / "breaking.py").write_text(BREAKING)  # in the working directory, where Python finds it
    losses = ["SpectrogramL1", "SpectrogramL2", "breaking.OutOfMemory", "breaking.NotANumber", "breaking.Breaks"]
    question.write_text(
        QUESTION.partition("trials:")[0]
        + "rungs: {unit: epochs, first: 1, eta: 2, last: 2}\nsampler: BruteForceSampler\n"
        + f"space: {{model.loss: {{choice: [{', '.join(losses)}]}}}}\n"
    )
    whole, seconds = undisturbed(ready, question)
    found = {result.params["model.loss"]: result for result in results_of(whole)}
    assert {name: result.state for name, result in found.items() if name in losses[2:]} == dict.fromkeys(
        losses[2:], "failed"
    )
    assert found["breaking.OutOfMemory"].reason.startswith("OutOfMemoryError: CUDA out of memory. Tried to allocate")
    assert found["breaking.NotANumber"].reason.startswith("NonFiniteLossError: ")
    assert found["breaking.Breaks"].reason == 'KeyError: "an error of the user\'s"'
    assert sorted(found[name].state for name in losses[:2]) == ["complete", "stopped"]
    for name in losses[2:]:
        folder = whole / "trials" / f"{found[name].number:04d}"
        assert "Traceback" in (folder / "error.txt").read_text()
        assert not (folder / "progress.json").exists()
    run = question.with_name("killed")
    played = play(ready, [question.name, "--out", run.name], run, random.Random(3), seconds)
    assert played.code == 0, played.said
    assert played.wrong + differences(run, whole) == []


def test_a_sweep_on_ray_survives_its_workers_and_its_driver(
    question: Path, ready: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    question.write_text(re.sub("sampler: .*", "sampler: RandomSampler", QUESTION))
    pytest.importorskip("ray")
    whole, _ = undisturbed(ready, question)
    chance, games, wrong = random.Random(5), list[Played](), list[str]()
    while sum(len(played.kills) for played in games) < 6:
        run = question.with_name(f"killed-{len(games)}")
        words = [question.name, "--out", run.name, "--ray", "local"]
        played = play(ready, words, run, chance, 80, [a_worker, a_worker, only_the_driver, everything])
        games.append(played)
        assert played.code == 0, played.said
        assert not ready.left()
        wrong += played.wrong + mixed_up(run) + unlike(run, whole)
    table("--ray local", games, capsys)
    assert wrong == []
