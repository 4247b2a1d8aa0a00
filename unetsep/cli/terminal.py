"""What the terminal is spared, and how Ctrl-C gets through."""

import contextlib
import logging
import signal
import warnings
from collections.abc import Iterator

from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning_utilities.core.rank_zero import rank_zero_only


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps Lightning's advice and torch's remarks on its own internals from the terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PossibleUserWarning)
        warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
        # a separator that is only used has no use for what its training kept
        warnings.filterwarnings("ignore", message="Be aware that when using `ckpt_path`")
        yield


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Lets Ctrl-C be a KeyboardInterrupt again: Lightning exits, and leaves the process deaf to the next one."""
    deaf = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, deaf)
            raise KeyboardInterrupt from None
        raise


def is_first() -> bool:
    """Whether this process is the user's own: with several devices Lightning starts one more for each of the others.

    Those find the folder as the first has begun it, and say and write nothing.
    """
    return int(getattr(rank_zero_only, "rank", None) or 0) == 0


def quieten() -> None:
    """Leaves only warnings of Lightning's remarks on devices, seeds and limits."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
