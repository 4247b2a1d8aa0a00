"""The settings of a run beside those of the model, the data and the trainer; what is set through what; the defaults."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from unetsep.audio.files import InputError
from unetsep.training.records import WandbMode

MONITOR = "val/usdr"
"""The score that says which weights are the best."""

LINKS = {
    "data.sources": "model.separator.init_args.sources",
    "data.sample_rate": "model.separator.init_args.sample_rate",
    "data.audio_channels": "model.separator.init_args.audio_channels",
    "data.seed": "seed_everything",
    "listening.out": "out",
}
"""Keys that cannot be set, because each is taken from another: that other one is the value here."""

SETTINGS = ("seed_everything", "out", "name", "group", "tags", "wandb", "resume", "early_stopping")
SECTIONS = (*SETTINGS, "model", "data", "trainer", "listening", "config", "ckpt_path")

TRAINER = {
    "max_epochs": 100,
    "devices": 1,
    "log_every_n_steps": 10,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
}
SEPARATOR = {"class_path": "unetsep.model.Separator", "init_args": {"net": {"class_path": "unetsep.model.UNet"}}}


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuses the run's own settings where they are out of range.

    Raises:
        InputError: naming the setting.
    """
    seed, patience = settings["seed_everything"], settings["early_stopping"]
    if not 0 <= seed < 2**32:
        raise InputError(f"seed_everything is {seed}: use 0 to {2**32 - 1}")
    if patience is not None and patience < 0:
        raise InputError(f"early_stopping is {patience}: use 0 or more validations, or null to never stop early")


def add_settings(parser: LightningArgumentParser) -> None:
    """Adds the run's own settings to a parser."""
    parser.add_argument("--seed_everything", type=int, default=0, help="seed of weights, chunks, remix and dropout")
    parser.add_argument("--out", type=Path, default=Path("runs/fit"), help="the run's folder")
    parser.add_argument("--name", type=str | None, help="the run's name; the folder's when not given")
    parser.add_argument("--group", type=str | None, help="what the run belongs to, such as a sweep")
    parser.add_argument("--tags", type=list[str], default=[], help="words to filter runs by")
    parser.add_argument("--wandb", type=WandbMode, default="offline", help="Weights & Biases")
    parser.add_argument("--resume", type=bool, default=False, help="go on from the folder's last checkpoint, if any")
    patience = f"stop when so many validations in a row brought no better {MONITOR}; null never does"
    parser.add_argument("--early_stopping", type=int | None, help=patience)
