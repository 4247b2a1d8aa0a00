"""How fast our models separate a song, beside Open-Unmix, Hybrid Demucs and Moises-Light: all with random weights.

Every number comes from whole processes, one at a time, system after system in rounds. Start-up is a process that
separates a tenth of a second; the real-time factor is what the whole song takes beyond that, per second of it; memory
is the most that the process held. Ours are `unetsep separate`, from file to file, with all stems written; the peers
read the song and keep the stems in memory, so reading counts for both and writing only for us. The peers run as their
authors do: Open-Unmix without Wiener iterations on the whole song, the others in segments that overlap by a quarter.

python benchmarks/separation.py --json separation.json
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import process
import report
import soundfile
import torch
import yaml

from unetsep.deploy.weights import _build
from unetsep.metrics import cost_card

RATE = 44_100
BASE = Path(__file__).parent.parent / "sweeps" / "base"
INCUMBENTS = Path(__file__).parent / "incumbents.py"
BASELINE = "Open-Unmix"
GOAL, STRETCH, MEMORY = 4.0, 8.0, 0.25  # times faster than Open-Unmix, and the share of its memory
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


def described() -> dict[str, dict[str, Any]]:
    """Our separators by name, as checkpoints describe them: the small ones, and the presets of `sweeps/base`."""
    small = {
        name: {"net": {"class_path": "UNet", "init_args": net}, "n_fft": 4096, "hop": 1024, "estimate": "SoftmaxMask"}
        for name, net in SMALL.items()
    }
    found = {name: {"class_path": "Separator", "init_args": each} for name, each in small.items()}
    return found | {
        path.stem: yaml.safe_load(path.read_text())["model"]["separator"] for path in sorted(BASE.glob("*.yaml"))
    }


def checkpoint(path: Path, description: dict[str, Any]) -> dict[str, float]:
    """Writes a model of random weights as the training does; returns what it costs."""
    torch.manual_seed(0)
    separator = _build(description, path).eval()
    weights = {f"separator.{name}": value for name, value in separator.state_dict().items()}
    torch.save({"separator": description, "state_dict": weights}, path)
    return cost_card(separator, measure=False)


def song(path: Path, seconds: float) -> None:
    """Stereo noise of music's spectrum, falling by 3 dB an octave, in 16 bits."""
    noise = np.random.default_rng(0).normal(size=(round(seconds * RATE), 2)).astype(np.float32)
    spectrum = np.fft.rfft(noise, axis=0)
    pink = np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1))[:, None], len(noise), axis=0)
    soundfile.write(path, 0.1 * pink / pink.std(), RATE, subtype="PCM_16")


def commands(folder: Path, options: argparse.Namespace) -> tuple[dict[str, list[str]], dict[str, float]]:
    """What separates a song (whose path is still to be added), by system, and multiply-adds of ours by its name."""
    peers = {
        name: [str(INCUMBENTS), name] for name in ("Open-Unmix", "Hybrid Demucs", "Moises-Light", "STFT and masks")
    }
    ours, costs = {}, {}
    for number, (name, description) in enumerate(described().items()):
        path = folder / f"{number}.ckpt"
        card = checkpoint(path, description)
        for variant in options.variants:
            row = f"{name}, {variant}"
            costs[row] = card["gmacs_per_second"]
            precision = [] if variant == "default" else [f"--precision={variant}"]
            ours[row] = ["-m unetsep", "separate", str(path), f"--out={folder / 'stems'}", "--force", *precision]
    return {name: each for name, each in (peers | ours).items() if options.only in name or name == BASELINE}, costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--song", type=Path, help="a wav of your own, instead of noise")
    parser.add_argument("--seconds", type=float, default=240.0, help="of noise (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians are taken (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="the rows whose name holds this, and Open-Unmix")
    parser.add_argument("--variants", nargs="+", default=["default"], help="of ours: default, float32, bfloat16, ...")
    parser.add_argument("--device", help="as the other benchmarks have it; everything here is on the CPU")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    result = report.facts(__doc__.partition("\n")[0], packages=("torch", "torchaudio", "openunmix", "moises-light"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole, brief = options.song or folder / "song.wav", folder / "brief.wav"
        if options.song is None:
            song(whole, options.seconds)
        soundfile.write(brief, np.full((RATE // 10, 2), 0.1), RATE)
        length = soundfile.info(whole).duration
        systems, costs = commands(folder, options)
        found: dict[str, dict[str, list[float]]] = {}
        for _ in range(options.rounds):
            for system, (program, *arguments) in systems.items():
                start, run = (
                    process.measured(program, *arguments, str(each), threads=options.threads) for each in (brief, whole)
                )
                factor = (run.seconds - start.seconds) / (length - 0.1)
                values = {"real_time_factor": factor, "start_up_seconds": start.seconds, "peak_mb": run.peak_mb}
                for key, value in values.items():
                    found.setdefault(system, {}).setdefault(key, []).append(value)
                print(f"{system}: {values}", flush=True)
    medians = {
        system: {key: statistics.median(each) for key, each in rounds.items()} for system, rounds in found.items()
    }
    peer = medians[BASELINE]
    rows = []
    for system, values in medians.items():
        faster = peer["real_time_factor"] / values["real_time_factor"]
        share = values["peak_mb"] / peer["peak_mb"]
        passed = ("8x" if faster >= STRETCH else "4x" if faster >= GOAL else "missed") if system in costs else ""
        light = ("held" if share <= MEMORY else "missed") if system in costs else ""
        rows.append(
            [
                system,
                costs.get(system, ""),
                values["real_time_factor"],
                faster,
                passed,
                values["peak_mb"],
                share,
                light,
                values["start_up_seconds"],
            ]
        )
    print("\n" + report.heading(result))
    columns = ["system", "GMAC/s", "real-time factor", "times faster", "goal", "MB", "share", "goal", "start-up, s"]
    print(report.table(columns, rows))
    settings = {key: value for key, value in vars(options).items() if key not in ("json", "song")}
    report.write(
        options.json, result | {"settings": settings, "gmacs_per_second": costs, "medians": medians, "rounds": found}
    )


if __name__ == "__main__":
    main()
