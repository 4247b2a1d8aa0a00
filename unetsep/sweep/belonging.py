"""Which study of a shared database is a run folder's: written into the folder once, and of no use in a copy of it."""

import os
import platform
import re
import secrets
import shlex
from pathlib import Path

from unetsep.audio.files import InputError

FILE = ".study"  # in the run folder: the study's name, then the places where the folder has been, one a line


def new_name(run: Path) -> str:
    """A name that no other study has, and that says to a reader of the database which folder it was."""
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '_', run.absolute().name)[:60]}-{secrets.token_hex(8)}"


def write_name(run: Path, name: str) -> None:
    """Writes a study's name into the folder, which makes it this folder's."""
    path = run / FILE
    with path.open("w", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in (name, *_places(path))))
        file.flush()
        os.fsync(file.fileno())


def read_name(run: Path) -> str | None:
    """The name of the study that is the folder's; None if it has none yet.

    A renamed folder keeps the file's number on its disk, and machines that share the folder see the same; where that
    is not so, host and path tell. A copy has neither.

    Raises:
        InputError: if the folder is a copy: it would write into the original's study.
    """
    path = run / FILE
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    if not lines or not lines[0]:
        return None  # or it was being written when the machine died
    places = _places(path)
    if not set(places) & set(lines[1:]):
        raise InputError(
            f"{run} seems to be a copy, and the study in the database is the original's; give another --out, "
            f"or if there is no other, say so: echo {shlex.quote(places[-1])} >> {shlex.quote(str(path))}"
        )
    if new := [place for place in places if place not in lines[1:]]:
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(f"{place}\n" for place in new))
    return lines[0]


def _places(path: Path) -> list[str]:
    return [f"inode {path.stat().st_ino}", f"{platform.node()}:{path.parent.absolute()}"]
