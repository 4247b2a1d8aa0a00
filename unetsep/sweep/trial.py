"""One trial, by the very command line that a user would train it with."""

import gc
import json
import traceback
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser

from unetsep.audio.files import InputError
from unetsep.cli import MONITOR, UnetsepCLI
from unetsep.cli.settings import check_settings
from unetsep.data.synthetic import write_set
from unetsep.metrics import cost_card
from unetsep.sweep.completion import completed
from unetsep.sweep.document import Config
from unetsep.sweep.floor import write_bounds
from unetsep.sweep.fold import MISSING, find, layered
from unetsep.sweep.log import logged
from unetsep.sweep.parsing import ConfigParser
from unetsep.sweep.rungs import Stop
from unetsep.sweep.trials import SECOND, Outcome, Watch
from unetsep.training.pausing import Pause


class CommandLine:
    """Completes, costs and trains configs as `unetsep fit` does.

    Args:
        group: what every trial's Weights & Biases run belongs to.
        timed: whether the cost card needs the real-time factor of this machine, which takes seconds to measure.
    """

    def __init__(self, group: str, timed: bool = False):
        self.group = group
        self.timed = timed
        self.command = ConfigParser()
        # a config and what it was resolved to: what was judged last is trained next
        self._last: tuple[Config | None, Config] = (None, {})
        self._costs: dict[str, dict[str, float]] = {}  # by the resolved separator
        self._settled = False

    def resolve(self, config: Config) -> Config:
        """The config as the command line understands it: classes by their full names, every value of its type.

        Raises:
            InputError: if the command line would refuse it; the message names the key.
        """
        if config != self._last[0]:
            parsed = self.command.parse(config)
            resolved = self.command.plain(parsed)
            self.command.remember(resolved, parsed)
            self._last = deepcopy(config), resolved
        return deepcopy(self._last[1])

    def whole(self, config: Config) -> Config:
        """The resolved config with the default of every setting, as it lies in a trial's folder.

        Raises:
            InputError: as `resolve`.
        """
        return layered(self.command.defaults, completed(self.resolve(config)))

    def cost(self, resolved: Config) -> dict[str, float]:
        """The cost card of the separator that a config describes, in milliseconds unless this is `timed`.

        Raises:
            InputError: if there is no such network.
        """
        card = self.build(resolved, timed=self.timed)
        self._costs[_separator(resolved)] = card
        return card

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

    def train(self, config: Config, folder: Path, stop: Stop | None, watch: Watch) -> Outcome:
        """Trains a config in a folder, from the last checkpoint there on if there is one.

        What it prints goes to `log.txt` there. A training that has already got so far, or ended early, does nothing
        more than to tell its scores.

        Args:
            config: what to train; its own length is that of the whole training.
            folder: where to.
            stop: where to pause; None for the training's own end.
            watch: is told how far it is.

        Returns:
            The scores at the best `val/usdr` so far, those of `checkpoints/best.ckpt`.
        """
        goes_on = (folder / "checkpoints" / "last.ckpt").exists()
        with logged(folder / "log.txt", f"{'goes on' if goes_on else 'begins'}, to {stop or 'its end'}"):
            try:
                best = self._fit(config, folder, stop, watch)
            except BaseException as error:
                traceback.clear_frames(error.__traceback__)  # they hold the network, and all that it computed last
                raise
            finally:
                self._free()
        scores = {name: value for name, value in best.items() if name.startswith("val/") and value is not None}
        return Outcome(scores, best.get("epoch"))

    def _fit(self, config: Config, folder: Path, stop: Stop | None, watch: Watch) -> dict[str, Any]:
        second = folder.parent.name == SECOND
        name = f"{folder.parent.parent.name} seed {folder.name}" if second else folder.name
        place = {"out": str(folder), "name": name, "group": self.group, "resume": True}
        card = self._costs.get(_separator(self.resolve(config)))
        command = _TrialCLI({**self.whole(config), **place}, self.command, card)
        command.trainer.callbacks += [Watching(watch), Pause(*stop) if stop else Pause()]  # type: ignore[attr-defined]
        return command.fit()

    def make_data(self, root: Path, synthetic: Mapping[str, Any]) -> None:
        """Makes the synthetic data set, unless it is there."""
        write_set(root, **synthetic)

    def write_bounds(self, config: Config, folder: Path) -> None:
        """Writes what the floors and the oracle reach on the tracks, at the rate and with the STFT, of a config."""
        parts = self._parts(config)
        write_bounds(folder, parts.data, parts.model.separator.n_fft, parts.model.separator.hop)

    def _free(self) -> None:
        """Gives back the memory of a training: a trainer is full of cycles, which Python leaves for later."""
        gc.collect()
        if not self._settled:  # to go through all that was imported takes a tenth of a second each time
            gc.freeze()
            self._settled = True
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

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
        epoch = f"{trainer.current_epoch + 1}" + (f"/{trainer.max_epochs}" if (trainer.max_epochs or 0) > 0 else "")
        self.watch(f"epoch {epoch}, {step}{self.score}")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remembers the score."""
        if MONITOR in trainer.callback_metrics:
            self.score = f", {MONITOR} {float(trainer.callback_metrics[MONITOR]):.2f} dB"


class _TrialCLI(UnetsepCLI):
    """The command line with a parser that is there already, and without what a sweep sees to itself.

    There is no progress bar, of which the config keeps no trace, and the cost is not measured again.

    Args:
        config: nested, with all defaults.
        command: has the parser.
        card: the cost card, if it is known.
    """

    def __init__(self, config: Config, command: ConfigParser, card: dict[str, float] | None):
        self.command = command
        self.card = card
        super().__init__(config, run=False)

    def setup_parser(self, *_: Any) -> None:
        """It is there."""
        self.parser = self.command.parser

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Takes the config as it is."""
        self.given = args
        self.config = self.command.parse(args)
        check_settings(self.config)

    def _settings(self) -> Config:
        return dict(self.given)  # plain and complete already

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer, which draws nothing on the terminal."""
        trainer = self._get(self.config_init, "trainer")
        trainer["enable_progress_bar"] = trainer["enable_model_summary"] = False
        return super().instantiate_trainer(**kwargs)

    def cost(self) -> dict[str, float]:
        """The known cost card, or one without the real-time factor: others train beside this one."""
        return self.card or cost_card(self.model.separator, measure=False)


def _separator(config: Config) -> str:
    given = find(config, "model.separator")
    return "" if given is MISSING else json.dumps(given, default=str)
