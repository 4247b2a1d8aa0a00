"""Where a U-Net wastes time: `subbands` and the entry of `small` and `full`, by the time of a training step.

Each variant of a preset takes the same batches in turn, forward, backward and optimizer, in the precision that the
preset has on this machine, without data loading and scores.

python benchmarks/resolution.py --json resolution.json
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line sets it, before torch is loaded

import report
import torch

from unetsep.cli import UnetsepCLI
from unetsep.deploy.machine import keep_freed_memory
from unetsep.metrics import cost_card

BASE = Path(__file__).parent.parent / "sweeps" / "base"
NET = "--model.separator.init_args.net.init_args."
SUBBANDS = (1, 2, 4, 8)
ENTRIES = ("block", "stride")


def steps(preset: str, settings: dict[str, Any], options: argparse.Namespace) -> tuple[Callable[[], float], Any]:
    """A function that takes one training step and says how long it took, and the module that it trains."""
    arguments = [f"{NET}{name}={value}" for name, value in settings.items()]
    place = ["--data.root=.", f"--trainer.accelerator={'cpu' if options.device == 'cpu' else 'gpu'}"]
    command = UnetsepCLI([f"--config={BASE / preset}.yaml", *place, *arguments], run=False)
    module, separator = command.model.to(options.device), command.model.separator
    sizes = len(separator.sources), separator.audio_channels, round(options.seconds * separator.sample_rate)
    stems = 0.1 * torch.randn(options.batch_size, *sizes, device=options.device)
    optimizer = module.optimizer(module.parameters())
    half = command.trainer.precision == "bf16-mixed"

    def step() -> float:
        begin = time.perf_counter()
        with torch.autocast(options.device.partition(":")[0], torch.bfloat16, enabled=half, cache_enabled=False):
            estimates = separator.separate(separator.signal(stems.sum(1)))
            loss = module.loss(estimates, separator.signal(stems))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # waits for a GPU
        return time.perf_counter() - begin

    return step, module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--presets", nargs="+", default=["small", "full"])
    parser.add_argument("--subbands", nargs="+", type=int, default=SUBBANDS)
    parser.add_argument("--entries", nargs="+", choices=ENTRIES, default=ENTRIES)
    parser.add_argument("--rounds", type=int, default=5, help="timed steps of each variant, in turn; medians count")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0, help="of audio in each item of a batch")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    if options.device == "cpu":
        keep_freed_memory()  # as `unetsep fit` does

    result = report.facts("Training steps by the resolution of the outermost level", options.device)
    result |= {"batch_size": options.batch_size, "seconds": options.seconds, "variants": []}
    for preset in options.presets:
        variants = [{"entry": entry, "subbands": k} for entry in options.entries for k in options.subbands]
        taken = [steps(preset, settings, options) for settings in variants]
        for step, _ in taken:
            step()  # the first call loads kernels
        times: list[list[float]] = [[] for _ in taken]
        for _ in range(options.rounds):  # in turn, so that a busy moment of the machine hits all
            for passed, (step, _) in zip(times, taken, strict=True):
                passed.append(step())
        for settings, passed, (_, module) in zip(variants, times, taken, strict=True):
            card = cost_card(module.separator, measure=False)
            audio = options.batch_size * options.seconds / statistics.median(passed)
            result["variants"].append({"preset": preset, **settings, **card, "step_seconds": passed, "audio": audio})

    print(report.heading(result))
    columns = ("preset", "entry", "subbands", "M parameters", "GMAC/s", "MB for 10 s", "step in s", "audio-s/s")
    rows = [
        (
            *(each[name] for name in ("preset", "entry", "subbands")),
            *(each["params"] / 1e6, each["gmacs_per_second"], each["peak_memory_mb"]),
            *(statistics.median(each["step_seconds"]), each["audio"]),
        )
        for each in result["variants"]
    ]
    print(report.table(columns, rows), end="")
    report.write(options.json, result)


if __name__ == "__main__":
    main()
