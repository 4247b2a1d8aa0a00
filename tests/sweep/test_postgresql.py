import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from unetsep.audio.files import InputError
from unetsep.sweep.postgresql import DatabaseGoneError, without_password
from unetsep.sweep.study import SweepStudy, open_study
from unetsep.sweep.trials import read_result

from .server import PostgreSQL
from .sharing import AIMS, Drivers


@pytest.fixture(scope="module")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drivers]:
    drivers = Drivers(tmp_path_factory.mktemp("drivers"))
    yield drivers
    drivers.close()


@pytest.fixture(scope="module")
def server(drivers: Drivers) -> Iterator[PostgreSQL]:  # the drivers' imports take longer
    server = PostgreSQL()
    yield server
    server.remove()


def both(stack: ExitStack, run: Path, url: str) -> tuple[SweepStudy, SweepStudy]:
    return stack.enter_context(open_study(run, AIMS, url)), stack.enter_context(open_study(run, AIMS, url))


def test_drivers_make_one_study_and_ask_and_tell_at_once(server: PostgreSQL, drivers: Drivers, tmp_path: Path) -> None:
    server.sql("CREATE DATABASE fresh")
    begun = [drivers.begin("ask", tmp_path, server.url("fresh")) for _ in range(3)]
    assert [drivers.end(pid) for pid, _ in begun] == [0, 0, 0]
    numbers = [[int(line) for line in log.read_text().split()] for _, log in begun]
    assert sorted(number for own in numbers for number in own) == list(range(45))
    with open_study(tmp_path, AIMS, server.url("fresh")) as study:
        trials = study.get_trials()
    assert [(trial.state, trial.values) for trial in trials] == [
        (TrialState.COMPLETE, [float(number), 1.0]) for number in range(45)
    ]
    claims = {trial.number: trial.user_attrs["work"]["driver"] for trial in trials}
    assert all(len({claims[number] for number in own}) == 1 for own in numbers)


def test_drivers_share_the_work_and_finish_what_a_killed_one_left(
    server: PostgreSQL, drivers: Drivers, tmp_path: Path
) -> None:
    started = [drivers.begin("search", tmp_path / "run", server.url(), 3, fatal) for fatal in (1, -1, -1)]
    assert [drivers.end(pid) for pid, _ in started] == [-9, 0, 0]
    begun = Counter(line for _, log in started for line in log.read_text().splitlines())
    with open_study(tmp_path / "run", AIMS, server.url()) as study:
        trials = study.get_trials()
    results = [read_result(tmp_path / "run" / "trials" / f"{trial.number:04d}") for trial in trials]
    trained = [result for result in results if result is not None and result.trained]
    assert len(trained) == 10
    assert {result.state for result in trained} == {"complete", "stopped"}
    assert [trial.state for trial in trials if "work" in trial.user_attrs] == [TrialState.COMPLETE] * 10
    # only what was being trained by the killed one was begun twice
    assert sum(begun.values()) == sum(len(result.rungs) for result in trained) + 1
    assert len(begun) == sum(len(result.rungs) for result in trained)


def test_a_driver_lives_until_it_is_killed_and_lets_go_of_its_decision(
    server: PostgreSQL, drivers: Drivers, tmp_path: Path
) -> None:
    pid, log = drivers.begin("hold", tmp_path, server.url())
    with open_study(tmp_path, AIMS, server.url()) as study:
        while not (driver := log.read_text().strip() if log.is_file() else ""):
            time.sleep(0.05)
        assert study.lives(driver)
        assert study.lives(study.driver)
        assert not study.lives("nobody 1 00000000")
        os.kill(pid, signal.SIGKILL)
        begin = time.monotonic()
        with study.deciding():
            assert not study.lives(driver)
        assert time.monotonic() - begin < 5
    assert drivers.end(pid) == -9


def test_one_driver_decides_at_a_time(server: PostgreSQL, tmp_path: Path) -> None:
    with ExitStack() as stack:
        first, second = both(stack, tmp_path, server.url())
        assert first.study_name == second.study_name
        assert first.driver != second.driver
        said: list[str] = []

        def wait() -> None:
            with second.deciding():
                said.append("second")

        with first.deciding():
            waits = threading.Thread(target=wait)
            waits.start()
            waits.join(0.3)
            said.append("first")
        waits.join()
    assert said == ["first", "second"]


def test_studies_do_not_wait_for_each_other(server: PostgreSQL, tmp_path: Path) -> None:
    with (
        open_study(tmp_path / "one", AIMS, server.url()) as one,
        open_study(tmp_path / "two", AIMS, server.url()) as two,
        one.deciding(),
        two.deciding(),
    ):
        assert one.study_name != two.study_name


def test_who_decides_knows_what_others_told_meanwhile(server: PostgreSQL, tmp_path: Path) -> None:
    with ExitStack() as stack:
        first, second = both(stack, tmp_path, server.url())
        number = first.ask().number
        assert second._get_trials(use_cache=True)[number].state == TrialState.RUNNING
        first.set_user_attr("exhausted", True)
        first.tell(number, [1.0, 2.0])
        with second.deciding():
            assert second.exhausted
            assert second.get_trials()[number].values == [1.0, 2.0]
            assert second._get_trials(use_cache=True)[number].values == [1.0, 2.0]  # what samplers look at


def decide(study: SweepStudy, stop: Callable[[], None]) -> None:
    stop()
    with study.deciding():
        pass


def look(study: SweepStudy, stop: Callable[[], None]) -> None:
    stop()
    study.get_trials()


def live(study: SweepStudy, stop: Callable[[], None]) -> None:
    stop()
    study.lives("somebody")


def tell(study: SweepStudy, stop: Callable[[], None]) -> None:
    with study.deciding():
        number = study.ask().number
        stop()
        study.tell(number, [1.0, 2.0])


def ask(study: SweepStudy, stop: Callable[[], None]) -> None:
    with study.deciding():
        stop()
        study.ask()


@pytest.fixture
def mortal() -> Iterator[PostgreSQL]:
    server = PostgreSQL()
    yield server
    server.remove()


def gone(server: PostgreSQL, run: Path, act: Callable[[SweepStudy], None]) -> str:
    with pytest.raises(DatabaseGoneError) as caught, open_study(run, AIMS, server.url()) as study:
        act(study)
    assert caught.value.exit_code == 4  # what the command ends with
    return str(caught.value)


def test_a_server_that_stops_ends_a_sweep_with_one_line(
    mortal: PostgreSQL, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    where = re.escape(f"postgresql+psycopg://owner@127.0.0.1:{mortal.port}/studies")
    for act in (decide, look, live, tell, ask):
        said = gone(mortal, tmp_path, partial(act, stop=mortal.stop))
        assert re.fullmatch(rf"the study's database {where} is gone \(.+\); start again to go on", said)
        mortal.start()
    assert capfd.readouterr().err == ""


def test_a_driver_whose_connection_was_lost_does_not_go_on_by_another(mortal: PostgreSQL, tmp_path: Path) -> None:
    def act(study: SweepStudy) -> None:
        mortal.stop()
        mortal.start()
        with suppress(StorageInternalError):
            study.get_trials()
        study.get_trials()  # by a new connection; but others may have taken this driver for dead

    gone(mortal, tmp_path, act)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"password": "hunter2"}, r"password authentication failed.*; the password is looked for in PGPASSWORD and in"),
        ({"database": "none"}, r"database \"none\" does not exist.*; `createdb none` on the server makes a database"),
        ({"port": 1}, r"cannot be opened \(.*[Cc]onnection refused.*\); see that it runs, that it lets you in, and"),
    ],
)
def test_what_keeps_a_database_shut_is_said_without_the_password(
    server: PostgreSQL, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught, open_study(tmp_path, AIMS, server.url(**change)):
        pass
    assert "\n" not in str(caught.value)
    assert not re.search("hunter2|secret.*word", str(caught.value))


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        (
            "sqlite:///study.db",
            r"storage: is of sqlite, but must be like postgresql\+psycopg://user@host:5432/database",
        ),
        ("postgresql://user:hunter2@host/studies", r"storage: is of postgresql, but must be like postgresql\+psycopg"),
        (
            "mysql+pymysql://user:hunter2@host/studies",
            r"storage: is of mysql\+pymysql, .* left out, the study is a file",
        ),
        ("user:hunter2@host", r"storage: is no address of a database; it must be like postgresql\+psycopg://"),
        ("postgresql+psycopg://user:hunter2@host:port/studies", r"storage: is no address of a database; it must be"),
    ],
)
def test_what_drivers_cannot_share_is_refused(tmp_path: Path, storage: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught, open_study(tmp_path, AIMS, storage):
        pass
    assert "hunter2" not in str(caught.value)


def test_without_psycopg_it_is_said_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with (
        pytest.raises(InputError, match=r"needs psycopg: pip install 'unetsep\[postgresql\]'"),
        open_study(tmp_path, AIMS, "postgresql+psycopg://user@host/studies"),
    ):
        pass


def test_passwords_are_taken_out_of_an_address() -> None:
    address = "postgresql+psycopg://user:hunter2@host:5433/studies?password=hunter2&sslmode=require"
    assert without_password(address) == "postgresql+psycopg://user@host:5433/studies?sslmode=require"


def test_the_password_may_stand_in_the_environment(
    server: PostgreSQL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret word")
    with open_study(tmp_path, AIMS, without_password(server.url())) as study:
        assert study.get_trials() == []


def test_a_study_with_other_objectives_is_refused(server: PostgreSQL, tmp_path: Path) -> None:
    with open_study(tmp_path, AIMS, server.url()):
        pass
    for other in ({"val/usdr": "maximize"}, {**AIMS, "val/usdr": "minimize"}, dict(reversed(AIMS.items()))):
        with (
            pytest.raises(InputError, match=r"has other objectives \(val/usdr: maximize, cost/.*give another --out"),
            open_study(tmp_path, other, server.url()),
        ):
            pass


def test_a_renamed_folder_keeps_its_study_and_a_copy_does_not_touch_it(server: PostgreSQL, tmp_path: Path) -> None:
    run, renamed, copy = tmp_path / "it's a run", tmp_path / "renamed", tmp_path / "a copy"
    with open_study(run, AIMS, server.url()) as study:
        study.ask()
    run.rename(renamed)
    with open_study(renamed, AIMS, server.url()) as study:
        assert len(study.get_trials()) == 1
    shutil.copytree(renamed, copy)
    with (
        pytest.raises(InputError, match=r"seems to be a copy, and the study .* is the original's; .* echo ") as caught,
        open_study(copy, AIMS, server.url()),
    ):
        pass
    shutil.rmtree(renamed)
    subprocess.run(["sh", "-c", str(caught.value).partition("say so: ")[2]], check=True)
    with open_study(copy, AIMS, server.url()) as study:
        assert len(study.get_trials()) == 1


def test_a_folder_has_one_study_in_one_place(server: PostgreSQL, tmp_path: Path) -> None:
    server.sql("CREATE DATABASE another")
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    with open_study(shared, AIMS, server.url()):
        pass
    with open_study(alone, AIMS):
        pass
    with pytest.raises(InputError, match=r"has no study shared-.*; give the address it had"):
        open_study(shared, AIMS, server.url("another")).__enter__()
    with pytest.raises(InputError, match=r"is in a PostgreSQL database; give its address by --storage"):
        open_study(shared, AIMS).__enter__()
    with pytest.raises(InputError, match=r"is in its study.db; leave out storage, or give another --out"):
        open_study(alone, AIMS, server.url()).__enter__()
