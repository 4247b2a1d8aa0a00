"""Exports a trained separator: `unetsep export MODEL OUT.safetensors` or `OUT.onnx`."""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unetsep.audio.files import InputError, replacing
from unetsep.deploy.signals import terminated_as_interrupted

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
            quantised so, the stems would hold NaN, or ONNX is asked for and the extra `onnx` is not installed.
    """
    from unetsep.deploy.weights import find_checkpoint, load_separator, read_model

    if out.suffix not in KINDS:
        raise InputError(f"{out} is no kind of file that can be written: name it {' or '.join(KINDS)}")
    if quantise is not None and quantise not in KINDS[out.suffix]:
        raise InputError(f"{out.suffix} takes {' or '.join(KINDS[out.suffix])} only, not {quantise!r}: name it .onnx")
    if not out.parent.is_dir():
        raise InputError(f"{out} cannot be written: there is no folder {out.parent}; make it, or choose another")
    path = find_checkpoint(model)
    settings, weights = read_model(path)
    separator = load_separator(path)  # nothing is exported that could not be loaded again
    try:
        described = json.dumps(settings)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path} describes its separator by more than plain values ({error}): train it again"
        ) from None
    mixture = _chords_and_beats(separator.audio_channels, separator.sample_rate)
    truth = _stems(separator, mixture)
    if not truth.isfinite().all():
        raise InputError(f"{path} gives stems of NaN or infinity (on a test signal): give another checkpoint")
    if out.suffix == ".onnx":
        from unetsep.deploy.onnx import export_network

        content = export_network(separator, settings, quantise)
    else:
        from safetensors.torch import save

        stored = {
            name: (value.half() if quantise and value.is_floating_point() else value).contiguous().clone()
            for name, value in weights.items()
        }
        content = save(stored, {"separator": described})
    try:
        with replacing(out) as hidden:
            hidden.write_bytes(content)
            kept = _ratio_db(truth, _stems(load_separator(hidden), mixture))
            if math.isnan(kept):
                raise InputError(
                    f"{quantise} cannot hold the weights of {path}, its stems would be NaN: export without --quantise"
                    if quantise
                    else f"{out} would give stems of NaN or infinity, other than {path}: export to .safetensors"
                )
    except InputError as error:
        raise InputError(str(error).replace(str(hidden), str(out))) from None
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror or error}") from None
    return kept


def sdr_db(separator: "Separator", other: "Separator", mixture: "Tensor | None" = None) -> float:
    """Signal to distortion ratio, in dB, of the other's stems if the separator's are taken for the truth.

    Args:
        separator: In evaluation mode.
        other: The same one, after something was done to it.
        mixture: `(batch, channel, sample)`; chords and beats of some seconds when not given.

    Returns:
        Over all stems, channels and samples together; infinity where they are equal to the bit, NaN where a stem holds
        NaN or infinity.
    """
    if mixture is None:
        mixture = _chords_and_beats(separator.audio_channels, separator.sample_rate)
    return _ratio_db(_stems(separator, mixture), _stems(other, mixture))


def _stems(separator: "Separator", mixture: "Tensor") -> "Tensor":
    import torch

    with torch.inference_mode():
        stems: Tensor = separator(mixture)
    return stems


def _ratio_db(truth: "Tensor", estimate: "Tensor") -> float:
    signal, distortion = (float(part.double().square().sum()) for part in (truth, estimate - truth))
    if not math.isfinite(distortion):
        return math.nan
    if not distortion:
        return math.inf
    return 10 * math.log10(signal / distortion) if signal else -math.inf


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
    with terminated_as_interrupted():
        kept = export(model, given.out, given.quantise)
    size = given.out.stat().st_size / 1e6
    alike = "exactly" if kept == math.inf else f"within {-kept:.0f} dB"
    print(f"{given.out}: {size:.3g} MB, gives the stems of {model} {alike} (on a test signal)")
    return 0
