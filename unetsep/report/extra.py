"""What only the page needs is an extra of the package: it is named where it is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from unetsep.audio.files import InputError

_LIBRARIES = ("altair", "sklearn", "vl_convert", "wandb_workspaces")


class NotInstalledError(InputError):
    """The extra `report` is not installed."""


@contextmanager
def extra(what: str) -> Iterator[None]:
    """Around imports of the extra `report`.

    Args:
        what: needs them.

    Raises:
        NotInstalledError: if one of its libraries is missing; in one line, with the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in _LIBRARIES:
            raise
        raise NotInstalledError(f"{what} needs {error.name}: pip install 'unetsep[report]'") from None
