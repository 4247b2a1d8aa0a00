import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from unetsep.sweep import progress
from unetsep.sweep.progress import Lines, duration
from unetsep.sweep.trials import Result, Task

from .toy import sweep_of

SWEEP = sweep_of("space: {x: {int: [1, 9]}}\ntrials: 4")
PARAMS = {
    "net.init_args.depth": 3,
    "net.init_args.skip_at.0": "Drop",
    "lr": 0.00123456,
    "base": "base/a.yaml",
}
SETTINGS = "depth 3, skip_at.0 Drop, lr 0.00123, base a"


def lines(terminal: bool = False) -> tuple[Lines, io.StringIO]:
    out = io.StringIO()
    return Lines(SWEEP, Console(file=out, width=40, force_terminal=terminal)), out


def task(number: int = 7) -> Task:
    return Task(number, Path(), {}, PARAMS, {"gmacs_per_second": 0.123456}, ())


def result(**more: object) -> Result:
    values: dict = {"number": 7, "state": "complete", "params": PARAMS, "seconds": 8.24} | more
    return Result(scores={"val/usdr": 4.56789}, cost={"gmacs_per_second": 0.123456}, **values)


def test_a_trial_has_a_line_when_it_begins_and_a_line_when_it_ends() -> None:
    told, out = lines()
    told.begins(task(), 1, False)
    told.ends(result(), 2)
    assert out.getvalue().splitlines() == [
        f"trial 0007 (2/4): 0.123 GMAC/s, {SETTINGS}",
        f"0007 complete: val/usdr 4.568, cost/gmacs_per_second 0.1235 in 8.2 s | {SETTINGS} | about 16.5 s left",
    ]


def test_a_trial_that_is_not_trained_or_fails_says_why() -> None:
    told, out = lines()
    told.ends(result(state="refused", reason="params is 9, over the budget of 8"), 0)
    told.ends(result(state="failed", reason="RuntimeError: [red]no[/red] memory"), 4)
    assert out.getvalue().splitlines() == [
        f"0007 refused: params is 9, over the budget of 8 | {SETTINGS}",
        f"0007 failed: RuntimeError: [red]no[/red] memory | {SETTINGS}",
    ]


def test_a_long_training_has_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    told, out = lines()
    now = [100.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    told.begins(task(), 0, True)
    for second in (101, 110, 116, 120, 132):
        now[0] = second
        told.watches(f"second {second}")
    assert "going on where it was stopped" in out.getvalue()
    assert out.getvalue().splitlines()[1:] == ["    second 116", "    second 132"]


def test_a_terminal_has_a_live_line_instead() -> None:
    told, out = lines(terminal=True)
    told.begins(task(), 0, False)
    told.watches("epoch 1/3, step 2/9")
    assert told.status._live.is_started
    live = told.status.status
    assert isinstance(live, Text)
    assert live.plain == f"trial 0007 (1/4): epoch 1/3, step 2/9 | 0.123 GMAC/s, {SETTINGS}"
    assert live.no_wrap
    told.ends(result(), 1)
    assert not told.status._live.is_started
    assert "0007 complete: val/usdr 4.568" in out.getvalue()


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (8.24, "8.2 s"), (59.94, "59.9 s"), (61, "1 min 1 s"), (7500, "2 h 5 min")]
)
def test_durations_are_said_as_one_reads_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said
