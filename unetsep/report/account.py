"""Where in Weights & Biases something is to be sent, and whether anybody is logged in there."""

from unetsep.audio.files import InputError

PROJECT = "unetsep"
"""What every run's project is called."""


def entity_and_project(given: str | None) -> tuple[str, str]:
    """The two parts of `ENTITY/PROJECT`; the entity is empty where `PROJECT` alone was given, or nothing.

    Raises:
        InputError: if it is neither.
    """
    entity, slash, project = (given or PROJECT).rpartition("/")
    if not project.strip() or "/" in entity or (slash and not entity.strip()):
        raise refused(given)
    return entity.strip(), project.strip()


def refused(given: str | None) -> InputError:
    """What is said of a project that is none."""
    return InputError(f"--wandb is {given!r}, but must be ENTITY/PROJECT, such as my-team/{PROJECT}")


def refuse_without_login(what: str) -> None:
    """Says what to do where nobody is logged in, instead of asking for a key.

    Args:
        what: is to be sent.

    Raises:
        InputError: if nobody is.
    """
    import wandb

    if not wandb.login(prompt=False, verify=False):
        raise InputError(
            f"{what} needs Weights & Biases, where nobody is logged in: run `wandb login`, or set WANDB_API_KEY"
        )
