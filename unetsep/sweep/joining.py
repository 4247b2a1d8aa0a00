"""Joins a Ray cluster, or starts one, without a word on the terminal; what is wrong is said in one line.

Ray's authentication is on: whoever reaches a cluster's ports could run anything there. A cluster started here makes its
own token; for another one Ray looks for the token in RAY_AUTH_TOKEN, in the file RAY_AUTH_TOKEN_PATH, and in
~/.ray/auth_token.
"""

import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Timer
from typing import Any

from unetsep.audio.files import InputError

LOCAL = "local"
ANSWERS = 10.0  # seconds in which somebody must answer at an address
PATIENCE = 60.0  # seconds in which that must turn out to be a cluster, on a busy machine; Ray itself waits for minutes
_STORE = 80 * 2**20  # bytes of shared memory for Ray's objects, near the least it takes: results lie in files
_TRY = """
import sys, ray
try:
    ray.init(sys.argv[1], log_to_driver=False, logging_level="critical")
except BaseException as error:
    print(type(error).__name__ + ":", " ".join(str(error.__cause__ or error).split()))
else:
    print("joined")
"""


def join(address: str) -> Any:
    """The module `ray`, connected.

    Args:
        address: of an existing cluster, `host:6379`, or `auto` for the one that this machine is a node of; `local`
            starts one of this machine's cores and GPUs, which ends with this process.

    Raises:
        InputError: if Ray is not installed, no cluster answers, or it does not take the token.
    """
    if find_spec("ray") is None:
        raise InputError("--ray needs Ray, which is not installed: pip install 'unetsep[ray]'")
    if address == LOCAL:
        os.environ["RAY_AUTH_MODE"] = "token"
        if not (os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")):
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        given: dict[str, Any] = {"num_cpus": _cores(), "include_dashboard": False, "object_store_memory": _STORE}
    else:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        if address.startswith("ray://"):
            raise InputError(f"--ray {address}: Ray Client is not used here; on a node of the cluster give --ray auto")
        _try(address)
        # the nodes run the code that runs here
        code = {"py_modules": [str(Path(__file__).parents[1])], "excludes": ["__pycache__"]}
        given = {"runtime_env": code | {"env_vars": {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "passive")}}}
    ray = import_module("ray")
    # Ray prints what happens to workers and nodes, whatever it is told about logs
    setattr(import_module("ray._private.worker"), "print_to_stdstream", lambda *args, **kwargs: None)  # noqa: B010
    ends = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL, **given)
    except Exception as error:
        ray.shutdown()
        raise InputError(f"--ray {address}: Ray does not start: {one_line(error)}") from None
    signal.signal(signal.SIGTERM, ends)  # Ray's handler takes it for a crash
    return ray


def one_line(error: BaseException) -> str:
    """An error of Ray's, or the one in a worker that it stands for, without its pages of advice."""
    cause = getattr(error, "cause", None)
    text = f"{type(cause).__name__}: {cause}" if isinstance(cause, BaseException) else str(error)
    text = " ".join(text.partition("traceback: ")[0].split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}..."


def _try(address: str) -> None:
    """Joins in another process, which can be given up: Ray itself tells of a wrong address or token by repeating it."""
    nobody = InputError(
        f"--ray {address}: no Ray cluster answers there; `ray start --head` starts one, and the sweep is started on "
        "one of its nodes"
    )
    host, _, port = address.rpartition(":")
    if port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWERS).close()
        except (OSError, OverflowError):
            raise nobody from None
    last, refused = "", False
    command = [sys.executable, "-c", _TRY, address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as trial:
        timer = Timer(PATIENCE, trial.kill)
        timer.start()
        try:
            for line in trial.stdout or ():
                last, refused = line.strip() or last, "InvalidAuthToken" in line
                if refused:
                    break
        finally:
            timer.cancel()
            trial.kill()
    if last == "joined":
        return
    token = "RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH (`ray get-auth-token` prints it on the cluster's head)"
    if refused:
        raise InputError(f"--ray {address}: the Ray cluster refuses this token; give its own by {token}")
    if last.startswith("AuthenticationError:"):
        raise InputError(f"--ray {address}: there is no token for the Ray cluster; give it by {token}")
    kind, _, message = last.partition(": ")
    if kind in ("RuntimeError", "ValueError"):
        raise InputError(f"--ray {address}: this process cannot join the Ray cluster: {message[:500]}")
    raise nobody


def _cores() -> int | None:
    """The cores that this process may use, if those are not all that Ray would find."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = len(os.sched_getaffinity(0))
    return cores if cores < (os.cpu_count() or cores) else None
