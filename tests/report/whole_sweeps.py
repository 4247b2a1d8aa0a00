"""Sweeps' folders as large, as varied and as complete as real ones, without any training.

Scores are made up, but grow with what a network can do: with the logarithm of its multiply-adds, with skips, less with
every level. The networks themselves are built, so that parameters and drawings are theirs.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from unetsep.audio.files import write_audio
from unetsep.model import UNet
from unetsep.model.outline import outline, write_outline

from .suggestions import LR, NET, PUBLISHED, cost_of, network_of, published, suggestion

STEMS = ("vocals", "drums", "bass", "other")
OFFSETS = (0.9, 0.4, -0.3, -1.0)
RATE = 8000
RUNGS = {"unit": "epochs", "first": 3, "eta": 3, "last": 27}
BOUNDS = {"mixture": -4.2, "floor": 2.0, "oracle": 11.5}
HOSTILE = (
    "</script><img src=x onerror=\"console.error('injected')\">",
    "\"'><svg onload=\"console.error('injected')\">&lt;b&gt; ]]> {{ 7*7 }} <!-- ${7*7} `\\u003c`",
    "\u202eright to left\u202c \U0001f941 שלום عربى Señor\u2028#1%20?",
)
"""What may stand in a question, a reason, a setting or a track's name, and must be shown as it stands."""


def write_large_sweep(
    folder: Path, trials: int = 500, *, rungs: Mapping[str, Any] | None = RUNGS, seeds: int = 2, question: str = ""
) -> Path:
    """A sweep as `sweeps/shallow.yaml` asks for it, most trials stopped at rungs, every ninth without a score."""
    random = np.random.default_rng(0)
    _write_folder(
        folder, question or "How shallow, how narrow and how sparsely connected can a U-Net be?", rungs, seeds
    )
    for number in range(trials):
        if number % 9 == 5:
            state, reason = [
                ("refused", "gmacs_per_second is 0.31, over the budget of 0.12"),
                ("failed", "the loss is NaN in epoch 2"),
                ("duplicate", f"its config is that of trial {number - 1}"),
            ][number // 9 % 3]
            _write_trial(folder, number, suggestion(random), None, {}, state=state, reason=reason)
            continue
        params = suggestion(random)
        net = network_of(params)
        cost = cost_of(net, params[NET + "depth"], params[NET + "width"])
        skips = [value for key, value in params.items() if ".skip_at." in key]
        lost = 0.25 * sum(value == "Drop" for value in skips) + 0.08 * sum(value == "Add" for value in skips)
        rate = -0.4 * abs(math.log10(params[LR] / 5e-3))
        score = 7.0 + 2.2 * math.log10(cost["gmacs_per_second"]) - lost + rate + 0.25 * float(random.standard_normal())
        reached = 3 if number % 9 == 0 else 2 if number % 3 == 0 else 1
        _write_trial(
            folder,
            number,
            params,
            score,
            cost,
            net=net,
            random=random,
            state="complete" if reached == 3 or not rungs else "stopped",
            epochs=[3, 9, 27][reached - 1] if rungs else 9,
            rungs=reached if rungs else 0,
            spread=0.05 + 0.1 * float(random.random()) if seeds > 1 else None,
        )
    return folder


def write_depth_sweep(folder: Path) -> Path:
    """The three published U-Nets at every depth, as `sweeps/depth.yaml` leaves them."""
    random = np.random.default_rng(1)
    _write_folder(folder, "What does each level of the three published U-Nets buy?", None, 1)
    places = [(base, depth) for base, (_, deepest) in PUBLISHED.items() for depth in range(1, deepest + 1)]
    for number, (base, depth) in enumerate(places):
        kind = list(PUBLISHED).index(base)
        net = published(base, depth)
        score = 3.0 + 0.8 * kind + 2.0 * (1 - math.exp(-depth / 2)) + 0.1 * float(random.standard_normal())
        params = {"base": base, NET + "depth": depth}
        _write_trial(folder, number, params, score, cost_of(net, depth, 16 + 16 * kind), net=net, random=random)
    return folder


def write_sounds(
    trial: Path, tracks: Sequence[str] = ("first song",), seconds: float = 2.0, noise: float = 0.1
) -> None:
    """The excerpts of a trial's best weights: steady tones as stems, and estimates with so much noise."""
    time = np.arange(round(seconds * RATE)) / RATE
    for place, track in enumerate(tracks):
        random = np.random.default_rng(place)
        stems = {stem: 0.2 * np.sin(2 * np.pi * (place + 1) * 110 * 2**k * time) for k, stem in enumerate(STEMS)}
        stems["drums"] *= np.exp(-20 * (time % 0.5))
        stems["vocals"][: len(time) // 2] = 0.0  # silent where its SDR is none
        sounds = {"mixture": sum(stems.values())} | {f"{stem}_reference": sound for stem, sound in stems.items()}
        for stem, sound in stems.items():
            sounds[f"{stem}_estimate"] = sound + 0.2 * noise * random.standard_normal(len(time))
        for name, sound in sounds.items():
            write_audio(trial / "audio" / f"{track}_{name}.flac", np.float32(sound)[None], RATE)


def _write_folder(folder: Path, question: str, rungs: Mapping[str, Any] | None, seeds: int) -> None:
    sweep = {
        "question": question,
        "objectives": {"val/usdr": "maximize", "cost/gmacs_per_second": "minimize"},
        "rungs": rungs,
        "seeds": seeds if seeds > 1 else None,
    }
    folder.mkdir(parents=True)
    (folder / "sweep.yaml").write_text(yaml.safe_dump(sweep, sort_keys=False, allow_unicode=True), encoding="utf-8")
    for name, score in BOUNDS.items():
        (folder / f"{name}.json").write_text(json.dumps(_scores(score, prefix="")))


def _scores(usdr: float, prefix: str = "val/") -> dict[str, float]:
    """What a validation logs; stems lie around their mean."""
    scores = {}
    for name, less in (("usdr", 0.0), ("csdr", 0.3)):
        scores[prefix + name] = usdr - less
        scores |= {f"{prefix}{name}/{stem}": usdr - less + place for stem, place in zip(STEMS, OFFSETS, strict=True)}
    share = 1 / (1 + math.exp(-usdr / 4))
    scores |= {f"{prefix}seg_accuracy": share, f"{prefix}seg_miou": 0.8 * share}
    return scores | {
        f"{prefix}seg_confusion/{true}/{found}": share if true == found else (1 - share) / 3
        for true in STEMS
        for found in STEMS
    }


def _write_trial(
    sweep: Path,
    number: int,
    params: Mapping[str, Any],
    score: float | None,
    cost: Mapping[str, float],
    *,
    net: UNet | None = None,
    random: np.random.Generator | None = None,
    state: str = "complete",
    reason: str = "",
    epochs: int = 9,
    rungs: int = 0,
    spread: float | None = None,
) -> None:
    trial = sweep / "trials" / f"{number:04d}"
    trial.mkdir(parents=True)
    result: dict[str, Any] = {"number": number, "state": state, "reason": reason, "params": dict(params)}
    if score is not None and random is not None:
        curve = [score - 3 * math.exp(-(epoch + 1) / (0.4 * epochs)) for epoch in range(epochs)]
        lines = [[{"train/loss": 0.05 / (epoch + 1)}, _scores(now)] for epoch, now in enumerate(curve)]
        _write_lines(
            trial / "metrics.jsonl",
            ({"step": 50 * epoch, "epoch": epoch, **line} for epoch, both in enumerate(lines) for line in both),
        )
        _write_lines(trial / "tracks.jsonl", [_tracks(score, epochs, random)])
        result |= {"scores": _scores(score), "cost": dict(cost), "seconds": 4.0 * epochs, "epoch": epochs - 1}
        if spread is not None:
            result["spread"] = {key: spread for key in _scores(score) if "usdr" in key or "csdr" in key}
        if rungs:
            result["rungs"] = [_scores(curve[min(epochs, 3 ** (rung + 1)) - 1]) for rung in range(rungs)]
        if net is not None:
            write_outline(trial, outline(net))
        (trial / "config.yaml").write_text(yaml.safe_dump({"seed_everything": 0, "settings": dict(params)}))
    (trial / "result.json").write_text(json.dumps(result))


def _tracks(score: float, epochs: int, random: np.random.Generator) -> dict[str, Any]:
    """The scores of the best epoch by track and stem."""
    by_track = {
        f"song {place}": {
            name: {stem: score + float(random.standard_normal()) for stem in STEMS} for name in ("usdr", "csdr")
        }
        for place in range(6)
    }
    return {"stage": "val", "step": 50 * epochs, "epoch": epochs - 1, "tracks": by_track}


def _write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
