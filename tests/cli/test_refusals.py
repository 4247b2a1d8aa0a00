from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from unetsep.audio.files import InputError
from unetsep.cli import UnetsepCLI

NET = "model.separator.init_args.net.init_args"
TYPOS = {
    "--model.separator.net.dept=2": f"there is no setting {NET}.dept: did you mean depth?",
    "--model.separator.net.depth=deep": f"{NET}.depth: expected an int, got deep",
    "--model.separator.net=UNett": "model.separator.init_args.net: there is no class UNett",
    "--model.separator.nfft=2": "there is no setting model.separator.init_args.nfft: did you mean n_fft?",
    "--model.loss=L3": "model.loss: there is no class L3",
    "--model.loss.init_args.off=magnitude": "there is no setting model.loss.init_args.off: did you mean of?",
    "--model.schedule=cosin": "model.schedule: expected a Literal['cosine', 'constant'], got cosin",
    "--trainer.max_epoch=3": "unrecognized arguments: --trainer.max_epoch=3",
    "--data.sample_rate=3": 'Linked "data.sample_rate" must be given via "model.separator.init_args.sample_rate".',
    "--config=nowhere.yaml": "File does not exist",
    "--model.warmup_steps=-1": "warmup_steps is -1: use 0 or more",
    "--trainer.max_epochs=-5": "trainer: `max_epochs` must be a non-negative integer or -1. You passed in -5.",
    "--trainer.devices=-3": "trainer: `devices` selected with `CPUAccelerator` should be an int > 0.",
    "--trainer.strategy=foo": "trainer: You selected an invalid strategy name",
    "--trainer.precision=3": "trainer.precision cannot be 3: use 64, 32, 16, transformer-engine",
    "--early_stopping=x": "early_stopping cannot be x: use any int",
    "--seed_everything=-3": "seed_everything is -3: use 0 to 4294967295",
    "--early_stopping=-1": "early_stopping is -1: use 0 or more validations",
    "--model.optimizer.lr=-1": "model.optimizer: Invalid learning rate: -1",
    "--model.ema_decay=1": "ema_decay is 1.0: use 0 to less than 1",
}


@pytest.mark.parametrize("typo", TYPOS)
def test_a_typo_is_refused_in_one_line_that_names_the_key(config, tmp_path, typo):
    path = tmp_path / "config.yaml"
    config["model"].setdefault("loss", "SpectrogramL1")  # of a class that nobody named, no setting could be suggested
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(InputError) as refusal:
        UnetsepCLI(args=["--config", str(path), typo], run=False)
    assert TYPOS[typo] in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused_in_one_line(config):
    config["trainer"]["accelerator"] = "gpu"
    with pytest.raises(InputError, match="trainer: No supported gpu backend found!"):
        UnetsepCLI(args=config, run=False)


def test_a_config_that_is_not_utf_8_is_refused_in_one_line(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes("name: Übung".encode("latin-1"))
    with pytest.raises(InputError, match=r"config\.yaml is not UTF-8 text, at byte 6: save it as UTF-8"):
        UnetsepCLI(args=["--config", str(path)], run=False)


def in_a_block(config: dict[str, Any]) -> None:
    block = {"class_path": "TFC", "init_args": {"lyers": 3}}
    config["model"]["separator"]["init_args"]["net"] = {"class_path": "UNet", "init_args": {"block": block}}


def in_a_level(config: dict[str, Any]) -> None:
    net = {"class_path": "UNet", "init_args": {"skip_at": {0: "Dropp"}}}
    config["model"]["separator"]["init_args"]["net"] = net


WRONG = {
    "a section": (lambda config: config.update(modle={}), "there is no section modle: did you mean model?"),
    "a key of a section": (lambda config: config["model"].update(lr=1), "there is no setting model.lr"),
    "an argument of a block": (in_a_block, f"there is no setting {NET}.block.init_args.lyers: did you mean layers?"),
    "a level's skip": (in_a_level, f"{NET}.skip_at: there is no class Dropp"),
    "a linked key": (
        lambda config: config["data"].update(sources=["vocals"]),
        "data.sources is taken from model.separator.init_args.sources: set that one",
    ),
    "a depth": (
        lambda config: config["model"]["separator"]["init_args"]["net"].update(init_args={"depth": 0}),
        "depth is 0",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("given", ["as a mapping", "as a file"])
def test_what_is_wrong_in_a_config_is_said_in_one_line(config, tmp_path, wrong, given):
    spoil, message = WRONG[wrong]
    spoil(config)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(InputError) as refusal:
        UnetsepCLI(args=config if given == "as a mapping" else ["--config", str(path)], run=False)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_configs_are_layered_and_arguments_come_last(config, tmp_path):
    lower, upper = tmp_path / "lower.yaml", tmp_path / "upper.yaml"
    lower.write_text(yaml.safe_dump(config))
    net = {"class_path": "UNet", "init_args": {"depth": 1, "width": 3}}
    upper.write_text(yaml.safe_dump({"model": {"separator": {"init_args": {"net": net}}}}))
    arguments = [f"--config={lower}", f"--config={upper}", "--model.separator.net.width=5", "--data.batch_size=7"]
    command = UnetsepCLI(args=arguments, run=False)
    settings = command.settings["model"]["separator"]["init_args"]
    assert settings["net"]["init_args"]["depth"] == 1
    assert settings["net"]["init_args"]["width"] == 5
    assert settings["n_fft"] == 256
    assert command.datamodule.batch_size == 7


def test_data_follow_the_separator_and_the_seed(config):
    config["model"]["separator"]["init_args"]["sources"] = ["vocals", "bass"]
    command = UnetsepCLI(args=config, run=False)
    data = command.datamodule
    assert (data.sources, data.sample_rate, data.audio_channels, data.seed) == (("vocals", "bass"), 8000, 1, 3)


def test_a_separator_that_says_nothing_still_tells_the_data_its_defaults(music: Path):
    data = UnetsepCLI(args=[f"--data.root={music}"], run=False).datamodule
    assert (data.sources, data.sample_rate, data.audio_channels, data.seed) == (
        ("vocals", "drums", "bass", "other"),
        44_100,
        2,
        0,
    )


def test_losses_can_be_summed_in_a_config_and_their_weights_set_by_dotted_keys(config, tmp_path):
    losses = {"bins": "SpectrogramL2", "samples": {"class_path": "WaveformL1"}}
    config["model"]["loss"] = {"class_path": "WeightedSum", "init_args": {"losses": losses}}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    loss: Any = UnetsepCLI(args=[f"--config={path}", "--model.loss.weights.samples=0.5"], run=False).model.loss
    assert loss.weights == {"bins": 1.0, "samples": 0.5}
    assert type(loss.losses["bins"]).__name__ == "SpectrogramL2"
