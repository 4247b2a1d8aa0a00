"""Training at the machine's limit: every preset of `sweeps/base` beside Open-Unmix and torchaudio's `hdemucs_high`.

Throughput is seconds of audio (all four stems at once) trained per second of time, with batches of equal length in
seconds. Ours is the command line's own training: chunks from the cache, remix, logging and all; the peers, in a bare
loop, find their batch on the device. What a step computes (FlopCounterMode: convolutions and matrix products, forward
and backward) over its time is set against the best `torch.mm` of the same precision in the same run.

python benchmarks/training.py --json training.json
"""

import argparse
import functools
import gc
import math
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line sets it, before torch is loaded

import report
import torch
from lightning import Callback
from peers import PEERS, RATE, Peer
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from unetsep.audio.files import write_audio
from unetsep.cli import UnetsepCLI
from unetsep.cli.terminal import quiet
from unetsep.data.track import SOURCES

BASE = Path(__file__).parent.parent / "sweeps" / "base"
DTYPES = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}
SEGMENT_SECONDS = 6.0  # the peers'; Open-Unmix's own
WARM_UP = 2  # steps before the clock starts: the optimizer makes its state in the first


class Clock:
    """Seconds of steps after the warm-up, and meanwhile how busy the GPU was (0 to 1; NaN without one).

    Args:
        audio: seconds of audio in a step.
        options: `device` and `seconds`, after which the clock stops with the step that is on.
    """

    def __init__(self, audio: float, options: argparse.Namespace) -> None:
        self.audio, self.device, self.seconds = audio, options.device, options.seconds
        self.count = -WARM_UP
        self.passed = self.busy = math.nan
        self._watch: subprocess.Popen[str] | None = None

    def step(self) -> bool:
        """Counts a step; True when it was the last one."""
        self.count += 1
        if self.count == 0:
            self._synchronise()
            if self.device == "cuda" and (program := shutil.which("nvidia-smi")):
                query = [program, "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
                self._watch = subprocess.Popen(query, stdout=subprocess.PIPE, text=True)
            self._begin = time.perf_counter()
        if self.count < 1 or time.perf_counter() - self._begin < self.seconds:
            return False
        self._synchronise()
        self.passed = time.perf_counter() - self._begin
        if self._watch:
            self._watch.terminate()
            seen = [float(line) / 100 for line in self._watch.communicate()[0].split()]
            self.busy = statistics.mean(seen) if seen else self.busy
        return True

    @property
    def rate(self) -> float:
        """Seconds of audio per second."""
        return self.count * self.audio / self.passed

    def _synchronise(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()


class Timed(Callback):
    """Ends a training when its clock says so."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        trainer.should_stop = self.clock.step()


def noise(seconds: float, batch: int = 1, rate: int = RATE, channels: int = 2, seed: int = 0) -> Tensor:
    """Stems (batch, source, channel, sample): what is heard changes no time."""
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(batch, len(SOURCES), channels, round(seconds * rate), generator=generator)


def write_data(root: Path, train: int = 4, valid: int = 1, valid_seconds: float = 12.0) -> Path:
    """A data set of noise: so many tracks of half a minute to train on, and so many to validate on."""
    lengths = {f"train/{number}": 30.0 for number in range(train)}
    lengths |= {f"valid/{number}": valid_seconds for number in range(valid)}
    for seed, (track, seconds) in enumerate(lengths.items()):
        (root / track).mkdir(parents=True)
        for source, stem in zip(SOURCES, noise(seconds, seed=seed)[0], strict=True):
            write_audio(root / track / f"{source}.wav", stem, RATE)
    return root


def command(preset: str, root: Path, **settings: Any) -> UnetsepCLI:
    """A preset's training without validations, sounds and Weights & Biases."""
    told = {"data.root": root, "out": root / "run", "wandb": "disabled", "trainer.enable_progress_bar": "false"}
    told |= {"trainer.limit_val_batches": 0, "listening.tracks": 0} | settings
    return UnetsepCLI(
        [f"--config={BASE / preset}.yaml", *(f"--{key}={value}" for key, value in told.items())], run=False
    )


def train_preset(preset: str, precision: str, root: Path, options: argparse.Namespace) -> Clock:
    """A training of its own, as `unetsep fit` does it."""
    settings = {"trainer.accelerator": options.device, "trainer.precision": precision}
    settings |= {"data.batches_per_epoch": 10_000, "data.workers": options.workers}
    built = command(preset, root, **settings)
    data = built.datamodule
    data.batch_size = max(1, round(options.batch_seconds / data.segment_seconds))
    clock = Clock(data.batch_size * data.segment_seconds, options)
    built.trainer.callbacks.append(Timed(clock))
    with quiet():
        built.trainer.fit(built.model, datamodule=data)
    del built, data
    gc.collect()  # a finished trainer is full of cycles
    return clock


def train_peer(peer: Peer, optimizer: torch.optim.Optimizer, precision: str, options: argparse.Namespace) -> Clock:
    """A bare loop over one batch."""
    batch = max(1, round(options.batch_seconds / SEGMENT_SECONDS))
    stems = noise(SEGMENT_SECONDS, batch).to(options.device)
    clock = Clock(batch * SEGMENT_SECONDS, options)
    while True:
        optimizer.zero_grad()
        with torch.autocast(options.device, torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = peer(stems)
        loss.backward()
        optimizer.step()
        if clock.step():
            return clock


def flops(loss: Callable[[], Tensor]) -> int:
    """Floating-point operations of a loss and its gradients."""
    with warnings.catch_warnings(), FlopCounterMode(display=False) as counter:
        warnings.simplefilter("ignore")
        # oneDNN's LSTM is one operation that the counter does not know; without oneDNN it is matrix products
        with torch.backends.mkldnn.flags(enabled=False):
            loss().backward()
    return counter.get_total_flops()


def flops_of_preset(preset: str, root: Path) -> float:
    """Per second of audio."""
    built = command(preset, root)
    model, data = built.model.train(), built.datamodule
    stems = noise(data.segment_seconds, rate=data.sample_rate, channels=data.audio_channels)
    signal = model.separator.signal
    count = flops(lambda: model.loss(model.separator.separate(signal(stems.sum(1))), signal(stems)))
    return count / data.segment_seconds


def matrix_product(dtype: torch.dtype, options: argparse.Namespace) -> float:
    """The best of five square products, in operations per second."""
    left, right = torch.randn(2, options.matrix, options.matrix, device=options.device).to(dtype)
    times = []
    for _ in range(6):
        begin = time.perf_counter()
        torch.mm(left, right)
        if options.device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return 2 * options.matrix**3 / min(times[1:])


def main() -> None:
    presets = sorted(path.stem for path in BASE.glob("*.yaml"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--presets", nargs="*", default=presets, choices=presets)
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--precision", nargs="+", default=list(DTYPES), choices=list(DTYPES), help="of every system")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--rounds", type=int, default=3, help="each measures every system in turn; medians count")
    parser.add_argument("--seconds", type=float, default=5.0, help="a round's time for each system, after the warm-up")
    parser.add_argument("--batch-seconds", type=float, default=12.0, help="audio in a batch, whatever the segments")
    parser.add_argument("--workers", type=int, default=0, help="of the presets' data; a GPU wants some")
    parser.add_argument("--matrix", type=int, default=4096, help="rows of the matrices whose product is the peak")
    options = parser.parse_args()

    peers = {name: PEERS[name]() for name in options.peers}
    with tempfile.TemporaryDirectory() as folder:
        root = write_data(Path(folder))
        operations = {preset: flops_of_preset(preset, root) for preset in options.presets}
        for name, peer in peers.items():
            stems = noise(SEGMENT_SECONDS)
            operations[name] = flops(functools.partial(peer, stems)) / SEGMENT_SECONDS
            peer.to(options.device)
        systems: dict[tuple[str, str], Callable[[], Clock]] = {}
        for precision in options.precision:
            for preset in options.presets:
                systems[preset, precision] = functools.partial(train_preset, preset, precision, root, options)
            for name, peer in peers.items():
                step = functools.partial(train_peer, peer, peer.optimizer(), precision, options)
                systems[name, precision] = step
        peaks: dict[str, list[float]] = {precision: [] for precision in options.precision}
        clocks: dict[tuple[str, str], list[Clock]] = {system: [] for system in systems}
        for number in range(options.rounds):  # in turn, so that a busy moment of the machine hits all
            for precision in options.precision:
                peaks[precision].append(matrix_product(DTYPES[precision], options))
            for (name, precision), train in systems.items():
                clock = train()
                clocks[name, precision].append(clock)
                print(f"round {number + 1} of {options.rounds}: {name}, {precision}: {clock.rate:.3g} x", flush=True)

    peak = {precision: max(values) for precision, values in peaks.items()}
    result = report.facts(__doc__.partition("\n")[0], options.device, ("torch", "lightning", "torchaudio", "openunmix"))
    result |= {
        "settings": {key: value for key, value in vars(options).items() if key != "json"},
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "peak_operations_per_second": peaks,
        "systems": [
            {
                "name": name,
                "precision": precision,
                "operations_per_audio_second": operations[name],
                "audio_seconds_per_step": seen[0].audio,
                "steps": [clock.count for clock in seen],
                "audio_seconds_per_second": (rate := statistics.median(clock.rate for clock in seen)),
                "all_audio_seconds_per_second": [clock.rate for clock in seen],
                "operations_per_second": rate * operations[name],
                "share_of_peak": rate * operations[name] / peak[precision],
                "gpu_busy": statistics.median(clock.busy for clock in seen) if options.device == "cuda" else None,
            }
            for (name, precision), seen in clocks.items()
        ],
    }
    print("\n" + report.heading(result))
    products = [[precision, value / 1e9] for precision, value in peak.items()]
    print(report.table(["torch.mm", "GFLOP/s"], products))
    columns = ["system", "precision", "GFLOP per audio-second", "audio-seconds per second", "GFLOP/s", "% of torch.mm"]
    rows = [
        [
            each["name"],
            each["precision"],
            each["operations_per_audio_second"] / 1e9,
            each["audio_seconds_per_second"],
            each["operations_per_second"] / 1e9,
            100 * each["share_of_peak"],
            *([100 * each["gpu_busy"]] if options.device == "cuda" else []),
        ]
        for each in result["systems"]
    ]
    print(report.table(columns + ["% of the time the GPU is busy"] * (options.device == "cuda"), rows))
    report.write(options.json, result)


if __name__ == "__main__":
    main()
