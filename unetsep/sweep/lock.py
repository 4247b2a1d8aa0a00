"""Who works on a folder, so that nobody else does."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def sole(path: Path, patience: float = 0.0) -> Iterator[None]:
    """Holds a file alone: a transaction of SQLite is a lock on every system, and a killed process lets go of it.

    Args:
        path: a file for this purpose, made if it is missing.
        patience: how many seconds to wait for whoever holds it.

    Raises:
        TimeoutError: if it is held by someone else all that time.
    """
    with closing(sqlite3.connect(path, timeout=patience, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            raise TimeoutError(f"{path} is held by another process") from None
        yield
