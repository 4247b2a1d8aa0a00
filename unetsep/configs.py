"""The questions and configs of `sweeps/`, which come with the package and are found from any folder."""

from pathlib import Path

from unetsep.audio.files import InputError

QUESTIONS = "."
"""The folder within `sweeps/` of what `unetsep sweep` answers."""

BASES = "base"
"""The folder within `sweeps/` of what `unetsep fit --config` trains, and questions start from."""

_SWEEPS = Path(__file__).parent / "sweeps"  # a link in the repository, a folder in the wheel


def find_config(given: str, folder: str, beside: Path | None = None) -> Path:
    """The file that is meant: a real one of that path first, then the one that comes with the package.

    Args:
        given: a path, or a name such as `shallow`, `small` or `sweeps/base/small.yaml`.
        folder: where in `sweeps/` to look: QUESTIONS or BASES.
        beside: the folder that a relative path starts from (default: the working directory).

    Returns:
        The path. Where a file .yaml is missing, it is the path as given, for its reader to refuse.

    Raises:
        InputError: if a name is unknown; the message lists those that there are.
    """
    path = (beside or Path()) / given
    if path.exists() and not path.is_dir():  # a run folder may have the name of its question
        return path
    there = {file.stem: file for file in sorted((_SWEEPS / folder).glob("*.yaml"))}
    name = given.removeprefix("sweeps/").removeprefix(f"{folder}/")
    if (found := there.get(name.removesuffix(".yaml"))) is not None:
        return found
    if name.endswith(".yaml") and not given.startswith("sweeps/"):
        return path
    raise InputError(f"there is no file {given}, and with unetsep come only {', '.join(there)}")
