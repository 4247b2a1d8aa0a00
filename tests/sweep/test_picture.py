import json
import os
import sys
import time
from collections.abc import Iterator
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import pytest
from rich.console import Console

from unetsep.sweep.picture import Picture
from unetsep.sweep.snapshot import Board, Running, Snapshot
from unetsep.sweep.trials import Result, Task, trial_folder
from unetsep.sweep.watching import Watching

from .toy import sweep_of

SWEEP = sweep_of(
    "question: How far?\nspace: {x: {int: [1, 9]}}\ntrials: 40\nrungs: {unit: epochs, first: 1, eta: 3, last: 9}"
)
PARAMS = {f"model.separator.init_args.net.init_args.{key}": 12345 for key in ("depth", "channels", "growth", "layers")}
LINE = "epoch 1/9, step 5/20"


def console(width: int = 80, height: int = 30, terminal: bool = True) -> Console:
    return Console(file=StringIO(), width=width, height=height, force_terminal=terminal, color_system=None, _environ={})


def drawn(picture: Picture, on: Console) -> list[str]:
    return ["".join(part.text for part in line).rstrip() for line in on.render_lines(picture, pad=False)]


def snapshot(running: int = 1, **more: object) -> Snapshot:
    result = Result(50, "paused", scores={"val/usdr": 1.5}, rungs=({}, {}), params=PARAMS, **more)  # type: ignore[arg-type]
    trainings = [Running(number, 0, PARAMS, 0.0, LINE) for number in range(running)]
    return Snapshot(Board(SWEEP, {50: result}), trainings)


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Watching]:
    with Watching(SWEEP, tmp_path, console()) as watching:
        yield watching


def task(number: int = 7) -> Task:
    return Task(number, Path(), {}, PARAMS, {}, ())


def test_in_a_narrow_terminal_settings_are_cut_before_how_far_a_training_is() -> None:
    lines = drawn(Picture(snapshot(), 90.0), console(80))
    assert max(map(len, lines)) <= 80
    row = next(line for line in lines if "0000" in line)
    assert LINE in row
    assert "1 of 9" in row
    assert "1 min 30 s" in row
    assert row.endswith("…")


def test_a_picture_is_no_taller_than_the_terminal() -> None:
    on = console(height=30)
    lines = drawn(Picture(snapshot(running=40), 0.0, height=on.height), on)
    assert len(lines) < 30
    assert any("and 26 more" in line for line in lines)


def test_a_score_over_several_seeds_stands_with_its_spread() -> None:
    lines = drawn(Picture(snapshot(spread={"val/usdr": 0.0312}), 0.0), console(100))
    assert any("1.5 ±0.031" in line for line in lines)


def test_a_stream_that_knows_ascii_only_gets_a_star_and_question_marks(tmp_path: Path) -> None:
    file = TextIOWrapper(BytesIO(), "ascii", write_through=True)
    on = Console(file=file, width=80)
    watching = Watching(SWEEP, tmp_path, on)
    on.print(Picture(snapshot(cost={"gmacs_per_second": 1.0}, spread={"val/usdr": 0.5}), 0.0))
    watching.says("± 0.5")
    shown = file.buffer.getvalue().decode().splitlines()
    assert any(line.startswith("*  0050") for line in shown)
    assert shown[-1] == "? 0.5"


def test_what_a_training_says_is_never_read_as_markup(watching: Watching, tmp_path: Path) -> None:
    folder = trial_folder(tmp_path, 7)
    folder.mkdir(parents=True)
    (folder / "progress.json").write_text(json.dumps({"line": "[red]epoch[/red]", "time": time.time()}))
    watching.begins(task(), 1, False)
    assert "[red]epoch[/red]" in watching.console.file.getvalue()  # type: ignore[attr-defined]


def test_the_table_follows_a_training_that_blocks_whoever_tells(watching: Watching, tmp_path: Path) -> None:
    watching.begins(task(), 1, False)
    folder = trial_folder(tmp_path, 7)
    folder.mkdir(parents=True)
    (folder / "progress.json").write_text(json.dumps({"line": LINE, "time": time.time()}))
    until = time.monotonic() + 20
    while LINE not in watching.console.file.getvalue() and time.monotonic() < until:  # type: ignore[attr-defined]
        time.sleep(0.02)
    assert LINE in watching.console.file.getvalue()  # type: ignore[attr-defined]


def test_after_ctrl_c_every_line_of_the_table_is_gone_and_the_cursor_back(tmp_path: Path) -> None:
    on, before = console(), (sys.stdout, sys.stderr)

    def sweep() -> None:
        with Watching(SWEEP, tmp_path, on) as watching:
            watching.begins(task(), 1, False)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep()
    assert (sys.stdout, sys.stderr) == before
    end = on.file.getvalue().rpartition("0007")[2]  # type: ignore[attr-defined]
    assert "\x1b[?25h" in end
    assert end.endswith("\x1b[1A\x1b[2K")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forked processes")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_worker_prints_without_touching_the_table(
    watching: Watching, capfd: pytest.CaptureFixture[str]
) -> None:
    watching.begins(task(), 1, False)
    assert watching._live is not None
    shown = watching.console.file.tell()
    with watching._live._lock:  # held by a thread that a forked process does not have
        child = os.fork()
        if child == 0:
            print("a worker's word", flush=True)
            os._exit(watching.console.file.tell() - shown)
        assert os.waitpid(child, 0)[1] == 0
    assert "a worker's word" in capfd.readouterr().out
