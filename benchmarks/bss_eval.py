"""Pairs `bss_eval` and `csdr` with museval on one song in one run: how much faster, and how far the numbers differ.

python benchmarks/bss_eval.py --json bss_eval.json
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
from typing import Any

import museval
import numpy as np
import torch

from unetsep.audio.files import replacing
from unetsep.metrics import bss_eval, csdr

RATE = 44_100
MEASURES = ("SDR", "ISR", "SIR", "SAR")


def song(seconds: float, sources: int, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Coloured noise, one stem silent for the second second; estimates with leakage, a filter's colour and noise."""
    generator = torch.Generator().manual_seed(0)
    references = torch.randn(sources, round(seconds * RATE), channels, generator=generator)
    references[:, 1:] += torch.linspace(-0.9, 0.9, sources)[:, None, None] * references[:, :-1].clone()
    references[0, RATE : 2 * RATE] = 0
    estimates = references + 0.2 * references.flip(0) + 0.3 * torch.randn(references.shape, generator=generator)
    estimates[:, 1:] += 0.1 * references[:, :-1]
    return references, estimates


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = function()
    return time.perf_counter() - begin, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--seconds", type=float, default=240.0, help="length of the song")
    parser.add_argument("--sources", type=int, default=4)
    parser.add_argument("--channels", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each, in turn; medians are compared")
    parser.add_argument("--device", default="cpu", help="where ours computes; museval knows the CPU only")
    options = parser.parse_args()

    references, estimates = song(options.seconds, options.sources, options.channels)
    arrays = [waveforms.double().numpy() for waveforms in (references, estimates)]
    here = [waveforms.to(options.device) for waveforms in (references, estimates)]
    first = [waveforms.transpose(1, 2).contiguous() for waveforms in here]

    def all_measures() -> np.ndarray:
        return np.stack([measure.cpu().numpy() for measure in bss_eval(*here)])

    def sdr_alone() -> np.ndarray:
        return csdr(*first, RATE).cpu().numpy()

    all_measures(), sdr_alone()  # the first call loads libraries
    times: dict[str, list[float]] = {"museval": [], "bss_eval": [], "csdr": []}
    for repeat in range(options.repeats):  # in turn, so that a busy moment of the machine hits all
        print(f"round {repeat + 1} of {options.repeats}", flush=True)
        seconds, answer = timed(lambda: museval.metrics.bss_eval(*arrays, window=RATE, hop=RATE)[:4])
        times["museval"].append(seconds)
        for _ in range(3):
            seconds, ours = timed(all_measures)
            times["bss_eval"].append(seconds)
            seconds, medians = timed(sdr_alone)
            times["csdr"].append(seconds)
    theirs = np.stack(answer)
    median = {name: statistics.median(values) for name, values in times.items()}
    device = options.device if options.device == "cpu" else torch.cuda.get_device_name(options.device)
    apart = [float(np.nanmax(np.abs(mine - other))) for mine, other in zip(ours, theirs, strict=True)]
    apart.append(float(np.abs(medians - np.nanmedian(theirs[0], axis=1)).max()))
    result: dict[str, Any] = {
        "benchmark": "SDR, ISR, SIR and SAR (bss_eval) and SDR alone (csdr) against museval, which has no SDR alone",
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} used",
        "device": device,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "song": {"seconds": options.seconds, "sources": options.sources, "channels": options.channels, "rate": RATE},
        "seconds": times,
        "ratio_of_medians": {name: median["museval"] / median[name] for name in ("bss_eval", "csdr")},
        "largest_difference_db": dict(zip((*MEASURES, "csdr"), apart, strict=True)),
        "dropped_frames_agree": bool(np.array_equal(np.isnan(ours), np.isnan(theirs))),
    }
    print(f"{result['date']}  {result['machine']}, ours on {device}")
    print(f"{options.seconds:g} s of {options.sources} stems: museval {median['museval']:.2f} s")
    for name, what in (("bss_eval", "all measures"), ("csdr", "SDR alone")):
        ratio = result["ratio_of_medians"][name]
        print(f"{name:>9} ({what}) {median[name]:.3f} s: {ratio:.1f} times faster")
    print(
        f"at most {max(apart):.1e} dB apart, {'the same' if result['dropped_frames_agree'] else 'OTHER'} frames dropped"
    )
    if options.json:
        with replacing(options.json) as temporary:
            temporary.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
