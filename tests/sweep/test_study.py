import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import event

from unetsep.audio.files import InputError
from unetsep.sweep.postgresql import DatabaseGoneError
from unetsep.sweep.study import SweepStudy, open_study

from .toy import run, sweep_of


def test_a_folder_with_an_odd_name_holds_a_study_too(tmp_path: Path) -> None:
    folder = tmp_path / "what? 50% #1 & 'more'"
    run(sweep_of("space: {x: {int: [1, 100]}}\ntrials: 2"), folder)
    assert (folder / "study.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_nothing_but_the_study_itself_is_left_when_it_is_closed(tmp_path: Path) -> None:
    run(sweep_of("space: {x: {int: [1, 100]}}\ntrials: 2"), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("study")) == ["study.db"]


def test_a_file_that_is_no_study_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("no database at all, and longer than a header of a hundred bytes would be " * 3)
    with pytest.raises(InputError, match=r"study.db cannot be opened as a study .*; give another --out"):
        run(sweep_of("space: {x: {int: [1, 100]}}\ntrials: 2"), tmp_path)


def test_the_lock_is_let_go_of_by_a_process_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import os, pathlib\nfrom unetsep.sweep.study import open_study\n"
        f"with open_study(pathlib.Path({str(tmp_path)!r}), {{'val/usdr': 'maximize'}}):\n    os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    with open_study(tmp_path, {"val/usdr": "maximize"}) as study:
        assert study.trials == []


def test_a_driver_has_a_file_to_itself(tmp_path: Path) -> None:
    with open_study(tmp_path, {"val/usdr": "maximize"}) as study:
        with pytest.raises(
            InputError, match=r"another `unetsep sweep` works on .*; wait for it, or give another --out"
        ):
            open_study(tmp_path, {"val/usdr": "maximize"}).__enter__()
        assert not study.shared
        assert study.lives(study.driver)
        assert not study.lives("host 1 00000000")
        with study.deciding():
            study.secure()
        before = study.driver
    with open_study(tmp_path, {"val/usdr": "maximize"}) as study:
        assert study.driver != before


@pytest.mark.parametrize(
    "other", [{"val/usdr": "minimize"}, {"val/csdr": "maximize"}, {"val/usdr": "maximize", "cost/params": "minimize"}]
)
def test_a_study_with_other_objectives_is_refused(tmp_path: Path, other: dict[str, str]) -> None:
    with open_study(tmp_path, {"val/usdr": "maximize"}):
        pass
    with pytest.raises(InputError, match=r"has other objectives \(val/usdr: maximize\) than .*; give another --out"):
        open_study(tmp_path, other).__enter__()


def test_a_disk_that_is_full_ends_a_sweep_with_one_line(tmp_path: Path) -> None:
    def write(study: SweepStudy) -> None:
        event.listen(study.database, "checkout", lambda connection, *_: connection.execute("PRAGMA max_page_count = 1"))
        study.set_user_attr("long", "x" * 100_000)

    says = r"the study in .*study.db cannot be written \(.* full\); start again to go on"
    with pytest.raises(DatabaseGoneError, match=says), open_study(tmp_path, {"val/usdr": "maximize"}) as study:
        write(study)


def test_the_dashboard_shows_the_study_while_the_sweep_works_on_it(tmp_path: Path) -> None:
    run(sweep_of("space: {x: {int: [1, 100]}}\ntrials: 3\nbudget: {params: 900}"), tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dashboard = pytest.importorskip("optuna_dashboard")
    with open_study(tmp_path, {"val/usdr": "maximize", "cost/gmacs_per_second": "minimize"}):
        storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/study.db")
        app = dashboard.wsgi(storage)

        def get(path: str) -> Any:
            status: list[str] = []
            environ = {
                "REQUEST_METHOD": "GET",
                "PATH_INFO": path,
                "QUERY_STRING": "",
                "SERVER_NAME": "test",
                "SERVER_PORT": "80",
                "wsgi.url_scheme": "http",
            }
            body = b"".join(app(environ, lambda line, *_: status.append(line)))
            assert status == ["200 OK"]
            return json.loads(body)

        [summary] = get("/api/studies")["study_summaries"]
        detail = get(f"/api/studies/{summary['study_id']}")
        storage.engine.dispose()
    assert summary["study_name"] == "sweep"
    assert detail["objective_names"] == ["val/usdr", "cost/gmacs_per_second"]
    assert sum(trial["state"] == "Complete" for trial in detail["trials"]) == 3
