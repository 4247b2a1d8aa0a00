"""The command line of training: `unetsep fit | validate | test | predict | cost --config FILE [--dotted.key VALUE]`."""

from collections.abc import Sequence

from unetsep.cli.command import UnetsepCLI
from unetsep.cli.settings import LINKS, MONITOR

__all__ = ["LINKS", "MONITOR", "UnetsepCLI", "run_cli"]


def run_cli(args: Sequence[str]) -> None:
    """Carries out a verb of training.

    Args:
        args: the verb (fit, validate, test or predict) and its arguments.

    Raises:
        InputError: if the arguments or the data are wrong.
        NonFiniteLossError: if the loss becomes NaN or infinite.
    """
    UnetsepCLI(args=list(args))
