"""Exports a trained separator: `unetsep export MODEL OUT.safetensors`."""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

from unetsep.audio.files import InputError


def export_safetensors(model: Path, out: Path) -> None:
    """Writes a separator's weights and settings into one file that holds no pickle (the format of safetensors).

    The settings stand as JSON under `separator` in the file's metadata. The file appears whole or not at all.

    Args:
        model: A checkpoint, or a folder with one.
        out: The file to write, replaced if it exists.

    Raises:
        InputError: If the model cannot be loaded, or the file cannot be written.
    """
    from safetensors.torch import save

    from unetsep.deploy.weights import find_checkpoint, load_separator, read_model

    path = find_checkpoint(model)
    load_separator(path)  # nothing is exported that could not be loaded again
    settings, weights = read_model(path)
    content = save(
        {name: value.contiguous().clone() for name, value in weights.items()}, {"separator": json.dumps(settings)}
    )
    hidden = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        hidden.write_bytes(content)
        hidden.replace(out)
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror or error}") from None
    finally:
        hidden.unlink(missing_ok=True)


def main(args: Sequence[str]) -> int:
    """Runs `unetsep export`.

    Returns:
        0.

    Raises:
        InputError: If the model cannot be loaded, or the file exists already or cannot be written.
    """
    parser = argparse.ArgumentParser(
        prog="unetsep export", description="Write a trained separator, weights and settings, into one file."
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="a checkpoint, a run's folder, or a sweep's")
    parser.add_argument("out", metavar="OUT", type=Path, help="the file to write: .safetensors")
    parser.add_argument(
        "--at-most",
        metavar="MEASURE=NUMBER",
        action="append",
        default=[],
        help=(
            "of a sweep, the best trial that costs no more, such as gmacs_per_second=0.5; may be given several times"
        ),
    )
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")
    given = parser.parse_args(args)
    if given.out.suffix != ".safetensors":
        raise InputError(f"{given.out} is no kind of file that can be written: name it .safetensors")
    if given.out.exists() and not given.force:
        raise InputError(f"{given.out} exists already; use --force to replace it")

    from unetsep.deploy.weights import find_checkpoint, parse_at_most

    model = find_checkpoint(given.model, dict(map(parse_at_most, given.at_most)))
    export_safetensors(model, given.out)
    print(f"{given.out}: exported from {model}")
    return 0
