import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from unetsep.audio.files import InputError
from unetsep.cli import UnetsepCLI
from unetsep.deploy.weights import load_separator
from unetsep.model.outline import read_outline
from unetsep.training.module import NonFiniteLossError, SeparationModule


def fit(config: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return UnetsepCLI(args={**config, **settings}, run=False).fit()


def weights(run: Path, name: str = "last") -> dict[str, Tensor]:
    checkpoint = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return {**checkpoint["state_dict"], **checkpoint.get("current_model_state", {})}


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def numbers(run: Path) -> list[dict[str, Any]]:
    """What was logged, but for the time of day and the time it took."""
    return [{k: v for k, v in line.items() if k not in ("time", "cost/rtf_cpu")} for line in lines(run)]


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def unlearning(config: dict[str, Any]) -> None:
    """Makes every validation's score the same: nothing is learnt, and there are no running statistics."""
    block = {"class_path": "ConvBlock", "init_args": {"norm": "torch.nn.Identity"}}
    down = {"class_path": "StridedConv", "init_args": {"norm": "torch.nn.Identity"}}
    up = {"class_path": "TransposedConv", "init_args": {"norm": "torch.nn.Identity"}}
    net = {"class_path": "UNet", "init_args": {"depth": 1, "width": 2, "block": block, "down": down, "up": up}}
    config["model"]["separator"]["init_args"]["net"] = net
    config["model"]["optimizer"] = {"class_path": "SGD", "init_args": {"lr": 0.0}}


def stop_at(step: int, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    whole_step = SeparationModule.training_step

    def training_step(module: SeparationModule, batch: Any, batch_idx: int) -> Tensor:
        if module.global_step == step:
            raise error
        return whole_step(module, batch, batch_idx)

    monkeypatch.setattr(SeparationModule, "training_step", training_step)


@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_stopping_and_going_on_gives_the_same_weights_as_not_stopping(config, tmp_path, monkeypatch, ema_decay):
    config["model"]["ema_decay"] = ema_decay
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    fit(config, out=str(whole))
    with monkeypatch.context() as patch:
        stop_at(5, KeyboardInterrupt(), patch)  # in the middle of the second epoch
        with pytest.raises(KeyboardInterrupt):
            fit(config, out=str(stopped))
    torch.rand(5)  # other work between the two
    fit(config, out=str(stopped), resume=True)
    assert_same(weights(whole), weights(stopped))
    assert_same(weights(whole, "best"), weights(stopped, "best"))
    assert numbers(whole) == numbers(stopped)


def test_one_seed_gives_one_result_and_another_seed_another(config, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        torch.rand(len(name))
        fit(config, out=str(tmp_path / name), seed_everything=seed)
    assert_same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")
    assert numbers(tmp_path / "a")[1]["train/loss"] != numbers(tmp_path / "c")[1]["train/loss"]


def test_a_run_holds_its_network_in_outline(config, tmp_path):
    fit(config)
    rows = read_outline(tmp_path / "run")
    assert rows is not None
    assert [row["channels"] for row in rows] == [1, 4, 8]


def test_the_saved_config_is_complete_and_repeats_the_run(config, tmp_path):
    fit(config)
    saved = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert saved["model"]["separator"]["init_args"]["n_fft"] == 256
    assert saved["data"]["remix"]["init_args"]["swap_channels"] == 0.5
    UnetsepCLI(args=["--config", str(tmp_path / "run" / "config.yaml"), f"--out={tmp_path / 'again'}"], run=False).fit()
    assert_same(weights(tmp_path / "run"), weights(tmp_path / "again"))
    again = yaml.safe_load((tmp_path / "again" / "config.yaml").read_text())
    assert {**again, "out": saved["out"]} == saved


def test_the_best_scores_and_checkpoints_are_those_of_the_best_epoch(config, tmp_path):
    best = fit(config)
    scored = [line for line in lines(tmp_path / "run") if "val/usdr" in line]
    assert [line["epoch"] for line in scored] == [0, 1, 2]
    assert best["val/usdr"] == max(line["val/usdr"] for line in scored)
    for name in ("best", "last"):
        checkpoint = torch.load(tmp_path / "run" / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert checkpoint["epoch"] == {"best": best["epoch"], "last": 2}[name]


def test_the_checkpoint_alone_separates_as_the_module_did(config, tmp_path):
    command = UnetsepCLI(args=config, run=False)
    command.fit()
    mixture = torch.randn(1, 1, 3000)
    trained = command.model.eval().separator
    with torch.inference_mode():
        assert torch.equal(load_separator(tmp_path / "run" / "checkpoints" / "last.ckpt")(mixture), trained(mixture))


def test_averaged_weights_are_what_is_validated_and_kept(config, tmp_path):
    config["model"] |= {"ema_decay": 0.9, "schedule": "constant"}
    command = UnetsepCLI(args={**config, "trainer": {**config["trainer"], "max_epochs": 1}}, run=False)
    command.fit()
    checkpoint = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    name = "separator.net.enter.conv.weight"
    assert not torch.equal(checkpoint["state_dict"][name], checkpoint["current_model_state"][name])
    assert torch.equal(command.model.state_dict()[name].cpu(), checkpoint["state_dict"][name])
    logged = command.record.best()["val/loss"]
    assert UnetsepCLI(args=config, run=False).validate()["val/loss"] == pytest.approx(logged, rel=1e-6)


def test_a_folder_that_holds_a_run_is_not_written_over(config, tmp_path):
    fit(config)
    before = (tmp_path / "run" / "metrics.jsonl").read_text()
    with pytest.raises(InputError, match="already holds a run: go on with it by --resume true"):
        fit(config)
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == before


def test_a_moved_run_goes_on_and_keeps_its_best(config, tmp_path):
    unlearning(config)
    fit(config)
    best = (tmp_path / "run" / "checkpoints" / "best.ckpt").read_bytes()
    shutil.move(tmp_path / "run", tmp_path / "moved")
    after = fit(config, out=str(tmp_path / "moved"), resume=True, trainer={**config["trainer"], "max_epochs": 4})
    assert lines(tmp_path / "moved")[-1]["epoch"] == 3
    assert after["epoch"] == 0
    assert (tmp_path / "moved" / "checkpoints" / "best.ckpt").read_bytes() == best
    assert not (tmp_path / "run").exists()


def test_a_loss_that_becomes_nan_stops_the_run_and_names_the_tracks(config, tmp_path):
    config["model"]["optimizer"] = {"class_path": "SGD", "init_args": {"lr": 1e38}}
    with pytest.raises(NonFiniteLossError, match=r"the loss is nan in epoch 0, step 1, on (one|two|three).*: try a"):
        fit(config)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_ctrl_c_stops_the_run_and_the_process_still_hears_the_next_one(config, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    stop_at(2, KeyboardInterrupt(), monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fit(config)
    assert signal.getsignal(signal.SIGINT) is before


def test_bad_data_are_refused_before_anything_is_written(config, tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        fit(config, data={**config["data"], "root": str(tmp_path / "nowhere")}, wandb="offline")
    assert not (tmp_path / "run").exists()


def test_early_stopping_ends_the_run_after_validations_without_a_better_score(config, tmp_path):
    unlearning(config)
    config["trainer"]["max_epochs"] = 9
    fit(config, early_stopping=2)
    assert lines(tmp_path / "run")[-1]["epoch"] == 2


def test_without_validation_the_last_weights_are_kept_as_the_best(config, tmp_path):
    assert fit(config, trainer={**config["trainer"], "limit_val_batches": 0}) == {}
    assert_same(weights(tmp_path / "run"), weights(tmp_path / "run", "best"))


def test_validate_test_and_predict_use_the_best_checkpoint(config, tmp_path, capsys):
    best = fit(config)
    arguments = ["--config", str(tmp_path / "run" / "config.yaml")]
    capsys.readouterr()
    UnetsepCLI(args=["validate", *arguments])
    printed = dict(line.split()[:2] for line in capsys.readouterr().out.splitlines())
    assert float(printed["val/usdr"]) == pytest.approx(best["val/usdr"], abs=6e-4)
    UnetsepCLI(args=["test", *arguments])
    evaluations = (tmp_path / "run" / "evaluations.jsonl").read_text().splitlines()
    assert [name in evaluations[-1] for name in ("test/usdr/vocals", "val/usdr")] == [True, False]
    UnetsepCLI(args=["predict", *arguments])
    assert {path.name for path in (tmp_path / "run" / "stems" / "six").iterdir()} == {
        "vocals.wav",
        "drums.wav",
        "bass.wav",
        "other.wav",
    }
    with pytest.raises(InputError, match="no checkpoint"):
        UnetsepCLI(args=["validate", *arguments, f"--out={tmp_path / 'empty'}"])


def test_an_evaluation_is_never_taken_for_a_part_of_the_training(config, tmp_path):
    before = fit(config, trainer={**config["trainer"], "max_epochs": 1})
    logged = lines(tmp_path / "run")
    command = UnetsepCLI(args=config, run=False)
    command.validate("last")
    assert lines(tmp_path / "run") == logged
    assert command.record.best() == before
    assert "val/usdr" in (tmp_path / "run" / "evaluations.jsonl").read_text()


@pytest.mark.parametrize(
    "option",
    [
        {"precision": "bf16-mixed"},
        {"gradient_clip_val": 0.1},
        {"accumulate_grad_batches": 2},
        {"val_check_interval": 1},
    ],
    ids=lambda option: next(iter(option)),
)
def test_the_trainers_own_options_work(config, tmp_path, option):
    config["trainer"] |= {**option, "max_epochs": 1}
    assert fit(config)["epoch"] == 0
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.slow
def test_two_processes_train_one_run_and_end(config, tmp_path):
    config["trainer"]["enable_progress_bar"] = True
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    devices = ["--trainer.devices=2", "--trainer.accelerator=cpu", "--trainer.max_epochs=2"]
    arguments = [sys.executable, "-m", "unetsep", "fit", f"--config={path}", *devices]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=240, check=True)
    run = tmp_path / "run"
    assert [line["epoch"] for line in lines(run) if "val/usdr" in line] == [0, 1]
    assert done.stdout.count("everything is in") == 1
    assert done.stderr.count("M parameters") == 1
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    more = [*arguments, "--resume=true", "--trainer.max_epochs=3"]
    subprocess.run(more, capture_output=True, timeout=240, check=True)
    assert [line["epoch"] for line in lines(run) if "val/usdr" in line] == [0, 1, 2]
    tracks = [json.loads(line)["tracks"] for line in (run / "tracks.jsonl").read_text().splitlines()]
    assert [sorted(names) for names in tracks] == [["five", "four"]] * 3  # each process scored one


@pytest.mark.slow
def test_a_compiled_network_learns_the_same_and_leaves_the_same_checkpoint(config, tmp_path):
    config["model"]["separator"]["init_args"]["net"]["init_args"]["dropout"] = 0.0  # compiled, it draws other numbers
    config["model"]["ema_decay"] = 0.9
    config["trainer"]["max_epochs"] = 1
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    for name, compile_it in (("plain", "false"), ("compiled", "true")):
        settings = [f"--config={path}", f"--out={tmp_path / name}", f"--model.compile={compile_it}"]
        # a process of its own: the compiler cannot see through the shape checks that tests run under
        subprocess.run([sys.executable, "-m", "unetsep", "fit", *settings], check=True)
    plain, compiled = weights(tmp_path / "plain"), weights(tmp_path / "compiled")
    assert plain.keys() == compiled.keys()
    for name in plain:
        torch.testing.assert_close(compiled[name], plain[name], atol=0.02, rtol=0.01)


def test_checkpoints_name_no_path_of_this_machine(config, tmp_path):
    fit(config)
    for name in ("best", "last"):
        assert os.fsencode(tmp_path) not in (tmp_path / "run" / "checkpoints" / f"{name}.ckpt").read_bytes()
