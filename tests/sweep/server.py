"""A PostgreSQL server for the tests: Debian's programs, a temporary folder, nothing that outlives them."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

OPTIONS = "-c fsync=off -c full_page_writes=off -c shared_buffers=16MB -c max_connections=40 -c jit=off"


def programs() -> Path | None:
    """The folder of Debian's newest server, or of the one on the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    here = found[-1] if found else shutil.which("initdb")
    return Path(here).resolve().parent if here else None


class PostgreSQL:
    """A server that listens on a free port of this machine.

    Its superuser is `owner`, who needs the password `secret word`, as everybody does.
    """

    def __init__(self) -> None:
        bin_folder = programs()
        if bin_folder is None:
            pytest.skip("there is no PostgreSQL server here; on Debian, apt-get install postgresql")
        self.programs = bin_folder
        self.folder = Path(tempfile.mkdtemp(prefix="unetsep-pg-", dir="/tmp"))  # short: sockets' names are limited
        # PostgreSQL refuses to run as root
        self.user = next(iter(self._users()), None) if os.geteuid() == 0 else None
        if os.geteuid() == 0:
            if self.user is None or shutil.which("setpriv") is None:
                shutil.rmtree(self.folder)
                pytest.skip("PostgreSQL does not run as root, and there is no other user to run it")
            shutil.chown(self.folder, self.user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        password = self.folder / "password"
        password.write_text("secret word")
        if self.user:
            shutil.chown(password, self.user)
        try:
            self._run("initdb", "-D", "data", "-U", "owner", "-A", "scram-sha-256", "-N", "--pwfile", "password")
            self.start()
            self.sql("CREATE DATABASE studies")
        except BaseException:
            self.remove()
            raise

    @staticmethod
    def _users() -> list[str]:
        known = {entry.pw_name for entry in pwd.getpwall()}
        return [name for name in ("postgres", "nobody") if name in known]

    def url(self, database: str = "studies", password: str = "secret%20word", port: int = 0) -> str:
        return f"postgresql+psycopg://owner:{password}@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        options = (
            f"{OPTIONS} -c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={self.folder}"
        )
        self._run("pg_ctl", "-D", "data", "-w", "-s", "-l", "log", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-w", "-s", "-m", "immediate", "stop")

    def sql(self, statement: str) -> None:
        import psycopg

        words = f"host=127.0.0.1 port={self.port} user=owner password='secret word' dbname=postgres"
        with psycopg.connect(words, autocommit=True) as connection:
            connection.execute(statement)

    def remove(self) -> None:
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str) -> None:
        words = [str(self.programs / program), *arguments]
        if self.user:
            words = [
                "setpriv",
                "--reuid",
                self.user,
                "--regid",
                str(pwd.getpwnam(self.user).pw_gid),
                "--clear-groups",
                *words,
            ]
        done = subprocess.run(
            words, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
