import json
import math
import os
import pickle
import random
from copy import deepcopy
from functools import partial
from pathlib import Path

import pytest
import torch

from unetsep.audio.files import InputError
from unetsep.deploy.weights import load_separator
from unetsep.model import ConvBlock, Separator, UNet

from .small_model import SETTINGS, small_separator, write_checkpoint


class Intruder:
    """Runs a command when it is unpickled."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"touch {self.trace}",)


def test_a_checkpoint_alone_gives_the_separator_that_was_trained(checkpoint, separator):
    loaded = load_separator(checkpoint)
    mixture = torch.randn(1, 1, 333)
    assert not loaded.training
    assert loaded.sources == ("vocals", "rest")
    assert torch.equal(loaded(mixture), separator(mixture))


def test_a_pickle_that_would_run_code_is_refused_and_nothing_runs(tmp_path):
    path = write_checkpoint(tmp_path / "evil.ckpt", hyper_parameters=Intruder(tmp_path / "trace"))
    with pytest.raises(InputError, match=r"evil\.ckpt is refused: it asks to build (posix|nt)\.system"):
        load_separator(path)
    assert not (tmp_path / "trace").exists()


def test_a_bare_pickle_that_would_run_code_is_refused_and_nothing_runs(tmp_path):
    path = tmp_path / "evil.ckpt"
    path.write_bytes(pickle.dumps(Intruder(tmp_path / "trace"), protocol=2))
    with pytest.raises(InputError, match=r"evil\.ckpt is refused"):
        load_separator(path)
    assert not (tmp_path / "trace").exists()


@pytest.mark.filterwarnings("ignore")  # jsonargparse only warns of what it would then do
def test_settings_that_name_a_function_instead_of_a_network_are_refused_and_nothing_runs(tmp_path):
    settings = deepcopy(SETTINGS)
    settings["init_args"]["net"] = {"class_path": "os.system", "init_args": {"command": f"touch {tmp_path / 'trace'}"}}
    path = write_checkpoint(tmp_path / "evil.ckpt", separator=settings)
    with pytest.raises(InputError, match=r"evil\.ckpt is refused: its separator is built with .*system"):
        load_separator(path)
    assert not (tmp_path / "trace").exists()


@pytest.mark.filterwarnings("ignore")
def test_settings_that_hide_a_function_in_text_are_refused_and_nothing_runs(tmp_path):
    settings = deepcopy(SETTINGS)
    hidden = {"class_path": "os.system", "init_args": {"command": f"touch {tmp_path / 'trace'}"}}
    settings["init_args"]["net"]["init_args"]["block_at"] = {0: json.dumps(hidden)}
    with pytest.raises(InputError):
        load_separator(write_checkpoint(tmp_path / "evil.ckpt", separator=settings))
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("hide", [lambda part: part, json.dumps, lambda part: part["class_path"]])
def test_a_module_that_a_checkpoint_names_is_not_even_imported(tmp_path, monkeypatch, hide):
    trace = tmp_path / "trace"
    (tmp_path / "sideeffect.py").write_text(
        f"from pathlib import Path\nfrom unetsep.model import Add\nPath({str(trace)!r}).touch()\nclass X(Add): pass\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = deepcopy(SETTINGS)
    settings["init_args"]["net"]["init_args"]["skip_at"] = {0: hide({"class_path": "sideeffect.X"})}
    with pytest.raises(InputError, match=r"evil\.ckpt is refused: .*sideeffect\.X.* no class of unetsep or torch\.nn"):
        load_separator(write_checkpoint(tmp_path / "evil.ckpt", separator=settings))
    assert not trace.exists()


def test_stems_may_have_any_names(tmp_path):
    settings = deepcopy(SETTINGS)
    settings["init_args"]["sources"] = ["lead.vocals", "drums & bass"]
    loaded = load_separator(write_checkpoint(tmp_path / "model.ckpt", separator=settings))
    assert loaded.sources == ("lead.vocals", "drums & bass")


def test_the_advice_to_read_a_file_unsafely_is_not_passed_on(tmp_path):
    for name, content in (("a.ckpt", b"not a model\n" * 50), ("b.ckpt", pickle.dumps(Intruder(tmp_path), protocol=2))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError) as caught:
            load_separator(tmp_path / name)
        assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 1, 100, 2000])
def test_a_truncated_checkpoint_is_one_line(checkpoint, kept):
    checkpoint.write_bytes(checkpoint.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"model\.ckpt is not a checkpoint, or a broken one: .+") as caught:
        load_separator(checkpoint)
    assert "\n" not in str(caught.value)


def test_some_other_file_is_no_checkpoint(tmp_path):
    (tmp_path / "notes.txt").write_text("not a model at all\n" * 50)
    with pytest.raises(InputError, match=r"notes\.txt is not a checkpoint, or a broken one"):
        load_separator(tmp_path / "notes.txt")


@pytest.mark.parametrize("key", ["separator", "state_dict"])
def test_a_checkpoint_of_something_else_is_refused_with_what_is_missing(tmp_path, key):
    with pytest.raises(InputError, match=f"not a checkpoint that unetsep wrote: it holds no '{key}'"):
        load_separator(write_checkpoint(tmp_path / "other.ckpt", **{key: None}))


def test_weights_of_another_size_are_refused_in_one_line(tmp_path):
    settings = deepcopy(SETTINGS)
    settings["init_args"]["net"]["init_args"]["width"] = 3
    with pytest.raises(InputError, match=r"do not fit the separator it describes: .*size mismatch") as caught:
        load_separator(write_checkpoint(tmp_path / "model.ckpt", separator=settings))
    assert "\n" not in str(caught.value)


def net(**changes: object) -> dict[str, object]:
    return deepcopy(SETTINGS["init_args"]["net"]) | {"init_args": {"depth": 3, "width": 2} | changes}


def without_end() -> list[object]:
    """A list that holds itself, which a pickle can."""
    endless: list[object] = []
    endless.append(endless)
    return endless


@pytest.mark.parametrize(
    "change",
    [
        {"n_fft": 3},
        {"n_fft": 2**40},
        {"sample_rate": 10**12},
        {"nett": 3},
        {"net": {"class_path": "NoSuchNet"}},
        {"net": {"class_path": "torch.nn.Module"}},
        {"net": net(growth=math.inf)},
        {"net": net(growth=1e300)},
        {"net": net(width=10**30)},
        {"net": net(stride=[0, 2])},
        {"sources": without_end()},
    ],
)
def test_settings_that_cannot_be_built_are_one_line(tmp_path, change):
    settings = deepcopy(SETTINGS)
    settings["init_args"] |= change
    with pytest.raises(InputError, match=r"the separator that .*model\.ckpt describes cannot be built: .+") as caught:
        load_separator(write_checkpoint(tmp_path / "model.ckpt", separator=settings))
    assert "\n" not in str(caught.value)


def test_a_separator_larger_than_any_memory_is_refused_before_it_takes_any(tmp_path):
    settings = deepcopy(SETTINGS)
    settings["init_args"]["net"] = net(depth=1, width=1_000_000)
    with pytest.raises(InputError, match=r"do not fit the separator it describes: [^\n]+$"):
        load_separator(write_checkpoint(tmp_path / "model.ckpt", separator=settings))


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"net": {"class_path": "torch.nn.Identity"}}, "no attribute"),
        ({"net": {"class_path": "unetsep.model.blocks.NoBlock"}}, "no attribute"),
        ({"estimate": {"class_path": "unetsep.model.estimates.Estimate"}}, "Estimate without spectra"),
    ],
)
def test_a_network_that_cannot_separate_is_refused_when_it_is_loaded(tmp_path, part, reason):
    settings = deepcopy(SETTINGS)
    settings["init_args"] |= part
    weights = {} if "net" in part else weights_with({})
    path = write_checkpoint(tmp_path / "model.ckpt", separator=settings, state_dict=weights)
    with pytest.raises(InputError, match=rf"^the network in \S+ does not fit the separator it describes: .*{reason}"):
        load_separator(path)


def weights_with(changes: dict[str, object]) -> dict[str, object]:
    return {f"separator.{name}": value for name, value in (small_separator().state_dict() | changes).items()}


@pytest.mark.parametrize(
    "change",
    [
        lambda weight: weight.to(torch.complex64),
        lambda weight: torch.zeros(1).expand(weight.shape),
        lambda weight: weight.to_sparse(),
        lambda weight: weight.to("meta"),
        lambda weight: weight.tolist(),
        lambda weight: None,
    ],
)
def test_weights_that_are_no_plain_arrays_are_refused_in_one_line(tmp_path, change):
    weights = weights_with({"net.exit.weight": change(small_separator().state_dict()["net.exit.weight"])})
    path = write_checkpoint(tmp_path / "model.ckpt", state_dict=weights)
    with pytest.raises(
        InputError, match=r"do not fit the .* describes: 'net\.exit\.weight' is no array of real numbers$"
    ):
        load_separator(path)


@pytest.mark.parametrize("kind", [torch.float16, torch.float64, torch.int32])
def test_weights_of_whatever_precision_are_computed_with_in_float32(tmp_path, kind):
    weights = weights_with({"net.exit.weight": torch.ones(2, 2, 1, 1, dtype=kind)})
    loaded = load_separator(write_checkpoint(tmp_path / "model.ckpt", state_dict=weights))
    assert torch.equal(loaded.net.exit.weight, torch.ones(2, 2, 1, 1))
    assert all(weight.dtype == torch.float32 and weight.requires_grad for weight in loaded.parameters())


def test_an_instance_normalisation_over_the_whole_axis_can_be_loaded(tmp_path):
    norm = torch.nn.InstanceNorm2d
    build = partial(UNet, depth=2, width=2, stride=(8, 4), bottleneck=partial(ConvBlock, norm=norm))
    separator = Separator(("vocals", "rest"), build, sample_rate=8000, audio_channels=1, n_fft=64, hop=16)
    bottleneck = {"class_path": "ConvBlock", "init_args": {"norm": "torch.nn.InstanceNorm2d"}}
    settings = deepcopy(SETTINGS)
    settings["init_args"]["net"] = net(depth=2, stride=[8, 4], bottleneck=bottleneck)
    weights = {f"separator.{name}": value for name, value in separator.state_dict().items()}
    load_separator(write_checkpoint(tmp_path / "model.ckpt", separator=settings, state_dict=weights))


def test_a_loaded_separator_has_every_weight_of_the_trained_one(checkpoint):
    trained, loaded = small_separator().state_dict(), load_separator(checkpoint).state_dict()
    assert trained.keys() == loaded.keys()
    assert all(torch.equal(trained[name], loaded[name]) for name in trained)


def test_whatever_bytes_a_file_holds_it_is_refused_in_one_line(tmp_path, checkpoint):
    whole = checkpoint.read_bytes()
    generator = random.Random(0)
    junk = [b"", b"junk", b"PK\x03\x04", *(generator.randbytes(size) for size in range(1, 200))]
    junk += [whole[: generator.randrange(1, len(whole))] for _ in range(10)]
    for number, content in enumerate(junk):
        path = tmp_path / f"{number}.ckpt"
        path.write_bytes(content)
        with pytest.raises(InputError) as refusal:
            load_separator(path)
        assert "\n" not in str(refusal.value)
