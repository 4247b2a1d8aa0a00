import json
import os
import sys
from copy import deepcopy
from functools import partial
from pathlib import Path

import jaxtyping
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from unetsep.audio.files import InputError
from unetsep.deploy.export import export, sdr_db
from unetsep.deploy.onnx import OnnxNet, export_network, read_network
from unetsep.deploy.separator import Separator as Deployed
from unetsep.deploy.weights import load_separator
from unetsep.model import (
    TFCTDF,
    AttentionBlock,
    ComplexMask,
    ConvBlock,
    Gate,
    Interpolate,
    LayerNorm,
    MaxPool,
    Separator,
    SoftmaxMask,
    StridedConv,
    TransposedConv,
    UNet,
)
from unetsep.model.references import DeepUNet, SpectrogramChannels, TFCTDFUNet

from ..parts import BLOCKS, BOTTLENECKS, ESTIMATES, SKIPS
from .small_model import write_decided_checkpoint

WAYS = [
    {"down": MaxPool, "up": Interpolate},
    {"down": StridedConv, "up": TransposedConv},
    {"entry": "stride", "subbands": 4},
    {"entry": "project", "subbands": 3},
    {"stride": (1, 2)},
    {"stride": (2, 1)},
    {"depth": 4, "stride": (2, 3)},
    {"block": partial(ConvBlock, norm=LayerNorm)},
]


@pytest.fixture(autouse=True)
def _without_checks_of_shapes(monkeypatch):
    """What the exporter records are no integers, which is what the annotations ask sizes to be."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def separator_with(net, estimate=SoftmaxMask) -> Separator:
    """A tiny separator whose normalisations have seen something, with an odd number of bins."""
    torch.manual_seed(0)
    separator = Separator(net=net, estimate=estimate, sample_rate=8000, n_fft=54, hop=16)
    for module in separator.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return separator.eval()


def exported(separator: Separator, path: Path, quantise: str | None = None) -> Separator:
    path.write_bytes(export_network(separator, {}, quantise))
    other = deepcopy(separator)
    other.net = OnnxNet(read_network(path)[1], separator)
    return other


def check_parity(separator: Separator, path: Path) -> None:
    """In what the network writes, about its mean: masks of a network without training are all nearly the same."""
    other, rounded = exported(separator, path), exported(separator, path, "int8")
    assert other.receptive_field() == separator.receptive_field()
    assert (other.depth, other.frame_stride) == (separator.depth, separator.frame_stride)
    for batch, frames in ((1, 1), (1, 7), (3, 64), (1, 501)):
        features = torch.randn(batch, 2 * separator.estimate.planes_in, 27, frames).abs()
        with torch.inference_mode():
            planes, theirs, coarse = (each.net(features) for each in (separator, other, rounded))
        power = (planes - planes.mean()).square().sum()
        assert (theirs - planes).square().sum() < 1e-10 * power
        assert (coarse - planes).square().sum() < 1e-2 * power


@pytest.mark.slow
@pytest.mark.parametrize("skip", SKIPS)
@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_and_skip_is_within_minus_100_db(tmp_path, block, skip):
    check_parity(separator_with(partial(UNet, depth=2, width=4, block=block, skip=skip)), tmp_path / "model.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("estimate", ESTIMATES)
@pytest.mark.parametrize("bottleneck", BOTTLENECKS)
def test_every_bottleneck_and_estimate_is_within_minus_100_db(tmp_path, bottleneck, estimate):
    net = partial(UNet, depth=2, width=4, bottleneck=bottleneck)
    check_parity(separator_with(net, estimate), tmp_path / "model.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_every_way_down_and_up_is_within_minus_100_db(tmp_path, way):
    check_parity(separator_with(partial(UNet, **({"depth": 2, "width": 4} | way))), tmp_path / "model.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("net", [DeepUNet, SpectrogramChannels, TFCTDFUNet])
def test_every_reference_is_within_minus_100_db(tmp_path, net):
    check_parity(separator_with(partial(net, depth=3, width=4)), tmp_path / "model.onnx")


def test_a_network_of_many_parts_is_within_minus_100_db(tmp_path):
    net = partial(UNet, depth=2, width=4, subbands=3, block=TFCTDF, bottleneck=AttentionBlock, skip=Gate)
    check_parity(separator_with(net, ComplexMask), tmp_path / "model.onnx")


@pytest.mark.parametrize(("quantise", "least"), [(None, 100), ("fp16", 40), ("int8", 20)])
def test_the_cost_of_quantising_is_told_and_is_what_the_written_file_has(tmp_path, quantise, least):
    checkpoint = write_decided_checkpoint(tmp_path / "model.ckpt")
    out = tmp_path / "model.onnx"
    told = export(checkpoint, out, quantise)
    assert told > least
    assert told == pytest.approx(sdr_db(load_separator(checkpoint), load_separator(out)), abs=0.1)
    if quantise is not None:
        assert told < 90
        kinds = {tensor.data_type for tensor in onnx.load(out).graph.initializer}
        assert {"fp16": TensorProto.FLOAT16, "int8": TensorProto.INT8}[quantise] in kinds


def test_an_exported_network_separates_as_any_model(tmp_path):
    checkpoint = write_decided_checkpoint(tmp_path / "model.ckpt")
    export(checkpoint, tmp_path / "model.onnx")
    mixture = torch.randn(2, 5001)
    ours, theirs = (
        Deployed.load(path, precision="float32").separate(mixture, 11_025)
        for path in (checkpoint, tmp_path / "model.onnx")
    )
    for stem, waveform in ours.items():
        assert (theirs[stem] - waveform).square().sum() < 1e-10 * waveform.square().sum()


def test_an_exported_network_is_not_exported_again(tmp_path, checkpoint):
    export(checkpoint, tmp_path / "model.onnx")
    with pytest.raises(InputError, match=r"weights are not to be had: give its checkpoint"):
        export(tmp_path / "model.onnx", tmp_path / "model.safetensors")


def changed(checkpoint: Path, change) -> Path:
    path = checkpoint.parent / "evil.onnx"
    export(checkpoint, path)
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def in_another_file(model: onnx.ModelProto) -> None:
    weights = model.graph.initializer[0]
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="/etc/passwd")


def in_another_file_of_a_branch(model: onnx.ModelProto) -> None:
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value="/etc/passwd")
    branch = helper.make_graph([], "branch", [], [], [weights])
    model.graph.node.append(helper.make_node("If", ["features"], ["x"], then_branch=branch, else_branch=branch))


def of_another_domain(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.example"


def with_a_function_of_settings(model: onnx.ModelProto) -> None:
    settings = json.loads(model.metadata_props[0].value)
    settings["init_args"]["net"] = {"class_path": "os.system", "init_args": {"command": "touch trace"}}
    model.metadata_props[0].value = json.dumps(settings)


def with_settings(model: onnx.ModelProto, **changes: object) -> None:
    settings = json.loads(model.metadata_props[0].value)
    settings["init_args"] |= changes
    model.metadata_props[0].value = json.dumps(settings)


def cut_to(model: onnx.ModelProto, frames: int) -> None:
    """Keeps so many frames of what the network writes, however many it reads."""
    for node in model.graph.node:
        node.output[:] = ["all" if name == "planes" else name for name in node.output]
    bounds = {"first": 0, "last": frames, "axis": 3}
    tensors = [helper.make_tensor(name, TensorProto.INT64, [1], [value]) for name, value in bounds.items()]
    model.graph.initializer.extend(tensors)
    model.graph.node.append(helper.make_node("Slice", ["all", *bounds], ["planes"]))


def without_settings(model: onnx.ModelProto) -> None:
    del model.metadata_props[:]


@pytest.mark.filterwarnings("ignore")  # jsonargparse only warns of what it would then do
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (in_another_file, "is refused: its weights lie in another file"),
        (in_another_file_of_a_branch, "is refused: its weights lie in another file"),
        (of_another_domain, "is refused: it asks for the operation"),
        (with_a_function_of_settings, "is refused: its separator is built with .*"),
        (partial(with_settings, sources=["vocals", "drums", "rest"]), "does not fit the separator it describes"),
        (partial(with_settings, net={"class_path": "torch.nn.Identity"}), "does not fit the separator it describes"),
        (partial(with_settings, n_fft=2**40), "describes cannot be built: n_fft is 1099511627776"),
        (partial(cut_to, frames=3), r"does not fit .* writes \(1, 2, 32, 3\), not \(1, 2, 32, 8\)"),
        (without_settings, "is not a model that unetsep exported"),
    ],
)
def test_a_network_that_is_not_to_be_trusted_is_refused_and_nothing_runs(
    tmp_path, monkeypatch, checkpoint, change, reason
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=rf"^[^\n]*evil\.onnx {reason}[^\n]*$"):
        load_separator(changed(checkpoint, change))
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("mixture", [torch.zeros(1, 1, 16 * 200), torch.zeros(1, 2, 900)])
def test_a_network_that_fails_later_is_one_line_as_well(tmp_path, checkpoint, mixture):
    loaded = load_separator(changed(checkpoint, partial(cut_to, frames=100)))
    with pytest.raises(InputError, match=r"^the exported network (writes|failed) [^\n]+: export it again$"):
        loaded(mixture)


def test_a_network_that_onnx_cannot_express_is_one_line():
    class Bessel(nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return torch.special.i0(features)

    with pytest.raises(InputError, match=r"^ONNX cannot hold this network \([^\n]+\): export to \.safetensors$"):
        export_network(separator_with(lambda *sizes: Bessel()), {})


def test_whatever_its_bytes_a_network_is_refused_in_one_line(tmp_path, checkpoint):
    path = tmp_path / "model.onnx"
    export(checkpoint, path)
    whole = path.read_bytes()
    for content in (b"", b"RIFF", whole[: len(whole) // 2], b"\xff" * 8 + whole[8:], os.urandom(500)):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"^[^\n]*model\.onnx is not an? [^\n]+$"):
            load_separator(path)


def test_without_the_extra_it_is_said_what_to_install(tmp_path, checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"needs the package 'onnx': pip install 'unetsep\[onnx\]'"):
        export(checkpoint, tmp_path / "model.onnx")
    assert not list(tmp_path.glob("*.onnx"))
