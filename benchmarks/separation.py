"""How fast our models separate a song, beside Open-Unmix, Hybrid Demucs and Moises-Light: all with random weights.

Every number comes from whole processes, one at a time, system after system in rounds. Start-up is a process that
separates a tenth of a second; the real-time factor is what the whole song takes beyond that, per second of it, and busy
the same in processor time of all threads, which others on the machine lengthen less; memory is the most that the
process held. Ours are `unetsep separate`, from file to file, with all stems written; the peers read the song and keep
the stems in memory, as does ours where it is compiled. How the peers run: `incumbents.py`.

python benchmarks/separation.py --json separation.json
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import process
import report
import soundfile
import torch
import yaml

from unetsep.deploy.weights import load_separator
from unetsep.metrics import cost_card

RATE, CHANNELS = 44_100, 2
BASE = Path(__file__).parent.parent / "sweeps" / "base"
INCUMBENTS = str(Path(__file__).parent / "incumbents.py")
BASELINE = "Open-Unmix"
GOAL, STRETCH, MEMORY = 4.0, 8.0, 0.25  # times faster than Open-Unmix, and the share of its memory
VARIANTS = ("auto", "float32", "bfloat16", "onnx", "compiled")
STRIDED = {
    "entry": "stride",
    "block": "NoBlock",
    "down": {"class_path": "StridedConv", "init_args": {"kernel": [5, 5]}},
    "up": {"class_path": "TransposedConv", "init_args": {"kernel": [5, 5]}},
}
SMALL: dict[str, dict[str, Any]] = {  # as the front of a sweep at full bandwidth has them
    "depth 2, width 8, 8 subbands": {"depth": 2, "width": 8, "subbands": 8, **STRIDED},
    "depth 2, width 16, 4 subbands": {"depth": 2, "width": 16, "subbands": 4, **STRIDED},
    "depth 3, width 16, 4 subbands": {"depth": 3, "width": 16, "subbands": 4, **STRIDED},
    "depth 3, width 16, blocks": {"depth": 3, "width": 16, "subbands": 4, "growth": 1.5, "block": "ConvBlock"},
}


@dataclass
class System:
    """What separates songs: `python program arguments SONG`, a song of this rate and channels; and what it costs."""

    program: str
    arguments: list[str]
    rate: int = RATE
    channels: int = CHANNELS
    gmacs_per_second: float | None = None  # of ours


def described() -> dict[str, dict[str, Any]]:
    """Our separators by name, as checkpoints describe them: the small ones, and the presets of `sweeps/base`."""
    shared = {"n_fft": 4096, "hop": 1024, "estimate": "SoftmaxMask"}
    nets = {name: {"class_path": "UNet", "init_args": net} for name, net in SMALL.items()}
    small = {name: {"class_path": "Separator", "init_args": {"net": net, **shared}} for name, net in nets.items()}
    presets = {
        path.stem: yaml.safe_load(path.read_text())["model"]["separator"] for path in sorted(BASE.glob("*.yaml"))
    }
    return small | presets


def checkpoint(path: Path, description: dict[str, Any]) -> None:
    """Writes a model of random weights as the training writes its own."""
    from jsonargparse import ArgumentParser

    from unetsep.model.separator import Separator

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--separator", type=Separator, required=True)
    torch.manual_seed(0)
    separator = parser.instantiate(parser.parse_object({"separator": description})).separator
    weights = {f"separator.{name}": value for name, value in separator.state_dict().items()}
    torch.save({"separator": description, "state_dict": weights}, path)


def song(path: Path, seconds: float, rate: int = RATE, channels: int = CHANNELS) -> None:
    """Noise of music's spectrum, falling by 3 dB an octave, in 16 bits."""
    noise = np.random.default_rng(0).normal(size=(round(seconds * rate), channels)).astype(np.float32)
    spectrum = np.fft.rfft(noise, axis=0)
    pink = np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1))[:, None], len(noise), axis=0)
    soundfile.write(path, 0.1 * pink / pink.std(), rate, subtype="PCM_16")


def ours(folder: Path, models: list[Path], variants: list[str]) -> Iterator[tuple[str, System]]:
    """Our models by name and variant; one that is trained at another rate reads stereo at 44.1 kHz and its own."""
    paths = {f"{path.parent.name}/{path.name}": path for path in models}
    for number, (name, description) in enumerate(described().items()):
        paths[name] = folder / f"{number}.ckpt"
        checkpoint(paths[name], description)
    for name, path in paths.items():
        model = load_separator(path)
        cost = cost_card(model, measure=False)["gmacs_per_second"]
        stems = [f"--out={folder / 'stems'}", "--force"]
        for variant in variants:
            row = name if variant == "auto" else f"{name}, {variant}"
            if variant == "compiled":
                system = System(INCUMBENTS, ["compiled", str(path)], gmacs_per_second=cost)
            elif variant == "onnx":
                exported = folder / f"{len(list(folder.glob('*.onnx')))}.onnx"
                process.measured("-m unetsep", "export", str(path), str(exported))
                system = System("-m unetsep", ["separate", str(exported), *stems], gmacs_per_second=cost)
            else:
                arguments = ["separate", str(path), *stems, f"--precision={variant}"]
                system = System("-m unetsep", arguments, gmacs_per_second=cost)
            yield row, system
            if (model.sample_rate, model.audio_channels) != (RATE, CHANNELS):
                own = model.sample_rate, model.audio_channels
                yield f"{row}, at its own rate", System(system.program, system.arguments, *own, cost)


def measure(
    systems: dict[str, System], songs: dict[tuple[int, int], tuple[Path, Path]], options: argparse.Namespace
) -> dict[str, dict[str, list[float]]]:
    """Every value of every round, by system; those of songs are by their rate and channels: a brief and a whole one."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in systems}
    for _ in range(options.rounds):
        for name, system in systems.items():
            brief, whole = songs[system.rate, system.channels]
            start, run = (
                process.measured(system.program, *system.arguments, str(each), threads=options.threads)
                for each in (brief, whole)
            )
            seconds = soundfile.info(whole).duration - soundfile.info(brief).duration
            values = {
                "real_time_factor": (run.seconds - start.seconds) / seconds,
                "busy": (run.busy_seconds - start.busy_seconds) / seconds,
                "peak_mb": run.peak_mb,
                "start_up_seconds": start.seconds,
            }
            for key, value in values.items():
                found[name].setdefault(key, []).append(value)
            print(f"{name}: {', '.join(f'{key} {value:.4g}' for key, value in values.items())}", flush=True)
    return found


def rows(medians: dict[str, dict[str, float]], systems: dict[str, System]) -> Iterator[list[Any]]:
    peer = medians[BASELINE]
    for name, values in medians.items():
        cost = systems[name].gmacs_per_second
        faster = peer["real_time_factor"] / values["real_time_factor"]
        share = values["peak_mb"] / peer["peak_mb"]
        speed = "" if cost is None else "8x" if faster >= STRETCH else "4x" if faster >= GOAL else "missed"
        memory = "" if cost is None else "held" if share <= MEMORY else "missed"
        shown = ["" if cost is None else cost, values["real_time_factor"], values["busy"], faster, speed]
        yield [name, *shown, values["peak_mb"], share, memory, values["start_up_seconds"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--models", type=Path, nargs="*", default=[], help="more of ours: runs, trials, checkpoints")
    parser.add_argument("--seconds", type=float, default=240.0, help="of the song (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians are taken (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument(
        "--only", nargs="*", default=[""], help="the rows whose names hold one of these, and Open-Unmix"
    )
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["auto"], help="of ours; default: auto")
    parser.add_argument("--device", help="as the other benchmarks have it; everything here is on the CPU")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    result = report.facts(__doc__.partition("\n")[0], packages=("torch", "torchaudio", "openunmix", "moises-light"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peers = (BASELINE, "Hybrid Demucs", "Moises-Light", "STFT and masks")
        offered = {name: System(INCUMBENTS, [name]) for name in peers}
        offered |= dict(ours(folder, options.models, options.variants))
        chosen = {
            name: system
            for name, system in offered.items()
            if name == BASELINE or any(part in name for part in options.only)
        }
        songs = {}
        for kind in {(system.rate, system.channels) for system in chosen.values()}:
            songs[kind] = folder / f"brief_{kind[0]}_{kind[1]}.wav", folder / f"song_{kind[0]}_{kind[1]}.wav"
            for path, seconds in zip(songs[kind], (0.1, options.seconds), strict=True):
                song(path, seconds, *kind)
        found = measure(chosen, songs, options)
    medians = {name: {key: statistics.median(each) for key, each in rounds.items()} for name, rounds in found.items()}
    print("\n" + report.heading(result))
    columns = ["system", "GMAC/s", "real-time factor", "busy", "times faster", "goal"]
    print(report.table([*columns, "MB", "share", "goal", "start-up, s"], rows(medians, chosen)))
    settings = {key: getattr(options, key) for key in ("seconds", "rounds", "threads", "variants")}
    costs = {name: system.gmacs_per_second for name, system in chosen.items()}
    report.write(options.json, result | {"settings": settings, "gmacs_per_second": costs, "rounds": found})


if __name__ == "__main__":
    main()
