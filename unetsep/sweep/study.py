"""The Optuna study of a run folder: a file in it for one driver, or in a PostgreSQL database for several."""

import os
import platform
import secrets
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.study import StudyDirection
from sqlalchemy import URL
from sqlalchemy.exc import OperationalError

from unetsep.audio.files import InputError
from unetsep.sweep.belonging import FILE, new_name, read_name, write_name
from unetsep.sweep.lock import sole
from unetsep.sweep.postgresql import DatabaseGoneError, Server, reason_of
from unetsep.sweep.reading import Reading

GLANCE = 1.0  # seconds in which whoever looks whether there is a driver has looked
STUDY = "sweep"  # the name of the only study in a file: not the folder's, so that a folder can be renamed and copied


class SweepStudy(optuna.Study):
    """A study that is asked and told, and remembers when its sampler has nothing new to offer.

    Args:
        name: the study's name in the storage.
        storage: where it is.
        driver: what this process calls itself, unlike any other.
        server: the connection by which drivers know of each other; None where there is only one driver.
    """

    def __init__(self, name: str, storage: optuna.storages.RDBStorage, driver: str, server: Server | None = None):
        super().__init__(name, Reading(storage))
        self.database = storage.engine
        self.driver = driver
        self.server = server

    @property
    def shared(self) -> bool:
        """Whether other drivers may work on it as well."""
        return self.server is not None

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Meanwhile no other driver of the study decides anything, and all that others decided is known here."""
        if self.server is None:
            yield
            return
        with self.server.alone("study", self.study_name):
            # within a trial samplers see what Optuna read when it was asked for, which may be long ago
            self._thread_local.cached_all_trials = None
            yield

    def lives(self, driver: str) -> bool:
        """Whether the process still runs that called itself so."""
        return driver == self.driver or (self.server is not None and self.server.lives(driver))

    @property
    def exhausted(self) -> bool:
        """Whether an exhaustive sampler has gone through the whole space."""
        return bool(self.user_attrs.get("exhausted", False))

    def secure(self) -> None:
        """Sees to it that what the study knows now outlives a power cut; a PostgreSQL server does so by itself."""
        if self.server is None:
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
    """The study of a run folder, made if there is none; closed, with all its files, at the end.

    Args:
        run: the run folder.
        objectives: `maximize` or `minimize` by measure.
        storage: `postgresql+psycopg://user@host:port/database`, a database where several drivers, on machines that see
            the same run folder, work on the study at once; None for the file `study.db` in the folder and one driver.

    Raises:
        InputError: if there is no study there and none can be made, it has other objectives, the folder is a copy of
            that of a study in a database, or another process works on a study in a file.
        DatabaseGoneError: if it cannot be reached any more, whatever was being done with it.
    """
    run.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    driver = f"{platform.node()} {os.getpid()} {secrets.token_hex(4)}"
    with _in_file(run, objectives, driver) if storage is None else _shared(run, objectives, driver, storage) as study:
        try:
            yield study
        except (OperationalError, optuna.exceptions.StorageInternalError) as error:
            cause = error if isinstance(error, OperationalError) else error.__cause__
            if not isinstance(cause, OperationalError):
                raise  # a mistake of ours, whose traceback is needed
            what = f"the study in {run / 'study.db'} cannot be written"
            if study.server is not None:
                what = f"the study's database {study.server.name} is gone"
            raise DatabaseGoneError(what, reason_of(error)) from None


@contextmanager
def _in_file(run: Path, objectives: Mapping[str, str], driver: str) -> Iterator[SweepStudy]:
    if (run / FILE).is_file() and read_name(run) is not None:
        raise InputError(f"the study of {run} is in a PostgreSQL database; give its address by --storage")
    with sole_driver(run):
        url = URL.create("sqlite", database=str(run.absolute() / "study.db")).render_as_string()
        try:
            database = optuna.storages.RDBStorage(url, {"connect_args": {"timeout": 60, "factory": _Connection}})
        except Exception as error:  # sqlalchemy's own, of many kinds
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{run / 'study.db'} cannot be opened as a study ({reason}); give another --out") from None
        with _closing(database):
            name = next(iter(optuna.get_all_study_names(database)), STUDY)
            _make(name, database, objectives, run)
            yield SweepStudy(name, database, driver)


@contextmanager
def _shared(run: Path, objectives: Mapping[str, str], driver: str, storage: str) -> Iterator[SweepStudy]:
    if (run / "study.db").is_file():
        raise InputError(f"the study of {run} is in its study.db; leave out storage, or give another --out")
    with ExitStack() as stack:
        server = Server(storage, driver)
        stack.callback(server.close)
        with server.alone("making of studies"), server.understood():
            database = server.storage()
            stack.enter_context(_closing(database))
            name = read_name(run)
            if name is None:
                name = new_name(run)
                _make(name, database, objectives, run)
                write_name(run, name)  # last: a folder's study is there, or somewhere else
            elif name in optuna.get_all_study_names(database):
                _make(name, database, objectives, run)
            else:
                raise InputError(f"{server.name} has no study {name}, which is that of {run}; give the address it had")
        yield SweepStudy(name, database, driver, server)


@contextmanager
def _closing(database: optuna.storages.RDBStorage) -> Iterator[None]:
    try:
        yield
    finally:
        database.remove_session()
        database.engine.dispose()


def _make(name: str, database: optuna.storages.RDBStorage, objectives: Mapping[str, str], run: Path) -> None:
    """Makes the study, or sees that it is the one that is wanted."""
    directions = [StudyDirection[direction.upper()] for direction in objectives.values()]
    study = optuna.create_study(storage=database, study_name=name, directions=directions, load_if_exists=True)
    with experiments_allowed():
        if study.metric_names is None and study.directions == directions:
            study.set_metric_names(list(objectives))
        names = study.metric_names
    if names != list(objectives) or study.directions != directions:
        has = _listed(names or ["?"] * len(study.directions), study.directions)
        raise InputError(
            f"the study of {run} has other objectives ({has}) than {_listed(list(objectives), directions)}; "
            "give another --out"
        )


def _listed(names: list[str], directions: list[StudyDirection]) -> str:
    return ", ".join(f"{name}: {way.name.lower()}" for name, way in zip(names, directions, strict=True))


@contextmanager
def experiments_allowed() -> Iterator[None]:
    """Silences Optuna's word that a feature may change: our tests say whether it did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


@contextmanager
def sole_driver(run: Path) -> Iterator[None]:
    """Holds the run folder."""
    try:
        with sole(run / ".driver", GLANCE):
            yield
    except TimeoutError:
        raise InputError(f"another `unetsep sweep` works on {run}; wait for it, or give another --out") from None
