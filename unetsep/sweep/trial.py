"""One trial, by the very command line that a user would train it with."""

import gc
from argparse import ArgumentError
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from lightning import Callback, LightningModule, Trainer

from unetsep.audio.files import InputError
from unetsep.cli import LINKS, MONITOR, UnetsepCLI
from unetsep.cli.refusals import linked_or_unknown, one_line
from unetsep.cli.settings import SECTIONS
from unetsep.data.synthetic import write_set
from unetsep.metrics import cost_card
from unetsep.sweep.document import Config, parse_yaml
from unetsep.sweep.floor import fixed_mask_floor, write_floor
from unetsep.sweep.fold import MISSING, find, layered, put
from unetsep.sweep.trials import Outcome, Watch


class CommandLine:
    """Completes, costs and trains configs as `unetsep fit` does.

    Args:
        group: what every trial's Weights & Biases run belongs to.
        timed: whether the cost card needs the real-time factor of this machine, which takes seconds to measure.
    """

    def __init__(self, group: str, timed: bool = False):
        self.group = group
        self.timed = timed
        self.command = _ConfigParser()

    def resolve(self, config: Config) -> Config:
        """The config as the command line understands it: classes by their full names, every value of its type.

        Raises:
            InputError: if the command line would refuse it; the message names the key.
        """
        parsed = self.command.parse(config)
        text = self.command.parser.dump(parsed, skip_unset=False, skip_validation=True, format="yaml")
        return dict(parse_yaml(text, "config"))

    def cost(self, resolved: Config) -> dict[str, float]:
        """The cost card of the separator that a config describes, in milliseconds unless this is `timed`.

        Raises:
            InputError: if there is no such network.
        """
        return self.build(resolved, timed=self.timed)

    def build(self, resolved: Config, timed: bool = False) -> dict[str, float]:
        """The cost card without the real-time factor: the network is built without weights.

        Raises:
            InputError: if there is no such network.
        """
        try:
            with torch.device("cpu" if timed else "meta"):
                separator = self._parts(resolved).model.separator
            return cost_card(separator, measure=timed)
        except Exception as error:  # whatever the classes of a config raise, it is this config's fault
            raise InputError(f"there is no such network: {' '.join(str(error).split())}") from error

    def train(self, config: Config, folder: Path, watch: Watch) -> Outcome:
        """Trains a config in a folder, from the last checkpoint there on if there is one.

        Returns:
            The scores at the best `val/usdr`, those of `checkpoints/best.ckpt`.
        """
        place = {"out": str(folder), "name": folder.name, "group": self.group, "resume": True}
        try:
            command = _QuietCLI(layered(config, place), run=False)
            command.trainer.callbacks.append(Watching(watch))  # type: ignore[attr-defined]
            best = command.fit()
        finally:
            if torch.cuda.is_available():  # a finished trainer is full of cycles, and its memory is wanted
                gc.collect()
                torch.cuda.empty_cache()
        scores = {name: value for name, value in best.items() if name.startswith("val/") and value is not None}
        return Outcome(scores, best.get("epoch"))

    def make_data(self, root: Path, synthetic: Mapping[str, Any]) -> None:
        """Makes the synthetic data set, unless it is there."""
        write_set(root, **synthetic)

    def write_floor(self, config: Config, path: Path) -> dict[str, float]:
        """Writes what fixed masks reach on the tracks, at the rate and with the STFT, of a config."""
        parts = self._parts(config)
        floor = fixed_mask_floor(parts.data, parts.model.separator.n_fft, parts.model.separator.hop)
        write_floor(path, floor)
        return floor

    def _parts(self, config: Config) -> Namespace:
        """The objects that a config describes, without a trainer."""
        return self.command.parser.instantiate(self.command.parse(config))


class Watching(Callback):
    """Tells how far a training is."""

    def __init__(self, watch: Watch):
        self.watch = watch
        self.score = ""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tells the epoch and the step in it."""
        step = f"step {batch_idx + 1}/{trainer.num_training_batches}"
        self.watch(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}, {step}{self.score}")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remembers the score."""
        if MONITOR in trainer.callback_metrics:
            self.score = f", {MONITOR} {float(trainer.callback_metrics[MONITOR]):.2f} dB"


class _QuietCLI(UnetsepCLI):
    """The command line without its progress bar: the sweep says how far it is, and the config keeps no trace of it."""

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer, which draws nothing on the terminal."""
        trainer = self._get(self.config_init, "trainer")
        trainer["enable_progress_bar"] = trainer["enable_model_summary"] = False
        return super().instantiate_trainer(**kwargs)


class _ConfigParser(UnetsepCLI):
    """The command line's parser alone, for many configs.

    With every default of every nested class it takes jsonargparse half a second a config. What a config says is checked
    ten times faster without them, as long as the keys are there that others are linked to.
    """

    def __init__(self) -> None:
        super().__init__({"data": {"root": "."}}, run=False)
        defaults = self._settings()
        self.separator = {"class_path": find(defaults, "model.separator.class_path")}
        self.linked = {key: find(defaults, key) for key in LINKS.values()}

    def instantiate_classes(self) -> None:
        """Nothing: the configs that are parsed here are not trained here."""

    def _set_seed(self) -> None:
        """Nothing: parsing needs no random numbers."""

    def parse(self, config: Config) -> Namespace:
        """The config as jsonargparse's own object, without the defaults of classes; InputError if it is refused."""
        for problem in linked_or_unknown(config, SECTIONS, LINKS):
            raise InputError(problem)
        filled = layered({"model": {"separator": self.separator}}, config)
        for key, value in self.linked.items():
            if find(filled, key) is MISSING:
                put(filled, key, value)
        try:
            return self.parser.parse_object(filled, defaults=False)
        except ArgumentError as error:
            raise InputError(one_line(str(error))) from None
