"""Pairs `csdr` with museval on the same signals in one run: how much faster it is, and how far the numbers differ.

python benchmarks/sdr.py --json sdr.json
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import museval
import numpy as np
import torch

from unetsep.audio.files import replacing
from unetsep.metrics import csdr, frame_sdr

RATE = 44_100


def signals(seconds: float, sources: int, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise stems, one silent for the second second, and estimates with 10 dB less error than signal."""
    generator = torch.Generator().manual_seed(0)
    references = torch.randn(sources, channels, round(seconds * RATE), generator=generator)
    references[0, :, RATE : 2 * RATE] = 0
    return references, references + 0.1**0.5 * torch.randn(references.shape, generator=generator)


def timed(function: Callable[[], object], repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the stems")
    parser.add_argument("--sources", type=int, default=4)
    parser.add_argument("--channels", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each; medians are compared")
    options = parser.parse_args()

    references, estimates = signals(options.seconds, options.sources, options.channels)
    arrays = [x.transpose(1, 2).double().numpy() for x in (references, estimates)]
    ours, theirs = [], []
    csdr(references, estimates, RATE)  # the first call loads libraries
    for _ in range(options.repeats):  # in turn, so that a busy moment of the machine hits both
        theirs += timed(lambda: museval.evaluate(*arrays), 1)
        ours += timed(lambda: csdr(references, estimates, RATE), 9)
    frames, expected = frame_sdr(references, estimates).numpy(), museval.evaluate(*arrays)[0]
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, torch on {torch.get_num_threads()}"
    result = {
        "benchmark": "csdr against museval (SDR, ISR, SIR and SAR; it has no SDR alone)",
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "signal": {"seconds": options.seconds, "sources": options.sources, "channels": options.channels, "rate": RATE},
        "museval_seconds": theirs,
        "csdr_seconds": ours,
        "ratio_of_medians": statistics.median(theirs) / statistics.median(ours),
        "largest_difference_db": float(np.nanmax(np.abs(frames - expected))),
        "dropped_frames_agree": bool(np.array_equal(np.isnan(frames), np.isnan(expected))),
    }
    print(f"{result['date']}  {result['machine']}")
    print(
        f"{options.seconds:g} s of {options.sources} stems: museval (all measures) {statistics.median(theirs):.2f} s, "
        f"csdr (SDR alone) {statistics.median(ours) * 1000:.1f} ms"
    )
    print(
        f"ratio of medians {result['ratio_of_medians']:.0f}; at most {result['largest_difference_db']:.1e} dB apart, "
        f"{'the same' if result['dropped_frames_agree'] else 'OTHER'} frames dropped"
    )
    if options.json:
        with replacing(options.json) as temporary:
            temporary.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
