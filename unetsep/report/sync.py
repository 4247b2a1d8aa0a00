"""Uploading a sweep's offline runs to Weights & Biases, by its own `wandb sync`."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from unetsep.audio.files import InputError
from unetsep.report.account import entity_and_project, refuse_without_login
from unetsep.sweep.snapshot import held

_PLACES = (".", "trials/*", "trials/*/seeds/*")


def sync(folder: Path, project: str | None = None) -> int:
    """Uploads the offline runs in a folder, with their sounds and pictures; `wandb sync` shows how far it is.

    What was uploaded has a file `.wandb.synced` beside it and is left out the next time. So is what is still being
    trained: `wandb sync` would take it for the whole run. A training that stopped and went on is one run in parts.

    Args:
        folder: a sweep's, or a training's.
        project: `ENTITY/PROJECT`, or `PROJECT` of one's own entity; the project `unetsep` when not given.

    Returns:
        0 if everything is uploaded, 1 if something failed.

    Raises:
        InputError: if the project is not of that form, there is nothing to upload, or nobody is logged in.
    """
    entity, name = entity_and_project(project)
    parts = [part for place in _PLACES for part in sorted(folder.glob(f"{place}/wandb/offline-run-*/*.wandb"))]
    if not parts:
        raise InputError(
            f"nothing to upload: {folder} has no offline runs of Weights & Biases; train with wandb: offline"
        )
    missing = [part for part in parts if not _is_uploaded(part)]
    growing = [part for part in missing if held(_trial(part) / ".worker")]
    waiting = [part for part in missing if part not in growing]
    if len(missing) < len(parts):
        print(f"uploaded before: {_names(folder, [part for part in parts if part not in missing])}", flush=True)
    if growing:
        print(
            f"still being trained: {_names(folder, growing)}; upload them when they have ended, by --sync again",
            flush=True,
        )
    if not waiting:
        return 0
    refuse_without_login("uploading")
    options = ["--project", name, *(["--entity", entity] if entity else [])]
    with tempfile.TemporaryDirectory() as logs:  # which it would leave in the folder one works in, as `wandb`
        command = [sys.executable, "-m", "wandb", "sync", *options, *map(str, waiting)]
        code = subprocess.run(command, check=False, env={**os.environ, "WANDB_DIR": logs}).returncode
    failed = [part for part in waiting if not _is_uploaded(part)]
    if failed:
        print(
            f"unetsep: not uploaded: {_names(folder, failed)}; wandb's reason stands above, and --sync again takes "
            "only what is missing",
            file=sys.stderr,
        )
    else:
        print(f"uploaded: {_names(folder, waiting)}")
    return 1 if failed or code else 0


def _is_uploaded(part: Path) -> bool:
    return part.with_suffix(".wandb.synced").exists()


def _trial(part: Path) -> Path:
    """The folder of the trial that a part belongs to, or else of the training."""
    training = part.parents[2]
    return training.parents[1] if training.parent.name == "seeds" else training


def _names(folder: Path, parts: list[Path]) -> str:
    """The trainings that the parts belong to, as many as fit in a line: `12 trainings: trials/0000, ...`."""
    trainings = list(dict.fromkeys(part.parents[2] for part in parts))
    shown = [str(training.relative_to(folder)) if training != folder else str(folder) for training in trainings[:8]]
    more = [f"{len(trainings) - len(shown)} more"] if len(trainings) > len(shown) else []
    return f"{len(trainings)} training{'s' * (len(trainings) != 1)} ({', '.join(shown + more)})"
