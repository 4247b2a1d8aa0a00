import json
import math
import os
import signal
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from unetsep.audio.files import InputError
from unetsep.deploy.export import export, main, sdr_db
from unetsep.deploy.weights import load_separator

from .small_model import SETTINGS, small_separator, write_checkpoint, write_decided_checkpoint


def test_an_exported_file_gives_the_very_separator(tmp_path, checkpoint, separator):
    assert main([str(checkpoint), str(tmp_path / "model.safetensors")]) == 0
    loaded = load_separator(tmp_path / "model.safetensors")
    mixture = torch.randn(1, 1, 333)
    assert not loaded.training
    assert loaded.sources == ("vocals", "rest")
    assert torch.equal(loaded(mixture), separator(mixture))


def test_an_export_replaces_a_file_only_when_told_to(tmp_path, checkpoint):
    out = tmp_path / "model.safetensors"
    out.write_bytes(b"precious")
    with pytest.raises(InputError, match="exists already; use --force"):
        main([str(checkpoint), str(out)])
    assert out.read_bytes() == b"precious"
    assert main([str(checkpoint), str(out), "--force"]) == 0
    load_separator(out)


def test_a_file_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path, checkpoint):
    with pytest.raises(InputError, match="cannot be written: "):
        main([str(checkpoint), str(tmp_path / "missing/model.safetensors")])
    assert [path.name for path in tmp_path.iterdir()] == ["model.ckpt"]


def test_an_unknown_kind_of_file_is_refused(tmp_path, checkpoint):
    with pytest.raises(InputError, match=r"model\.txt is no kind of file that can be written"):
        main([str(checkpoint), str(tmp_path / "model.txt")])


def test_half_precision_halves_the_weights_and_its_cost_is_told(tmp_path, capsys):
    checkpoint = write_decided_checkpoint(tmp_path / "model.ckpt")
    assert main([str(checkpoint), str(tmp_path / "model.safetensors"), "--quantise", "fp16"]) == 0
    loaded = load_separator(tmp_path / "model.safetensors")
    assert all(value.dtype == torch.float32 for value in loaded.parameters())
    cost = sdr_db(load_separator(checkpoint), loaded)
    assert 40 < cost < 90
    assert f"gives the stems of {checkpoint} within -{cost:.0f} dB" in capsys.readouterr().out
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        kinds = {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118 - it is no dict
    assert kinds <= {torch.float16, torch.int64}


def test_eight_bits_are_for_onnx(tmp_path, checkpoint):
    with pytest.raises(InputError, match=r"\.safetensors takes fp16 only, not 'int8': name it \.onnx"):
        export(checkpoint, tmp_path / "model.safetensors", "int8")


def test_the_distortion_of_stems_a_tenth_too_loud_is_20_db_below(separator):
    class Louder(torch.nn.Module):
        def forward(self, mixture: torch.Tensor) -> torch.Tensor:
            return 1.1 * separator(mixture)

    assert sdr_db(separator, Louder()) == pytest.approx(20.0, abs=1e-3)


@pytest.mark.filterwarnings("ignore")  # jsonargparse only warns of what it would then do
def test_settings_that_name_a_function_are_refused_and_nothing_runs(tmp_path):
    settings = deepcopy(SETTINGS)
    settings["init_args"]["net"] = {"class_path": "os.system", "init_args": {"command": f"touch {tmp_path / 'trace'}"}}
    save_file(small_separator().state_dict(), tmp_path / "evil.safetensors", {"separator": json.dumps(settings)})
    with pytest.raises(InputError, match=r"evil\.safetensors is refused: its separator is built with .*system"):
        load_separator(tmp_path / "evil.safetensors")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("settings", [None, {}, {"separator": "["}, {"separator": "3"}, {"separator": "[" * 100_000}])
def test_weights_without_settings_are_refused(tmp_path, settings):
    save_file(small_separator().state_dict(), tmp_path / "bare.safetensors", settings)
    with pytest.raises(InputError, match=r"bare\.safetensors is not a "):
        load_separator(tmp_path / "bare.safetensors")


def test_whatever_its_bytes_a_file_is_loaded_or_refused_in_one_line(tmp_path, checkpoint):
    path = tmp_path / "model.safetensors"
    main([str(checkpoint), str(path)])
    whole = path.read_bytes()
    broken = [b"", b"RIFF", whole[:-1], whole[:100], b"\xff" * 8 + whole[8:], os.urandom(500)]
    for content in broken:
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"^[^\n]+ is not a safetensors file, or a broken one: [^\n]+$"):
            load_separator(path)


def with_convolution(path, value: float):
    """A checkpoint with this as one weight of a convolution."""
    weights = small_separator().state_dict()
    weights["net.exit.weight"][0, 0] = value
    return write_checkpoint(path, state_dict={f"separator.{name}": weight for name, weight in weights.items()})


def test_weights_that_half_precision_cannot_hold_are_refused_and_the_file_is_kept(tmp_path):
    checkpoint = with_convolution(tmp_path / "model.ckpt", 1e5)
    out = tmp_path / "model.safetensors"
    out.write_bytes(b"precious")
    with pytest.raises(InputError, match=r"^fp16 cannot hold the weights of [^\n]+: export without --quantise$"):
        main([str(checkpoint), str(out), "--quantise", "fp16", "--force"])
    assert out.read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.ckpt", "model.safetensors"]
    assert main([str(checkpoint), str(out), "--force"]) == 0


@pytest.mark.parametrize("name", ["model.safetensors", "model.onnx"])
@pytest.mark.parametrize("quantise", [None, "fp16"])
def test_a_model_that_gives_nan_is_not_exported(tmp_path, name, quantise):
    checkpoint = with_convolution(tmp_path / "model.ckpt", math.nan)
    with pytest.raises(
        InputError, match=r"^\S+model\.ckpt gives stems of NaN or infinity .*: give another checkpoint$"
    ):
        export(checkpoint, tmp_path / name, quantise)
    assert [path.name for path in tmp_path.iterdir()] == ["model.ckpt"]


class Times(torch.nn.Module):
    """Gives the mixture, louder, as its only stem."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        return self.factor * mixture[:, None]


@pytest.mark.parametrize(
    ("one", "other", "decibels"),
    [(1.0, 1.0, math.inf), (0.0, 0.0, math.inf), (0.0, 1.0, -math.inf), (1.0, 0.0, 0.0), (1.0, math.nan, math.nan)],
)
def test_the_distortion_is_told_of_silence_and_of_nan_as_well(one, other, decibels):
    assert sdr_db(Times(one), Times(other), torch.ones(1, 2, 9)) == pytest.approx(decibels, nan_ok=True)


def test_a_model_of_silence_is_exported_exactly(tmp_path, capsys):
    settings = deepcopy(SETTINGS)
    settings["init_args"]["estimate"] = {"class_path": "Magnitude"}
    weights = {f"separator.{name}": torch.zeros_like(value) for name, value in small_separator().state_dict().items()}
    checkpoint = write_checkpoint(tmp_path / "model.ckpt", separator=settings, state_dict=weights)
    assert main([str(checkpoint), str(tmp_path / "model.safetensors")]) == 0
    assert f"gives the stems of {checkpoint} exactly" in capsys.readouterr().out


def test_what_is_wrong_with_the_written_file_is_said_of_its_name(tmp_path, checkpoint, monkeypatch):
    written = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda self, content: written(self, content[:50]))
    with pytest.raises(InputError, match=r"^\S+/model\.safetensors is not a safetensors file, or a broken one"):
        export(checkpoint, tmp_path / "model.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["model.ckpt"]


def test_settings_that_json_cannot_hold_are_refused_in_one_line(tmp_path):
    settings = deepcopy(SETTINGS)
    settings["init_args"]["sources"] = {"vocals", "rest"}
    checkpoint = write_checkpoint(tmp_path / "model.ckpt", separator=settings)
    with pytest.raises(InputError, match=r"^[^\n]+ by more than plain values [^\n]+$"):
        export(checkpoint, tmp_path / "model.safetensors")


def test_an_export_that_is_terminated_leaves_what_was_there(tmp_path, checkpoint, monkeypatch):
    out = tmp_path / "model.safetensors"
    out.write_bytes(b"before")
    monkeypatch.setattr("unetsep.deploy.export._ratio_db", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit):
        main([str(checkpoint), str(out), "--force"])
    assert out.read_bytes() == b"before"
    assert sorted(tmp_path.rglob("*")) == before
