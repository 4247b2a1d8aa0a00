"""What one sees of a sweep: lines, the table, the status."""

import json
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from unetsep.audio.files import InputError
from unetsep.sweep.document import write_yaml
from unetsep.sweep.executors import InProcess
from unetsep.sweep.lock import sole
from unetsep.sweep.question import Sweep
from unetsep.sweep.rungs import Stop
from unetsep.sweep.search import Search
from unetsep.sweep.status import status
from unetsep.sweep.study import open_study
from unetsep.sweep.trials import Outcome, Result, Task, write_result
from unetsep.sweep.watching import Watching

from .toy import LINE, Killed, Toy, sweep_of

RUNGS = "rungs: {unit: epochs, first: 1, eta: 3, last: 9}\n"


def console(width: int = 80, terminal: bool = False) -> Console:
    return Console(file=StringIO(), width=width, force_terminal=terminal, color_system=None, height=40, _environ={})


def said(on: Console) -> str:
    assert isinstance(on.file, StringIO)
    return on.file.getvalue()


def watched(sweep: Sweep, folder: Path, on: Console, toy: Toy | None = None) -> str:
    toy = toy or Toy()
    folder.mkdir(exist_ok=True)
    write_yaml(folder / "sweep.yaml", sweep.document)
    with Watching(sweep, folder, on) as watching, open_study(folder, sweep.objectives) as study:
        Search(sweep, folder, study, watching).run(toy, InProcess(toy.train))
    return said(on)


def shown(folder: Path, width: int = 80) -> str:
    on = console(width)
    assert status(folder, on) == 0
    return said(on)


def test_where_there_is_no_terminal_every_training_has_a_line_when_it_begins_and_one_when_it_ends(
    tmp_path: Path,
) -> None:
    lines = watched(sweep_of(LINE), tmp_path, console()).splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("trial 0000 (1/5): ")
    assert lines[1].startswith("0000 complete: val/usdr -")
    assert lines[7].endswith("left")
    assert not lines[9].endswith("left")


def test_with_rungs_the_lines_say_how_far_a_training_goes_and_what_was_stopped(tmp_path: Path) -> None:
    text = watched(sweep_of(RUNGS + LINE), tmp_path, console())
    assert "trial 0000 (1/5) to 1 of 9 epochs: " in text
    assert "0000 at 1 of 9 epochs: val/usdr " in text
    assert " goes on to 3 of 9 epochs: " in text
    assert "stopped, as others did better: " in text


def test_a_refused_trial_has_its_reason(tmp_path: Path) -> None:
    assert " refused: params is " in watched(sweep_of(LINE + "budget: {params: 300}"), tmp_path, console())


def test_on_a_terminal_a_table_shows_counts_the_running_trials_and_the_best(tmp_path: Path) -> None:
    on = console(100, terminal=True)

    class Looks(Toy):
        def train(self, config: Any, folder: Path, stop: Stop | None, watch: Any) -> Outcome:
            watch("epoch 1/3, step 2/5")
            if folder.name == "0003":
                watching._live.refresh()  # type: ignore[union-attr]
            return super().train(config, folder, stop, watch)

    sweep, toy = sweep_of(LINE + "question: Does it?"), Looks()
    with Watching(sweep, tmp_path, on) as watching, open_study(tmp_path, sweep.objectives) as study:
        Search(sweep, tmp_path, study, watching).run(toy, InProcess(toy.train))
    text = said(on)
    for words in ("Does it?", "trials begun: 4 of 5", "epoch 1/3, step 2/5", "best", "●"):
        assert words in text, words
    assert text.endswith("\x1b[?25h") or "\x1b[?25h" in text  # the cursor is back


def test_the_table_goes_when_the_sweep_is_interrupted(tmp_path: Path) -> None:
    on, toy = console(terminal=True), Toy()
    toy.fails[1] = Killed()
    with pytest.raises(Killed):
        watched(sweep_of(LINE), tmp_path, on, toy)
    assert said(on).rindex("\x1b[?25h") > said(on).rindex("\x1b[?25l")


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_status_says_how_a_sweep_stands_at_any_width(tmp_path: Path, width: int) -> None:
    watched(sweep_of(RUNGS + LINE + "question: Does it?"), tmp_path, console())
    text = shown(tmp_path, width)
    assert "Does it?" in text
    assert "trials begun: 5 of 5" in text
    assert "trials that reached 1 epoch: 5" in text
    assert "nothing is left to do: unetsep report" in text
    tables = [line for line in text.splitlines() if "unetsep" not in line]
    assert max(map(len, tables)) <= width


def test_the_status_of_a_sweep_that_was_killed_says_how_to_go_on(tmp_path: Path) -> None:
    toy = Toy()
    toy.fails[2] = Killed()
    with pytest.raises(Killed):
        watched(sweep_of(LINE), tmp_path, console(), toy)
    text = shown(tmp_path)
    assert "trials begun: 3 of 5" in text
    assert f"no driver works on it: unetsep sweep {tmp_path / 'sweep.yaml'} --out {tmp_path} goes on" in text


def test_the_status_shows_what_is_in_training_and_disturbs_nobody(tmp_path: Path) -> None:
    texts: list[str] = []

    class Asks(Toy):
        def train(self, config: Any, folder: Path, stop: Stop | None, watch: Callable[[str], None]) -> Outcome:
            watch("epoch 2/7")
            texts.append(shown(tmp_path, 120))
            return super().train(config, folder, stop, watch)

    watched(sweep_of(LINE), tmp_path, console(), Asks())
    assert all("epoch 2/7" in text and "a driver works on" in text for text in texts)
    assert "1 running" in texts[0]


def test_the_status_counts_hundreds_of_trials(tmp_path: Path) -> None:
    sweep = sweep_of(RUNGS + LINE.replace("trials: 5", "trials: 500"))
    write_yaml(tmp_path / "sweep.yaml", sweep.document)
    for number in range(500):
        scores = {"val/usdr": float(number)}
        cost = {"gmacs_per_second": 1.0 + number}
        folder = tmp_path / "trials" / f"{number:04d}"
        write_result(folder, Result(number, "paused", scores=scores, rungs=(scores,), cost=cost, params={"x": number}))
    assert "trials begun: 500 of 500, 500 paused" in shown(tmp_path)


def test_a_folder_without_a_sweep_has_no_status(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no sweep in .*: it has no sweep.yaml"):
        status(tmp_path, console())


def test_a_line_now_and_then_tells_how_far_a_long_training_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unetsep.sweep.watching.PAUSE", 0.05)
    on, sweep = console(), sweep_of(LINE)
    folder = tmp_path / "trials" / "0000"
    folder.mkdir(parents=True)
    with Watching(sweep, tmp_path, on) as watching, sole(folder / ".worker"):
        watching.begins(Task(0, folder, {}, {"x": 1}, {}, ("val/usdr",)), 1, False)
        (folder / "progress.json").write_text(json.dumps({"line": "epoch 5/9", "time": time.time()}))
        deadline = time.monotonic() + 20
        while "0000: epoch 5/9" not in said(on) and time.monotonic() < deadline:
            time.sleep(0.02)
    assert said(on).count("0000: epoch 5/9") == 1
