"""A separator from its checkpoint: the class and its settings stand beside the weights, so one file is enough."""

import contextlib
import json
import math
import pickle
import pydoc
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser, Namespace
from torch import nn

from unetsep.audio.files import InputError
from unetsep.deploy.trials import find_checkpoint, one_line, parse_at_most
from unetsep.model.separator import Separator

__all__ = ["find_checkpoint", "load_separator", "parse_at_most", "read_model"]

_OURS = re.compile(r"(unetsep|torch\.nn)(\.[A-Za-z_]\w*)+")  # what a checkpoint's settings may name
_MOST_FRAMES = 2**20  # read at once: hours of music, for which no computer has the memory
_PREFIX = "separator."  # of the separator's weights among those of the module that trained it


def load_separator(path: Path, *, at_most: Mapping[str, float] | None = None) -> Separator:
    """The separator of a checkpoint, of a run's or trial's folder, or of the best trial of a sweep's folder.

    Weights averaged during training are what a checkpoint holds where averaging was on, so they are what is loaded.
    No code in the file is run: it is read as tensors and plain values only, and the classes it names must be those of
    unetsep or torch.nn that derive from `torch.nn.Module`.

    Args:
        path: A `.ckpt`, `.safetensors` or `.onnx` file, or a folder with `checkpoints/best.ckpt` (or only
            `last.ckpt`), or a sweep's folder.
        at_most: For a sweep's folder: what the trial may cost, such as `{"gmacs_per_second": 0.5}`.

    Returns:
        The separator in evaluation mode on the CPU.

    Raises:
        InputError: If there is no checkpoint, or none within `at_most`; if it is broken, not from unetsep, or would run
            code; or if it is an `.onnx` file and the extra `onnx` is not installed.
    """
    path = find_checkpoint(Path(path), at_most)
    if path.suffix == ".onnx":
        from unetsep.deploy.onnx import OnnxNet, read_network

        settings, session = read_network(path)
        separator = _build(settings, path)
        with _refused(f"the network in {path} does not fit the separator it describes"):
            separator.net = OnnxNet(session, separator)
            _try(separator.eval(), 3, 8)  # two, as an exporter may take the number of frames for fixed
        return separator
    settings, weights = read_model(path)
    separator = _build(settings, path)
    with _refused(f"the weights in {path} do not fit the separator it describes"):
        _fill(separator, weights)
    with _refused(f"the network in {path} does not fit the separator it describes"):
        # an instance normalisation refuses to see a single bin of a single frame
        statistics = any(isinstance(part, nn.InstanceNorm2d) for part in separator.modules())
        _try(separator.eval(), min(separator.frame_stride, 4096) + 1 if statistics else 3)
    return separator


def read_model(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of the separator in a file, as yet unchecked, and its weights by name.

    Raises:
        InputError: If the file is broken, not from unetsep, or would run code, or is an `.onnx` file, whose weights are
            not to be had.
    """
    if path.suffix == ".onnx":
        raise InputError(f"{path} is an exported network, whose weights are not to be had: give its checkpoint")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    checkpoint = _read(path)
    for key in ("separator", "state_dict"):
        if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get(key), dict):
            raise InputError(f"{path} is not a checkpoint that unetsep wrote: it holds no {key!r}")
    return checkpoint["separator"], {
        name.removeprefix(_PREFIX): value
        for name, value in checkpoint["state_dict"].items()
        if isinstance(name, str) and name.startswith(_PREFIX)
    }


def _read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            settings = json.loads((file.metadata() or {}).get("separator", "null"))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    except (SafetensorError, OSError, ValueError, RecursionError, RuntimeError) as error:
        raise InputError(f"{path} is not a safetensors file, or a broken one: {one_line(error)}") from None
    if not isinstance(settings, dict):
        raise InputError(f"{path} is not a model that unetsep exported: its metadata holds no 'separator'")
    return settings, weights


def _read(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on the protocol of a pickle that is refused anyway
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"(?:GLOBAL|class) ([\w.]+)", str(error))
        if "global" in str(error).lower() or asked:
            what = f"{asked[1]}" if asked else "an object that is not a tensor"
            raise InputError(
                f"{path} is refused: it asks to build {what}, which could run code; weights do not"
            ) from None
        raise InputError(f"{path} is not a checkpoint, or a broken one: {_reason(error)}") from None
    except Exception as error:  # torch's reader raises whatever the bytes of a broken file lead it to
        raise InputError(f"{path} is not a checkpoint, or a broken one: {_reason(error)}") from None


def _build(described: dict[str, Any], path: Path) -> Separator:
    """The separator on the meta device, where it takes no memory however large it is."""
    failed = f"the separator that {path} describes cannot be built"
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--separator", type=Separator, required=True)
    with _refused(failed):
        foreign = next(_foreign(described), None)
    if foreign is not None:
        raise InputError(
            f"{path} is refused: its separator is built with {foreign[:100]!r}, which is no class of unetsep or "
            "torch.nn"
        )
    with _refused(failed):
        config = parser.parse_object({"separator": described})
        parts = list(_parts(config.separator))
    for part in parts:
        if not (isinstance(part, type) and issubclass(part, nn.Module)):
            raise InputError(f"{path} is refused: its separator is built with {part!r}, which is no torch.nn.Module")
    with _refused(failed), torch.device("meta"):
        separator = parser.instantiate(config).separator
    assert isinstance(separator, Separator)
    return separator


def _fill(separator: Separator, weights: Mapping[str, Any]) -> None:
    """Gives the separator its weights, in memory of their own, once all names and shapes are found to be its own."""
    own = separator.state_dict()
    for name, value in weights.items():
        if not _plain(value):
            raise InputError(f"{name!r} is no array of real numbers")
    fitting = {
        name: value.to(own[name].dtype, copy=True, memory_format=torch.contiguous_format)
        if name in own and value.shape == own[name].shape
        else value
        for name, value in weights.items()
    }
    separator.load_state_dict(fitting, assign=True)


def _plain(value: Any) -> bool:
    """Whether this is an array of real numbers all of which the file held: a stride of 0 would promise any number."""
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not (value.is_complex() or value.is_quantized)
        and value.untyped_storage().nbytes() >= value.numel() * value.element_size()
    )


@torch.inference_mode()
def _try(separator: Separator, *lengths: int) -> None:
    """Has the separator's network read so many frames of silence: its settings may name any module of torch.nn."""
    net, estimate = separator.net, separator.estimate
    sources, channels, freqs = len(separator.sources), separator.audio_channels, separator.n_fft // 2
    extent = net.receptive_field()
    if not (net.depth >= 1 and 1 <= net.frame_stride <= _MOST_FRAMES and min(extent) >= 1):
        raise InputError(f"it has {net.depth} levels, a stride of {net.frame_stride} frames and sees {extent}")
    if _MOST_FRAMES < extent[1] < math.inf:
        raise InputError(f"it sees {extent[1]:g} frames at once: {_MOST_FRAMES} at most")
    for frames in lengths:
        planes = net(torch.zeros(1, channels * estimate.planes_in, freqs, frames))
        fitting = (1, sources * channels * estimate.planes_out, freqs, frames)
        if planes.shape != fitting:
            raise InputError(f"it writes {tuple(planes.shape)}, not {fitting}")
        mixture = torch.zeros(1, channels, freqs, frames, dtype=torch.complex64)
        estimate(planes.float().unflatten(1, (sources, channels, estimate.planes_out)), mixture)


@contextlib.contextmanager
def _refused(failed: str) -> Iterator[None]:
    """Whatever a crafted file leads jsonargparse or torch to raise, as one line."""
    try:
        yield
    except Exception as error:
        raise InputError(f"{failed}: {one_line(error)}") from None


def _foreign(described: Any) -> Iterator[str]:
    """Texts in a checkpoint's settings that may make jsonargparse import a module that is not ours, or hide such texts.

    It imports what a class path names before anybody can see whether that is a network, and importing runs code.
    """
    if isinstance(described, dict):
        for key, value in described.items():
            if not (key == "sources" and isinstance(value, list | tuple) and all(isinstance(v, str) for v in value)):
                yield from _foreign(value)
    elif isinstance(described, list | tuple):
        for value in described:
            yield from _foreign(value)
    elif isinstance(described, str) and not (_OURS.fullmatch(described) or re.fullmatch(r"[\w -]*", described)):
        yield described


def _parts(config: Any) -> Iterator[Any]:
    """Everything that building the parsed config would call.

    jsonargparse takes any function for a class path where a callable is expected, `os.system` with a command too: a
    checkpoint from elsewhere must not get that far.
    """
    if isinstance(config, Namespace):
        config = vars(config)
    if isinstance(config, dict):
        if isinstance(name := config.get("class_path"), str):
            yield pydoc.locate(name)
        for value in config.values():
            yield from _parts(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _parts(value)
    elif callable(config):
        yield config


def _reason(error: BaseException) -> str:
    """What torch found wrong with a file, without its advice to read it unsafely."""
    if found := re.search(r"WeightsUnpickler error: *(\S.*)", str(error)):
        return one_line(ValueError(found[1]))
    return "it does not hold tensors and plain values alone" if "weights_only" in str(error) else one_line(error)
