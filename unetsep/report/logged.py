"""Where a sweep's scores, settings, sounds and pictures lie in the Weights & Biases runs of its trials."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from unetsep.report.run import Run, Trial, json_lines
from unetsep.report.settings import FEW, Setting, legible
from unetsep.sweep.document import read_yaml
from unetsep.training.listening import file_name

_NETWORK = "model.separator.init_args.net.class_path"


def summary_key(key: str) -> str:
    """The summary's name of `val/usdr`, `cost/params` and the like.

    The summary's `val/...` are a run's last scores; those of its best weights, by which a sweep judges, are `best/...`.
    """
    return f"best/{key.removeprefix('val/')}" if key.startswith("val/") else key


def run_ids(trials: Iterable[Trial]) -> list[str]:
    """The ids of the trials' Weights & Biases runs, one for every seed; none where they were kept without."""
    return list(
        dict.fromkeys(
            part.name.partition("run-")[2].split("-")[1]  # such as `offline-run-20261125_222600-dbfffa4c`
            for trial in trials
            for pattern in ("wandb/*run-*-*", "seeds/*/wandb/*run-*-*")
            for part in sorted(trial.folder.glob(pattern))
            if part.is_dir()
        )
    )


def config_keys(run: Run, setting: Setting) -> list[str]:
    """The dotted keys of the runs' configs that hold a setting; of a cost such as `cost/depth`, the summary's.

    A suggestion is not yet a config: `block: ConvBlock` becomes `block.class_path: unetsep.model.ConvBlock`, a mapping
    such as `skip_at: {1: Drop}` one key for each level, and `base: base/deep_unet.yaml` a network of another class.

    Returns:
        No key where the setting is in no config.
    """
    if setting.key.startswith("cost/"):
        return [setting.key]
    examples = _examples(run, setting)
    leaves = list(dict.fromkeys(key for example in examples for key in example))
    if f"{setting.key}.class_path" in leaves:
        return [f"{setting.key}.class_path"]
    parts = [
        key for key in leaves if key.startswith(f"{setting.key}.") and ".init_args." not in key[len(setting.key) :]
    ]
    differing = [key for key in parts if any(example.get(key) != examples[0].get(key) for example in examples)]
    if differing:
        return differing
    if setting.key in leaves:
        return [setting.key]
    follows = len({example.get(_NETWORK) for example in examples} - {None}) == len(examples) > 1
    return [_NETWORK] if follows else []


def media_keys(trials: Iterable[Trial], stems: Sequence[str]) -> tuple[list[str], list[str]]:
    """What the trials' sounds and their pictures are logged as; empty where none was kept.

    Args:
        trials: those whose folders are looked into.
        stems: the stems' names.
    """
    sounds: dict[str, None] = {}
    pictures: dict[str, None] = {}
    names = ["mixture", *(f"{stem}_{kind}" for stem in stems for kind in ("reference", "estimate"))]
    for trial in trials:
        for track in _tracks(trial.folder):
            file, key = file_name(track), track.replace(".", "_")
            for name in names:
                if (trial.folder / "audio" / f"{file}_{name}.flac").is_file():
                    sounds[f"audio/{key}/{name}"] = None
            for name in ("spectrograms", "segmentation"):
                if (trial.folder / "pictures" / f"{file}_{name}.png").is_file():
                    pictures[f"pictures/{key}/{name}"] = None
    return list(sounds), list(pictures)


def _tracks(folder: Path) -> list[str]:
    """The names of the tracks that a trial was judged on, in their order."""
    tracks = (json_lines(folder / "tracks.jsonl") or [{}])[-1].get("tracks")
    return list(tracks) if isinstance(tracks, dict) else []


def _examples(run: Run, setting: Setting) -> list[dict[str, Any]]:
    """The configs of a few trials, flat, each with another value of the setting."""
    chosen: dict[str, Trial] = {}
    for trial in run.ranked:
        if setting.has(trial) and (trial.folder / "config.yaml").is_file():
            chosen.setdefault(legible(setting.of(trial)), trial)
        if len(chosen) == FEW:
            break
    return [dict(_flat(read_yaml(trial.folder / "config.yaml"))) for trial in chosen.values()]


def _flat(config: Mapping[Any, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
