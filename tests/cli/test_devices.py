"""The machine that a training runs on: its precision, its memory, its processes."""

import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
import yaml

from unetsep.cli import UnetsepCLI
from unetsep.cli.trainer import fast_precision
from unetsep.deploy.machine import keep_freed_memory


def machine(monkeypatch, *, bf16: bool = False, amx: bool = False, cuda: bool | None = None) -> None:
    """A machine whose CPU has AVX512-BF16 or AMX, and whose GPU, if there is one, has bf16 or not."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda is not None)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bool(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.parametrize(
    ("has", "accelerator", "precision"),
    [
        ({}, "auto", "32-true"),
        ({"bf16": True}, "auto", "bf16-mixed"),
        ({"amx": True}, "cpu", "bf16-mixed"),
        ({"cuda": True}, "auto", "bf16-mixed"),
        ({"cuda": True}, "cpu", "32-true"),
        ({"cuda": False, "bf16": True}, "gpu", "32-true"),
        ({"cuda": False, "bf16": True}, "cpu", "bf16-mixed"),
    ],
)
def test_bf16_is_taken_where_the_device_that_trains_has_it(monkeypatch, has, accelerator, precision):
    machine(monkeypatch, **has)
    assert fast_precision(accelerator) == precision


@pytest.mark.parametrize(("has", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_config_leaves_the_precision_to_the_machine_and_stays_so_when_saved(config, monkeypatch, has, precision):
    machine(monkeypatch, bf16=has)
    config["trainer"]["precision"] = "auto"
    command = UnetsepCLI(args=config, run=False)
    assert command.trainer.precision == precision
    assert command.settings["trainer"]["precision"] == "auto"


@pytest.mark.parametrize("given", ["32-true", "bf16-mixed"])
def test_a_precision_that_is_named_is_taken_on_every_machine(config, monkeypatch, given):
    machine(monkeypatch, bf16=given == "32-true")
    config["trainer"]["precision"] = given
    assert UnetsepCLI(args=config, run=False).trainer.precision == given


def test_training_in_bf16_learns_as_in_float32(config, tmp_path):
    scores = {}
    for precision in ("32-true", "bf16-mixed"):
        settings = {**config["trainer"], "precision": precision}
        scores[precision] = UnetsepCLI(
            {**config, "trainer": settings, "out": str(tmp_path / precision)}, run=False
        ).fit()
    assert scores["bf16-mixed"]["val/loss"] == pytest.approx(scores["32-true"]["val/loss"], rel=0.05)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such option")
def test_freed_memory_is_used_again_without_asking_the_system():
    program = """
import resource, sys
from unetsep.deploy.machine import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
import torch
for step in range(24):  # it takes some until the freed pieces are large enough
    if step == 16:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24)  # 64 MiB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    faults = {}
    for how in ("keep", "leave"):
        done = subprocess.run([sys.executable, "-c", program, how], capture_output=True, text=True, check=True)
        faults[how] = int(done.stdout)
    assert faults["keep"] < 0.1 * faults["leave"]


@pytest.mark.parametrize("library", [SimpleNamespace(), None])
def test_a_c_library_without_the_option_is_left_as_it_is(monkeypatch, library):
    def load(name: None) -> SimpleNamespace:
        if library is None:
            raise OSError
        return library

    monkeypatch.setattr("ctypes.CDLL", load)
    keep_freed_memory()


@pytest.mark.slow
def test_two_processes_take_the_steps_that_one_takes_with_the_joint_batch(config, tmp_path):
    normless = {"norm": "torch.nn.Identity"}  # a batch normalisation sees its own process's share only
    parts = {"block": "ConvBlock", "down": "StridedConv", "up": "TransposedConv"}
    net = {"depth": 1, "width": 4} | {part: {"class_path": name, "init_args": normless} for part, name in parts.items()}
    config["model"]["separator"]["init_args"]["net"] = {"class_path": "UNet", "init_args": net}
    config["model"]["optimizer"] = {"class_path": "SGD", "init_args": {"lr": 1.0, "momentum": 0.9}}
    config["data"]["remix"] = None
    config["trainer"] |= {"max_epochs": 1, "limit_val_batches": 0}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    weights = {}
    for name, devices, size in (("joint", 1, 4), ("two", 2, 2), ("again", 2, 2), ("half", 1, 2)):
        settings = [f"--out={tmp_path / name}", f"--trainer.devices={devices}", f"--data.batch_size={size}"]
        command = [sys.executable, "-m", "unetsep", "fit", f"--config={path}", *settings]
        subprocess.run(command, capture_output=True, timeout=120, check=True)
        checkpoint = torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)
        assert checkpoint["global_step"] == 3
        weights[name] = torch.cat([each.flatten() for each in checkpoint["state_dict"].values()])
    assert torch.equal(weights["two"], weights["again"])
    torch.testing.assert_close(weights["two"], weights["joint"], rtol=1e-4, atol=1e-6)
    assert float((weights["half"] - weights["joint"]).abs().max()) > 1e-4  # the second process's share counts
