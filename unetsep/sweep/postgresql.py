"""A database that several drivers share: which of them live, and which of them decides.

Both rest on PostgreSQL's advisory locks, which last as long as the connection that took them. The server ends that of
a killed process at once, and that of a machine which vanished when its keepalives stay unanswered, after a minute.
"""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import optuna
from sqlalchemy import URL, Connection, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from unetsep.audio.files import InputError

DIALECT = "postgresql+psycopg"
FORM = f"{DIALECT}://user@host:5432/database"
# what the client asks of the system; an address may say otherwise
_CLIENT = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "application_name": "unetsep",
}
# what it asks of the server, as far as its version knows it: the same, and no end to waiting
_SERVER = {
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "idle_session_timeout": "0",
    "statement_timeout": "0",
    "lock_timeout": "0",
}


class DatabaseGoneError(RuntimeError):
    """The study cannot be reached or written any more; nothing is lost that was trained."""

    exit_code = 4

    def __init__(self, what: str, reason: str):
        super().__init__(f"{what} ({reason}); start again to go on")


def address(storage: str) -> URL:
    """The parsed address of a database that drivers can share.

    Raises:
        InputError: if it is none; the message does not hold it, for there may be a password in it.
    """
    try:
        url = make_url(storage)
    except (ArgumentError, ValueError):
        raise InputError(f"storage: is no address of a database; it must be like {FORM}, or left out") from None
    if url.drivername != DIALECT:
        raise InputError(
            f"storage: is of {url.drivername}, but must be like {FORM}; left out, the study is a file of the run folder"
        )
    return url


def without_password(storage: str) -> str:
    """The address without the password, which is then looked for in the variable PGPASSWORD and in ~/.pgpass.

    Raises:
        InputError: if it is no address.
    """
    url = address(storage).difference_update_query(["password", "sslpassword"])
    return URL.create(
        url.drivername, url.username, None, url.host, url.port, url.database, url.query
    ).render_as_string()


def reason_of(error: BaseException) -> str:
    """What the database says, in one line, without the statement and its values."""
    cause = error if isinstance(error, DBAPIError) else error.__cause__ or error
    said = cause.orig if isinstance(cause, DBAPIError) else cause
    first = next(iter(str(said).strip().splitlines()), "")  # what follows is advice for other programs
    return " ".join(first.split())[:300] or type(said).__name__


class Server:
    """One driver's connection to a shared database, by which the others know that it lives.

    Args:
        storage: the database's address.
        driver: what the driver calls itself.

    Raises:
        InputError: if there is no such database, or it does not let us in.
    """

    def __init__(self, storage: str, driver: str):
        url = address(storage)
        self.name = without_password(storage)
        self.driver = driver
        self.url = url.update_query_dict({key: value for key, value in _CLIENT.items() if key not in url.query})
        try:
            engine = create_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        except ImportError:
            raise InputError(f"storage: {DIALECT} needs psycopg: pip install 'unetsep[postgresql]'") from None
        with self.understood():
            self._connection: Connection = engine.connect()
            _ask_for_keepalives(self._connection.connection.dbapi_connection)
            self._ask("SELECT pg_advisory_lock(:key)", _key("driver", driver))

    def storage(self) -> optuna.storages.RDBStorage:
        """Optuna's view of the database; one driver at a time may make it, for it makes the tables.

        Two connections per driver are all: a lost one is not made anew unless ours, with its locks, still stands.

        Raises:
            InputError: if Optuna cannot work with the database.
        """
        # Optuna prints pages about a lost connection before it raises what we say in one line
        logging.getLogger("optuna.storages._rdb.storage").setLevel(logging.ERROR)
        url = self.url.render_as_string(hide_password=False)
        with self.understood():
            storage = optuna.storages.RDBStorage(url, {"pool_size": 1, "max_overflow": 1})
        event.listen(storage.engine, "connect", self._connected)
        storage.engine.dispose()  # the connections it has were not told to keep alive
        return storage

    @contextmanager
    def alone(self, kind: str, name: str = "") -> Iterator[None]:
        """Meanwhile no other driver is within the same, of whatever machine; waits for that."""
        key = _key(kind, name)
        self._ask("SELECT pg_advisory_lock(:key)", key)
        try:
            yield
        finally:
            self._ask("SELECT pg_advisory_unlock(:key)", key)

    def lives(self, driver: str) -> bool:
        """Whether a driver still holds its connection."""
        # shared: two that ask at once do not take each other for the driver
        free = self._ask("SELECT pg_try_advisory_xact_lock_shared(:key)", _key("driver", driver))
        return driver == self.driver or not free

    def close(self) -> None:
        """Lets go of everything."""
        with suppress(SQLAlchemyError):
            self._connection.invalidate()
            self._connection.close()

    @contextmanager
    def understood(self) -> Iterator[None]:
        """Says in one line, without a password, what keeps us from opening the database."""
        try:
            yield
        except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError) as error:
            if isinstance(error, DatabaseGoneError):
                raise
            reason = reason_of(error)
            hint = "see that it runs, that it lets you in, and that the address is right"
            if "password" in reason:
                hint = "the password is looked for in PGPASSWORD and in ~/.pgpass"
            elif "does not exist" in reason:
                hint = f"`createdb {self.url.database}` on the server makes a database"
            raise InputError(f"storage: {self.name} cannot be opened ({reason}); {hint}") from None

    def _ask(self, statement: str, key: int) -> Any:
        if self._connection.invalidated:
            raise DatabaseGoneError(f"the study's database {self.name} is gone", "the connection was lost")
        try:
            return self._connection.execute(text(statement), {"key": key}).scalar()
        except DBAPIError as error:
            raise DatabaseGoneError(f"the study's database {self.name} is gone", reason_of(error)) from None

    def _connected(self, connection: Any, _: Any) -> None:
        self._ask("SELECT :key", 1)  # without our locks another driver may decide meanwhile
        _ask_for_keepalives(connection)


def _ask_for_keepalives(connection: Any) -> None:
    wanted = ", ".join(f"('{name}', '{value}')" for name, value in _SERVER.items())
    cursor = connection.cursor()
    cursor.execute(
        f"SELECT set_config(name, wanted.value, false) FROM (VALUES {wanted}) AS wanted (name, value)"
        " JOIN pg_settings USING (name)"
    )
    cursor.close()
    connection.commit()


def _key(kind: str, name: str) -> int:
    """The number of an advisory lock, 64 bits: all users of a database share them."""
    return int.from_bytes(hashlib.sha256(f"unetsep {kind} {name}".encode()).digest()[:8], "big", signed=True)
