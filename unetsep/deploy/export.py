"""Exports a trained separator: `unetsep export MODEL OUT.safetensors` or `OUT.onnx`."""

import argparse
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unetsep.audio.files import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from unetsep.model.separator import Separator

KINDS = {".safetensors": ("fp16",), ".onnx": ("int8", "fp16")}  # and how each can be quantised
_TEST_SECONDS = 6.0


def export(model: Path, out: Path, quantise: str | None = None) -> float:
    """Writes a separator's weights and settings into one file, which appears whole or not at all.

    `.safetensors` holds no pickle; the settings stand as JSON under `separator` in its metadata. `.onnx` holds the
    network alone, from `features` to `planes`, `(batch, plane, freq, frame)` both; the settings stand in its metadata.

    Args:
        model: A checkpoint, or a folder with one.
        out: The file to write, replaced if it exists.
        quantise: "fp16": weights (in ONNX the computing, too) in half precision; "int8", for ONNX: weights of
            convolutions and matrices stored in 8 bit; None: float32.

    Returns:
        The cost in dB: signal to distortion ratio of the written model's stems against the model's, on a test signal;
        above 100 nothing is lost but rounding.

    Raises:
        InputError: If the model cannot be loaded or is an `.onnx` file itself, the file cannot be written, it cannot be
            quantised so, or ONNX is asked for and the extra `onnx` is not installed.
    """
    from unetsep.deploy.weights import find_checkpoint, load_separator, read_model

    if out.suffix not in KINDS:
        raise InputError(f"{out} is no kind of file that can be written: name it {' or '.join(KINDS)}")
    if quantise is not None and quantise not in KINDS[out.suffix]:
        raise InputError(f"{out.suffix} takes {' or '.join(KINDS[out.suffix])} only, not {quantise!r}: name it .onnx")
    path = find_checkpoint(model)
    settings, weights = read_model(path)
    separator = load_separator(path)  # nothing is exported that could not be loaded again
    if out.suffix == ".onnx":
        from unetsep.deploy.onnx import export_network

        content = export_network(separator, settings, quantise)
    else:
        from safetensors.torch import save

        stored = {
            name: (value.half() if quantise and value.is_floating_point() else value).contiguous().clone()
            for name, value in weights.items()
        }
        content = save(stored, {"separator": json.dumps(settings)})
    hidden = out.with_name(f".{os.getpid()}.{out.name}")  # ends as `out` does, which tells how it is read
    try:
        hidden.write_bytes(content)
        kept = sdr_db(separator, load_separator(hidden))
        hidden.replace(out)
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror or error}") from None
    finally:
        hidden.unlink(missing_ok=True)
    return kept


def sdr_db(separator: "Separator", other: "Separator", mixture: "Tensor | None" = None) -> float:
    """Signal to distortion ratio, in dB, of the other's stems if the separator's are taken for the truth.

    Args:
        separator: In evaluation mode.
        other: The same one, after something was done to it.
        mixture: `(batch, channel, sample)`; chords and beats of some seconds when not given.

    Returns:
        Over all stems, channels and samples together; infinity where they are equal to the bit.
    """
    import torch

    if mixture is None:
        mixture = _chords_and_beats(separator.audio_channels, separator.sample_rate)
    with torch.inference_mode():
        truth, estimate = separator(mixture), other(mixture)
    signal, distortion = (float(part.square().sum(dtype=torch.float64)) for part in (truth, estimate - truth))
    return 10 * math.log10(signal / distortion) if distortion > 0 else math.inf


def _chords_and_beats(channels: int, rate: int) -> "Tensor":
    """Decaying chords of harmonic tones, a burst of noise every half second, and faint noise throughout."""
    import torch

    generator = torch.Generator().manual_seed(0)
    time = torch.arange(int(_TEST_SECONDS * rate)) / rate
    since = time % 0.5
    noise = torch.randn(channels, time.numel(), generator=generator)
    mixture = noise * (0.3 * torch.exp(-30 * since) + 0.001)
    for base in (110.0, 220.0, 277.2, 329.6):
        for harmonic in range(1, 9):
            if base * harmonic < rate / 2:
                tone = torch.sin(2 * math.pi * base * harmonic * time) * torch.exp(-3 * since) / (10 * harmonic)
                mixture += tone * torch.rand(channels, 1, generator=generator)
    return mixture[None]


def main(args: Sequence[str]) -> int:
    """Runs `unetsep export`.

    Returns:
        0.

    Raises:
        InputError: If the file exists already or a limit of cost is none, or as `export`.
    """
    parser = argparse.ArgumentParser(
        prog="unetsep export", description="Write a trained separator, weights and settings, into one file."
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=Path,
        help="a checkpoint, a .safetensors file, a run's folder, or a sweep's (its best trial)",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="the file to write: .safetensors or .onnx")
    parser.add_argument(
        "--at-most",
        metavar="MEASURE=NUMBER",
        action="append",
        default=[],
        help="of a sweep, the best trial that costs no more, such as gmacs_per_second=0.5; may be given several times",
    )
    parser.add_argument(
        "--quantise",
        choices=("int8", "fp16"),
        help="store the weights in 16 bit (fp16; .onnx also computes in it) or, .onnx only, in 8 bit (int8); what that "
        "costs is printed (default: 32 bit)",
    )
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")
    given = parser.parse_args(args)
    if given.out.exists() and not given.force:
        raise InputError(f"{given.out} exists already; use --force to replace it")

    from unetsep.deploy.weights import find_checkpoint, parse_at_most

    model = find_checkpoint(given.model, dict(map(parse_at_most, given.at_most)))
    kept = export(model, given.out, given.quantise)
    size = given.out.stat().st_size / 1e6
    alike = "exactly" if math.isinf(kept) else f"within -{kept:.0f} dB"
    print(f"{given.out}: {size:.3g} MB from {model}, whose stems it gives {alike} (on a test signal)")
    return 0
