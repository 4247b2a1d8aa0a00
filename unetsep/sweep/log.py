"""A trial's `log.txt`: what its trainings printed, logged or warned, which the terminal is spared."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TextIO


@contextmanager
def logged(path: Path, beginning: str) -> Iterator[None]:
    """Meanwhile all that Python code prints, logs or warns goes to the end of a file, and nothing to the terminal.

    Args:
        path: of the file.
        beginning: what now begins, the first line after the time. An error is the last line.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    terminal = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    # line by line, for whoever reads along, and for what a killed process leaves
    with path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1) as log, ExitStack() as meanwhile:
        _note(log, beginning)
        meanwhile.enter_context(redirect_stdout(log))
        meanwhile.enter_context(redirect_stderr(log))
        meanwhile.enter_context(warnings.catch_warnings())  # which also lets every training warn anew
        warnings.showwarning = partial(_warn, log)
        for handler in _handlers():  # each holds the stream that was there when it was made
            if isinstance(handler, logging.StreamHandler) and handler.stream in terminal:
                meanwhile.callback(handler.setStream, handler.stream)
                handler.setStream(log)
        try:
            yield
        except BaseException as error:
            _note(log, " ".join(f"ended by {type(error).__name__}: {error}".split()))
            raise


def _note(log: TextIO, line: str) -> None:
    log.write(f"{datetime.now().astimezone().isoformat(sep=' ', timespec='seconds')} {line}\n")


def _warn(log: TextIO, message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any) -> None:
    log.write(warnings.formatwarning(message, category, filename, lineno))


def _handlers() -> Iterator[logging.Handler]:
    """Those of every logger that there is."""
    for logger in (logging.root, *logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            yield from logger.handlers
