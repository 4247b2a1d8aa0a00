"""Quality at equal budget: the same data, the same wall-clock time and the same seeds for every separator.

Each trains on random remixes for as long as it is given, its learning rate falling to zero along a cosine of the time
that has passed, and then separates the test tracks, once, at their own rate and in stereo: what a low rate or mono
leaves out counts. A batch has the same seconds of audio; everything else (STFT, loss, optimizer, chunks) is its own.
`usdr` is the whole tracks' SDR, mean over tracks; `csdr` museval's, medians over frames and tracks; both are means over
stems.

Separators are config files: NAME=FILE, or FILE, which is then named by its stem. Add the best of a sweep like this:

python benchmarks/quality.py --seconds 60 --json quality.json shallow=runs/shallow/pareto/0007.yaml

The JSON is written after every training; the same command goes on where it stopped. What is no option of this program,
such as --trainer.precision=32-true, goes to every training.
"""

import argparse
import hashlib
import json
import math
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line sets it, before torch is loaded

import report
import torch
from lightning import Callback, LightningModule, Trainer

from unetsep.cli import UnetsepCLI
from unetsep.cli.terminal import quiet
from unetsep.data import find_tracks
from unetsep.data.synthetic import write_set
from unetsep.deploy.separator import Separator
from unetsep.metrics import cost_card
from unetsep.metrics.scores import score_track, summarise

HERE = Path(__file__).parent
BASE = HERE.parent / "sweeps" / "base"
SEPARATORS = {name: BASE / f"{name}.yaml" for name in ("deep_unet", "spectrogram_channels", "tfc_tdf")}
SEPARATORS["open_unmix"] = HERE / "open_unmix.yaml"
SYNTHETIC = {"train": 20, "valid": 4, "test": 2, "seconds": 16, "seed": 0}
RATE = 44_100
COLUMNS = (
    "separator",
    "M params",
    "GMAC/s",
    "trainings",
    "usdr, dB",
    "csdr, dB",
    "training, s",
    "audio-seconds",
    "steps",
)


class Budget(Callback):
    """Ends a training after so many seconds, and lets its learning rate fall until then."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.begin = time.perf_counter()

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        # the scheduler, constant after the warm-up, has set the rate anew after the last step
        for group in trainer.optimizers[0].param_groups:
            group["lr"] *= 0.5 * (1 + math.cos(math.pi * min(1.0, self.passed / self.seconds)))

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        trainer.should_stop = self.passed >= self.seconds

    @property
    def passed(self) -> float:
        return time.perf_counter() - self.begin


def train(config: Path, seed: int, data: Path, options: argparse.Namespace, others: list[str]) -> dict[str, Any]:
    """One training and its scores."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "data.root": data,
            "data.remix": "Remix",
            "data.batches_per_epoch": 10_000,
            "model.schedule": "constant",
            "seed_everything": seed,
            "out": folder,
            "wandb": "disabled",
            "trainer.max_epochs": 1_000,
            "trainer.accelerator": options.device,
            "trainer.limit_val_batches": 0,
            "trainer.enable_progress_bar": "false",
            "listening.tracks": 0,
        }
        arguments = [f"--config={config}", *(f"--{key}={value}" for key, value in settings.items()), *others]
        command = UnetsepCLI(arguments, run=False)
        trainer, separator, chunks = command.trainer, command.model.separator, command.datamodule
        card = cost_card(separator, measure=False)
        chunks.batch_size = max(1, round(options.batch_seconds / chunks.segment_seconds))
        budget = Budget(options.seconds)
        trainer.callbacks.append(budget)
        with quiet():
            trainer.fit(command.model, datamodule=chunks)
        passed = budget.passed
    steps = trainer.global_step
    device = trainer.strategy.root_device
    trained = Separator(separator, device=str(device), precision="float32")
    scores = []
    for track in find_tracks(data, "test", separator.sources):
        references = track.read(RATE, 2)
        estimates = torch.stack(list(trained.separate(references.sum(0), RATE, consistent=False).values()))
        scores.append(score_track(references.to(device), estimates.to(device), RATE))
    summary = summarise(scores, separator.sources)
    return {
        "params": card["params"],
        "gmacs_per_second": card["gmacs_per_second"],
        "precision": trainer.precision,
        "seconds": passed,
        "steps": steps,
        "audio_seconds": steps * chunks.batch_size * chunks.segment_seconds,
        **{name: value for name, value in summary.items() if name.partition("/")[0] in ("usdr", "csdr")},
    }


def row(name: str, runs: list[dict[str, Any]]) -> list[Any]:
    """Of the table: means over seeds, the scores with their standard deviations."""

    def mean(key: str) -> float:
        return statistics.mean(run[key] for run in runs)

    def score(key: str) -> str:
        spread = f" ± {statistics.stdev(run[key] for run in runs):.2f}" if len(runs) > 1 else ""
        return f"{mean(key):.2f}{spread}"

    costs = [mean("params") / 1e6, mean("gmacs_per_second")]
    seen = [mean("seconds"), mean("audio_seconds"), round(mean("steps"))]
    return [name, *costs, len(runs), score("usdr"), score("csdr"), *seen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("separators", nargs="*", metavar="NAME=FILE", help="beside the usual ones")
    parser.add_argument("--only", action="store_true", help="without the usual ones")
    parser.add_argument("--json", type=Path, help="also write the result here, and go on from what is there")
    parser.add_argument("--data", type=Path, help="the data set's folder; synthetic songs when not given")
    parser.add_argument("--seconds", type=float, default=30.0, help="of training")
    parser.add_argument("--batch-seconds", type=float, default=24.0, help="audio in a batch; more on a GPU")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options, others = parser.parse_known_args()

    separators = {} if options.only else dict(SEPARATORS)
    for given in options.separators:
        name, _, file = given.rpartition("=")
        separators[name or Path(file).stem] = Path(file)
    data = options.data
    if data is None:
        data = Path("data") / "synthetic-20-4-2-16s-seed0"  # that of `make fit`
        write_set(data, **SYNTHETIC)
    result = report.facts(__doc__.partition("\n")[0], options.device, ("torch", "lightning", "openunmix"))
    budget = {"seconds": options.seconds, "batch_seconds": options.batch_seconds}
    result |= {"settings": budget | {"data": data.name, "others": others}, "runs": []}
    if options.json and options.json.exists():
        earlier = json.loads(options.json.read_text())
        if any(earlier[key] != result[key] for key in ("machine", "device", "settings")):
            where = f"{earlier['machine']} and {earlier['device']}"
            parser.error(f"{options.json} holds {earlier['settings']} on {where}: give another --json")
        result["runs"] = earlier["runs"]
    for seed in options.seeds:  # in turn, so that a busy moment of the machine hits all
        for name, config in separators.items():
            key = {"name": name, "seed": seed, "config": hashlib.sha256(config.read_bytes()).hexdigest()}
            if any(key.items() <= run.items() for run in result["runs"]):
                continue
            run = key | train(config, seed, data, options, others)
            result["runs"].append(run)
            report.write(options.json, result)
            print(f"{name}, seed {seed}: usdr {run['usdr']:.2f} dB, csdr {run['csdr']:.2f} dB", flush=True)
    print("\n" + report.heading(result))
    by_name = {name: [run for run in result["runs"] if run["name"] == name] for name in separators}
    print(f"{options.seconds:g} s of training on {data.name}; means over seeds ± standard deviation\n")
    print(report.table(COLUMNS, [row(name, runs) for name, runs in by_name.items() if runs]))


if __name__ == "__main__":
    main()
