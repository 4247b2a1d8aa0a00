"""Lightning's command line with a separator, its data, and a run folder that holds all there is to know of a run."""

import inspect
import sys
from argparse import ArgumentError
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from lightning import Callback, Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger

from unetsep import __version__
from unetsep.audio.files import InputError, replacing
from unetsep.cli.checkpoints import check_checkpoint, epoch_to_go_on_from
from unetsep.cli.refusals import config_files, found_configs, linked_or_unknown, one_line, refusing
from unetsep.cli.settings import LINKS, MONITOR, SECTIONS, SEPARATOR, TRAINER, add_settings, check_settings
from unetsep.cli.terminal import interruptible, is_first, quiet, quieten
from unetsep.cli.trainer import MachineTrainer
from unetsep.data import StemsDataModule
from unetsep.deploy.machine import keep_freed_memory
from unetsep.metrics import cost_card
from unetsep.model import UNet
from unetsep.model.outline import outline, write_outline
from unetsep.training.checkpoints import RunCheckpoint
from unetsep.training.listening import Listening, StemsWriter
from unetsep.training.module import SeededSteps, SeparationModule
from unetsep.training.pausing import Patience
from unetsep.training.progress import Progress
from unetsep.training.records import Facts, MetricsLog, WandbMode, WandbRun, check_wandb


class UnetsepCLI(LightningCLI):
    """The verbs fit, validate, test and predict, or the same from Python: `UnetsepCLI(config, run=False).fit()`.

    Args:
        args: arguments as in a shell, or a nested config.
        run: whether the arguments begin with a verb, which is then carried out at once.
        parser_kwargs: for the parsers.

    Raises:
        InputError: if the arguments are wrong; the message names the key.
    """

    model: SeparationModule
    datamodule: StemsDataModule

    def __init__(self, args: ArgsType = None, run: bool = True, parser_kwargs: dict[str, Any] | None = None):
        quieten()
        super().__init__(
            SeparationModule,
            StemsDataModule,
            trainer_class=MachineTrainer,
            save_config_callback=None,  # it refuses to go on in a folder that has a config
            trainer_defaults=TRAINER,
            parser_kwargs=parser_kwargs,
            args=args,
            run=run,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,  # checkpoints hold the separator's config instead, as plain types
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The verbs, and the trainer's arguments that are not settings of theirs."""
        ours = {"model", "datamodule", "weights_only", "verbose", "return_predictions"}
        data = {"train_dataloaders", "val_dataloaders", "dataloaders"}
        return {"fit": ours | data | {"ckpt_path"}} | dict.fromkeys(("validate", "test", "predict"), ours | data)

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """A parser that raises, for `one_line` to say what is wrong, and dumps configs under the package's name."""
        ours = {"exit_on_error": False, "allow_abbrev": False, "dump_header": [f"unetsep {__version__}"]}
        return super().init_parser(**ours | kwargs)

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        # hundreds of settings in the usage line would help nobody: they are explained below it
        usage = f"unetsep {subcommand} [--config FILE ...] [--dotted.key VALUE ...]"
        description = inspect.getdoc(getattr(self, subcommand)).partition("\n")[0]  # type: ignore[union-attr]
        return super()._prepare_subcommand_parser(
            klass, subcommand, **{**kwargs, "usage": usage, "description": description}
        )

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the run's own settings."""
        add_settings(parser)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the listening, the links and the default separator."""
        parser.add_lightning_class_args(Listening, "listening")
        self.add_links(parser)
        parser.set_defaults({"model.separator": SEPARATOR})

    def add_links(self, parser: LightningArgumentParser) -> None:
        """Has the parser take some keys from others."""
        for target, source in LINKS.items():
            parser.link_arguments(source, target)

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parses, and says in one line what is wrong."""
        words = sys.argv[1:] if args is None else args
        words = found_configs(words) if isinstance(words, list) else words
        configs = config_files(words) if isinstance(words, list) else [dict(words)]
        for config in configs:
            for problem in linked_or_unknown(config, SECTIONS, LINKS):
                raise InputError(problem)
        try:
            self.config = parser.parse_args(words) if isinstance(words, list) else parser.parse_object(words)
        except ArgumentError as error:
            raise InputError(one_line(str(error))) from None
        check_settings(self.config.get(self.config.get("subcommand"), self.config))

    def _parse_ckpt_path(self) -> None:
        """Nothing: unetsep's checkpoints hold no settings that would override the config's."""

    def instantiate_classes(self) -> None:
        """Builds the model, the data and the trainer; what a class refuses is the user's to mend, not a failure."""
        with refusing():
            self.config_init = self.parser.instantiate(self.config)
        self.settings = self._settings()
        self.out = Path(self.settings["out"])
        self.datamodule = self._get(self.config_init, "data")
        self.model = self._get(self.config_init, "model")
        with refusing("model.optimizer: "):  # now, not when the folder is written already
            self.model.optimizer(self.model.parameters())
        self.model.separator_config = self._separator()
        self.record = MetricsLog(self.out)
        with refusing("trainer: "):
            self.trainer = self.instantiate_trainer()

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer with the run's records; callbacks and loggers of the user's come beside them."""
        given = self._get(self.config_init, "trainer")
        loggers: list[Logger] = [self.record]
        callbacks: list[Callback] = list(given.get("callbacks") or [])
        if self.subcommand in (None, "fit"):
            mode: WandbMode = "disabled" if given.get("logger") is False else self.settings["wandb"]
            if mode != "disabled":
                name = self.settings["name"] or self.out.absolute().name
                tags = self.settings["tags"]
                loggers.append(WandbRun(self.out, mode=mode, name=name, group=self.settings["group"], tags=tags))
            callbacks.append(SeededSteps(self.settings["seed_everything"]))
            if (patience := self.settings["early_stopping"]) is not None:
                callbacks.append(Patience(MONITOR, patience))
            # the best first, so that the last checkpoint knows of it
            callbacks += [RunCheckpoint(self.out, "best", MONITOR), RunCheckpoint(self.out, "last")]
        else:
            kwargs["enable_checkpointing"] = False
        if self.subcommand == "predict":
            callbacks.append(StemsWriter(self.out))
        if given.get("enable_progress_bar") is not False:
            callbacks.append(Progress())
        if not isinstance(given.get("logger"), bool | None):
            own = given["logger"]
            loggers += own if isinstance(own, list) else [own]
        if given.get("deterministic") is None:  # not a default in the config, which may go on to another machine
            kwargs["deterministic"] = given["accelerator"] == "cpu" or not torch.cuda.is_available()
        with quiet():
            return super().instantiate_trainer(
                logger=loggers,
                callbacks=callbacks,
                default_root_dir=given.get("default_root_dir") or self.out,
                **kwargs,
            )

    def fit(self, **_: Any) -> dict[str, Any]:
        """Trains, from the folder's last checkpoint where `resume` says so.

        Returns:
            What was logged at the best validation: `epoch`, `val/usdr`, `val/usdr/<source>`, ...; empty without one.

        Raises:
            InputError: if the folder holds another run, or the data are not as they should be. Nothing is written then.
            NonFiniteLossError: if the loss becomes NaN or infinite.
            KeyboardInterrupt: if the user stops it. The last checkpoint is that of the last whole epoch.
        """
        checkpoint, epoch = self._checkpoint_to_go_on_from()
        check_wandb(self.settings["wandb"])
        self.datamodule.prepare_data()
        self.datamodule.setup("fit")
        card = self.cost()
        if is_first():
            self._save_config()
            if isinstance(net := self.model.separator.net, UNet):
                write_outline(self.out, outline(net))
            self.record.forget_after(epoch)
        self.trainer.callbacks.insert(0, Facts(self.settings, card))  # type: ignore[attr-defined]
        callbacks = self.trainer.callbacks  # type: ignore[attr-defined]
        bar = is_first() and any(isinstance(callback, Progress) for callback in callbacks)
        if bar:
            print(
                f"{card['params'] / 1e6:.3g} M parameters, {card['gmacs_per_second']:.3g} GMAC/s -> {self.out}",
                file=sys.stderr,
            )
        if self.trainer.strategy.root_device.type == "cpu":
            keep_freed_memory()
        with quiet(), interruptible():
            self.trainer.fit(self.model, datamodule=self.datamodule, ckpt_path=checkpoint, weights_only=True)
        best = self.record.best(MONITOR)
        if bar:
            score = f"best {MONITOR} {best[MONITOR]:.2f} dB in epoch {best['epoch'] + 1}" if best else "not validated"
            print(f"{score}; everything is in {self.out}")
        return best

    def cost(self) -> dict[str, float]:
        """The separator's cost card, which the records begin with."""
        return cost_card(self.model.separator, measure_seconds=2.0)

    def validate(self, ckpt_path: str | Path | None = None, **_: Any) -> dict[str, float]:
        """Scores the validation tracks with the best checkpoint of the folder, or the one given."""
        return self._evaluate("validate", ckpt_path)

    def test(self, ckpt_path: str | Path | None = None, **_: Any) -> dict[str, float]:
        """Scores the test tracks with the best checkpoint of the folder, or the one given."""
        return self._evaluate("test", ckpt_path)

    def predict(self, ckpt_path: str | Path | None = None, **_: Any) -> None:
        """Writes the stems of the test tracks, separated with the best checkpoint of the folder, or the one given."""
        checkpoint = self._checkpoint(ckpt_path)
        with quiet(), interruptible():
            self.trainer.predict(
                self.model,
                datamodule=self.datamodule,
                return_predictions=False,
                ckpt_path=checkpoint,
                weights_only=True,
            )
        if is_first():
            print(f"the stems are in {self.out / 'stems'}")

    def _evaluate(self, verb: Literal["validate", "test"], ckpt_path: str | Path | None) -> dict[str, float]:
        checkpoint = self._checkpoint(ckpt_path)
        with quiet(), interruptible(), self.record.evaluating():
            evaluate = getattr(self.trainer, verb)
            evaluate(self.model, datamodule=self.datamodule, ckpt_path=checkpoint, verbose=False, weights_only=True)
        scores = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        if not is_first():
            return scores
        width = max(map(len, scores))
        for name, value in sorted(scores.items()):
            print(f"{name:{width}} {value:9.3f}{' dB' if 'sdr' in name else ''}")
        return scores

    def _settings(self) -> dict[str, Any]:
        """The complete config as plain values, without what is taken from elsewhere."""
        parser = self._parser(self.subcommand)
        config = self.config.get(str(self.subcommand), self.config)
        settings = yaml.safe_load(parser.dump(config, skip_unset=False, skip_validation=True, format="yaml"))
        return {key: value for key, value in settings.items() if key not in ("config", "ckpt_path")}

    def _save_config(self) -> None:
        """Writes `config.yaml`, which repeats the run, so it does not say that the run goes on."""
        with replacing(self.out / "config.yaml") as unfinished:
            text = yaml.safe_dump(self.settings | {"resume": False}, sort_keys=False, allow_unicode=True)
            unfinished.write_text(f"# unetsep {__version__}\n{text}", encoding="utf-8")

    def _checkpoint_to_go_on_from(self) -> tuple[Path | None, int]:
        """The folder's last checkpoint and its epoch, -1 where training begins."""
        last = self.out / "checkpoints" / "last.ckpt"
        if is_first() and not self.settings["resume"] and (last.exists() or self.record.path.exists()):
            raise InputError(f"{self.out} already holds a run: go on with it by --resume true, or give another --out")
        return (last, epoch_to_go_on_from(last, self._separator())) if last.exists() else (None, -1)

    def _checkpoint(self, given: str | Path | None) -> Path:
        named = given in (None, "best", "last")
        path = self.out / "checkpoints" / f"{given or 'best'}.ckpt" if named else Path(str(given))
        if not path.is_file():
            raise InputError(f"no checkpoint {path}: give --ckpt_path, or --out with the folder of a run")
        check_checkpoint(path, self._separator())
        return path

    def _separator(self) -> dict[str, Any]:
        separator: dict[str, Any] = self.settings["model"]["separator"]
        return separator
