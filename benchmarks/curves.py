"""Learning curves of every small U-Net of a grid, made once: a space that a search can be tried on in no time.

Each config trains for 27 epochs on the same random remixes of synthetic songs in mono, its learning rate falling to
zero along a cosine of all 27, and separates the whole validation songs after every one of them. `usdr` is the whole
songs' SDR in dB, mean over songs and then over stems, as `val/usdr` is.

python benchmarks/curves.py

What has been trained is kept in --scratch: the same command goes on where it stopped. The table, written when it is
complete, is gzipped JSON: facts and settings, then `configs`, one {"settings": {depth, width, ...}, "cost": {params,
gmacs_per_second, depth}, "usdr": [after epoch 1, ..., 27], "seconds": of one core} for each.
"""

import argparse
import gzip
import itertools
import json
import math
import os
import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line sets it, before torch is loaded

import report
import torch
from torch import Tensor

from unetsep.audio.files import replacing
from unetsep.cli.trainer import fast_precision
from unetsep.data import Remix, StemsDataModule
from unetsep.data.synthetic import write_set
from unetsep.deploy.machine import keep_freed_memory
from unetsep.metrics import cost_card
from unetsep.metrics.sdr import usdr
from unetsep.model import Separator, UNet, blocks, skips
from unetsep.sweep.floor import fixed_mask_floor
from unetsep.training.losses import WaveformL1

GRID: dict[str, list[Any]] = {
    "depth": [1, 2, 3, 4],
    "width": [4, 8, 16],
    "block": ["NoBlock", "ConvBlock", "ResidualBlock"],
    "skip": ["Concat", "Add", "Drop"],
    "lr": [1e-3, 5e-3, 2.5e-2],
}
SYNTHETIC = {"train": 16, "valid": 4, "test": 0, "seconds": 7, "seed": 0}
FOLDER = Path("data") / "synthetic-16-4-0-7s-seed0"
RATE, N_FFT, HOP = 8_000, 512, 256
GROWTH, SUBBANDS, WARMUP, CLIP, SEED = 1.5, 4, 5, 1.0, 0
EPOCHS, STEPS, BATCH, SEGMENT_SECONDS = 27, 10, 2, 1.5
FIXED = {
    "net": {"growth": GROWTH, "subbands": SUBBANDS, "entry": "project"},
    "separator": {"audio_channels": 1, "sample_rate": RATE, "n_fft": N_FFT, "hop": HOP},
    "training": {"loss": "WaveformL1", "optimizer": "AdamW", "warmup_steps": WARMUP, "gradient_clip_val": CLIP},
    "data": {"batches_per_epoch": STEPS, "batch_size": BATCH, "segment_seconds": SEGMENT_SECONDS, "remix": "Remix"},
    "epochs": EPOCHS,
    "seed": SEED,
    "synthetic": SYNTHETIC,
}


class Data(NamedTuple):
    """What all configs train on and are judged by.

    Attributes:
        epochs: remixed batches of each epoch, (batch, source, channel, sample).
        songs: of the validation, (song, source, channel, sample).
        floor: what the best fixed masks score on them, dB.
    """

    epochs: list[list[Tensor]]
    songs: Tensor
    floor: float


@cache
def data() -> Data:
    """The same for every config and in every process."""
    chunks = StemsDataModule(
        FOLDER,
        sample_rate=RATE,
        audio_channels=1,
        segment_seconds=SEGMENT_SECONDS,
        batch_size=BATCH,
        batches_per_epoch=STEPS,
        seed=SEED,
        remix=Remix(),
    )
    assert chunks.remix is not None
    loader = chunks.train_dataloader()
    epochs = []
    generator = torch.Generator().manual_seed(SEED)
    for epoch in range(EPOCHS):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        epochs.append([chunks.remix(batch.stems, generator) for batch in loader])
    songs = torch.cat([batch.stems for batch in chunks.val_dataloader()])
    return Data(epochs, songs, fixed_mask_floor(chunks, N_FFT, HOP)["usdr"])


def separator_of(settings: dict[str, Any]) -> Separator:
    """A separator with a config's U-Net, its first weights drawn from the seed."""

    def net(in_channels: int, out_channels: int, freqs: int) -> UNet:
        return UNet(
            in_channels,
            out_channels,
            freqs,
            depth=settings["depth"],
            width=settings["width"],
            growth=GROWTH,
            subbands=SUBBANDS,
            entry="project",
            block=getattr(blocks, settings["block"]),
            skip=getattr(skips, settings["skip"]),
        )

    torch.manual_seed(SEED)
    return Separator(net=net, audio_channels=1, sample_rate=RATE, n_fft=N_FFT, hop=HOP)


def train(settings: dict[str, Any], half: bool) -> dict[str, Any]:
    """One training: its cost and its scores, as the table has them."""
    batches, songs, _ = data()
    separator, loss = separator_of(settings), WaveformL1()
    card = cost_card(separator, measure=False)
    optimizer = torch.optim.AdamW(separator.parameters(), lr=settings["lr"], fused=True)
    total = EPOCHS * STEPS

    def factor(step: int) -> float:  # as SeparationModule's
        if step < WARMUP:
            return (step + 1) / (WARMUP + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (total - WARMUP)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=half, cache_enabled=False)
    curve = []
    begin = time.process_time()  # which other work on the machine lengthens less
    for epoch in batches:
        separator.train()
        for stems in epoch:
            with autocast:
                error = loss(separator.separate(separator.signal(stems.sum(1))), separator.signal(stems))
            optimizer.zero_grad()
            error.backward()
            torch.nn.utils.clip_grad_norm_(separator.parameters(), CLIP)
            optimizer.step()
            schedule.step()
        separator.eval()
        with torch.inference_mode(), autocast:
            estimates = separator(songs.sum(1))
        # score_track's, without the measures that would take longer than the training
        scores = torch.stack([usdr(*pair) for pair in zip(songs, estimates, strict=True)])
        curve.append(round(float(scores.nanmean(0).nanmean()), 3))
    seconds = round(time.process_time() - begin, 3)
    cost = {"params": int(card["params"]), "gmacs_per_second": card["gmacs_per_second"], "depth": int(card["depth"])}
    cost["gmacs_per_second"] = float(f"{cost['gmacs_per_second']:.4g}")
    return {"settings": settings, "cost": cost, "usdr": curve, "seconds": seconds}


def begin_worker() -> None:
    """One thread for each process, and its memory kept."""
    torch.set_num_threads(1)
    keep_freed_memory()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "curves.json.gz")
    parser.add_argument("--scratch", type=Path, default=Path(__file__).parent / "results" / "curves.jsonl")
    parser.add_argument("--processes", type=int, default=2, help="that train, with one thread each")
    parser.add_argument("--precision", choices=("auto", "bf16-mixed", "32-true"), default="auto")
    parser.add_argument("--limit", type=int, help="stop after so many configs, without a table")
    options = parser.parse_args()
    begin_worker()
    write_set(FOLDER, **SYNTHETIC)
    floor = round(data().floor, 3)
    precision = fast_precision("cpu") if options.precision == "auto" else options.precision

    grid = [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]
    lines = options.scratch.read_text().splitlines() if options.scratch.exists() else []
    fixed = FIXED | {"precision": precision}
    earlier = [row for made_with, row in map(json.loads, lines) if made_with == fixed]
    done = {json.dumps(row["settings"]): row for row in earlier}
    missing = [settings for settings in grid if json.dumps(settings) not in done]
    random.Random(SEED).shuffle(missing)  # so that what is there at any time speaks for the whole
    missing = missing[: options.limit]
    options.scratch.parent.mkdir(parents=True, exist_ok=True)
    pool = ProcessPoolExecutor(options.processes, get_context("spawn"), begin_worker)
    begin = time.perf_counter()
    with pool, options.scratch.open("a") as scratch:
        jobs = [pool.submit(train, settings, precision == "bf16-mixed") for settings in missing]
        for number, job in enumerate(as_completed(jobs), 1):
            row = job.result()
            done[json.dumps(row["settings"])] = row
            print(json.dumps([fixed, row]), file=scratch, flush=True)
            left = (time.perf_counter() - begin) / number * (len(missing) - number)
            name = " ".join(map(str, row["settings"].values()))
            said = f"{name}: {row['usdr'][0]} to {row['usdr'][-1]} dB in {row['seconds']} s, {left:.0f} s to go"
            print(f"{number}/{len(missing)} {said}", file=sys.stderr, flush=True)
    if len(done) < len(grid):
        return
    rows = [done[json.dumps(settings)] for settings in grid]
    table = report.facts(__doc__.partition("\n")[0]) | {
        "command": "python benchmarks/curves.py",
        "seconds": round(sum(row["seconds"] for row in rows)),
        "floor_usdr": floor,
        "fixed": fixed,
        "grid": GRID,
        "configs": rows,
    }
    with replacing(options.out) as unfinished:
        unfinished.write_bytes(gzip.compress(json.dumps(table, separators=(",", ":")).encode(), mtime=0))


if __name__ == "__main__":
    main()
