"""A sweep's folder made of small files, as `unetsep sweep` leaves it."""

import json
from pathlib import Path
from typing import Any

import yaml

STEMS = ("vocals", "drums", "bass", "other")
DEPTH = "model.separator.init_args.net.init_args.depth"
BLOCK = "model.separator.init_args.net.init_args.block"
LR = "model.optimizer.init_args.lr"


def write_sweep(folder: Path, floor: float | None = 2.0, **settings: Any) -> Path:
    """An empty sweep: its question, its objectives, its floor."""
    folder.mkdir(parents=True)
    sweep = {
        "question": "How shallow can a U-Net be and still separate?",
        "objectives": {"val/usdr": "maximize", "cost/gmacs_per_second": "minimize"},
    }
    (folder / "sweep.yaml").write_text(yaml.safe_dump(sweep | settings, sort_keys=False))
    if floor is not None:
        (folder / "floor.json").write_text(json.dumps({"usdr": floor, **{f"usdr/{stem}": floor for stem in STEMS}}))
    return folder


def write_trial(
    sweep: Path,
    number: int,
    usdr: float | None = None,
    gmacs: float | None = None,
    state: str = "complete",
    **more: Any,
) -> Path:
    """One trial; without a score it is in the given state, and `state="unfinished"` leaves it without a result."""
    trial = sweep / "trials" / f"{number:04d}"
    trial.mkdir(parents=True)
    depth = more.pop("depth", 1 + number % 3)
    scores = (
        {} if usdr is None else {"val/usdr": usdr, **{f"val/usdr/{stem}": usdr + k for k, stem in enumerate(STEMS)}}
    )
    cost = {} if gmacs is None else {"gmacs_per_second": gmacs, "params": 1000.0 * (number + 1), "depth": depth}
    params = {DEPTH: depth, BLOCK: "TFC" if number % 2 else "ConvBlock", LR: 0.001 * (number + 1)}
    result = {"number": number, "state": state, "reason": "", "scores": scores, "cost": cost, "params": params}
    rows = [{"epoch": epoch, "val/usdr": (usdr or 0.0) - 2 / (epoch + 1)} for epoch in range(4)]
    (trial / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if state != "unfinished":
        (trial / "result.json").write_text(json.dumps(result | {"seconds": 12.5, "epoch": 3} | more))
    return trial
