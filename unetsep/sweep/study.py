"""The Optuna study in a run folder, and the lock that gives it one driver at a time."""

import os
import platform
import secrets
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.study import StudyDirection
from sqlalchemy import URL

from unetsep.audio.files import InputError
from unetsep.sweep.lock import sole

STUDY = "sweep"  # the name of the only study in a file: not the folder's, so that a folder can be renamed and copied


class SweepStudy(optuna.Study):
    """A study that is asked and told, and remembers when its sampler has nothing new to offer."""

    def __init__(self, name: str, storage: optuna.storages.RDBStorage):
        super().__init__(name, storage)
        self.database = storage.engine
        self.driver = f"{platform.node()} {os.getpid()} {secrets.token_hex(4)}"

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Meanwhile no other driver of the study decides anything."""
        yield

    def lives(self, driver: str) -> bool:
        """Whether the process still runs that called itself so."""
        return driver == self.driver

    @property
    def exhausted(self) -> bool:
        """Whether an exhaustive sampler has gone through the whole space."""
        return bool(self.user_attrs.get("exhausted", False))

    def secure(self) -> None:
        """Sees to it that what the study knows now outlives a power cut."""
        with self.database.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(FULL)")

    def stop(self) -> None:
        """Takes a sampler's word that it is at its end, which Optuna itself allows within `optimize` only."""
        self.set_user_attr("exhausted", True)


class _Connection(sqlite3.Connection):
    """Writes ahead: a dashboard may read meanwhile, and a trial's many commits need not wait for the disk.

    A kill of the process loses nothing; for power cuts there is `SweepStudy.secure`.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA journal_mode = WAL")
        self.execute("PRAGMA synchronous = NORMAL")


@contextmanager
def open_study(run: Path, objectives: Mapping[str, str], storage: str | None = None) -> Iterator[SweepStudy]:
    """The study in `run/study.db`, made if there is none; closed, with all its files, at the end.

    Args:
        run: the run folder.
        objectives: `maximize` or `minimize` by measure.

    Raises:
        InputError: if the file is no study, or another process works on it.
    """
    run.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with _sole_driver(run):
        url = URL.create("sqlite", database=str(run.absolute() / "study.db")).render_as_string()
        try:
            database = optuna.storages.RDBStorage(url, {"connect_args": {"timeout": 60, "factory": _Connection}})
        except Exception as error:  # sqlalchemy's own, of many kinds
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{run / 'study.db'} cannot be opened as a study ({reason}); give another --out") from None
        try:
            directions = [StudyDirection[direction.upper()] for direction in objectives.values()]
            name = next(iter(optuna.get_all_study_names(database)), STUDY)
            optuna.create_study(storage=database, study_name=name, directions=directions, load_if_exists=True)
            study = SweepStudy(name, database)
            with experiments_allowed():
                study.set_metric_names(list(objectives))
            yield study
        finally:
            database.remove_session()
            database.engine.dispose()


@contextmanager
def experiments_allowed() -> Iterator[None]:
    """Silences Optuna's word that a feature may change: our tests say whether it did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


@contextmanager
def _sole_driver(run: Path) -> Iterator[None]:
    """Holds the run folder."""
    try:
        with sole(run / ".driver"):
            yield
    except TimeoutError:
        raise InputError(f"another `unetsep sweep` works on {run}; wait for it, or give another --out") from None
