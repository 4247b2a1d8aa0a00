"""A separator from its checkpoint: the class and its settings stand beside the weights, so one file is enough."""

import contextlib
import json
import pickle
import pydoc
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentError, ArgumentParser, Namespace
from torch import nn

from unetsep.audio.files import InputError
from unetsep.deploy.trials import find_checkpoint, one_line, parse_at_most
from unetsep.model.separator import Separator

__all__ = ["find_checkpoint", "load_separator", "parse_at_most", "read_model"]

_OURS = re.compile(r"(unetsep|torch\.nn)(\.[A-Za-z_]\w*)+")  # what a checkpoint's settings may name
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
        from unetsep.deploy.onnx import read_network, with_session

        settings, session = read_network(path)
        with torch.device("meta"):  # the description alone: its weights are in the session
            separator = _build(settings, path)
        return with_session(separator, session, path).eval()
    settings, weights = read_model(path)
    separator = _build(settings, path)
    try:
        separator.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"the weights in {path} do not fit the separator it describes: {one_line(error)}") from None
    return separator.eval()


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
    for text in _foreign(described):
        raise InputError(
            f"{path} is refused: its separator is built with {text[:100]!r}, which is no class of unetsep or torch.nn"
        )
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--separator", type=Separator, required=True)
    with _one_line(path):
        config = parser.parse_object({"separator": described})
    for part in _parts(config.separator):
        if not (isinstance(part, type) and issubclass(part, nn.Module)):
            raise InputError(f"{path} is refused: its separator is built with {part!r}, which is no torch.nn.Module")
    with _one_line(path):
        separator = parser.instantiate(config).separator
    assert isinstance(separator, Separator)
    return separator


@contextlib.contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except (ArgumentError, ValueError, TypeError) as error:
        raise InputError(f"the separator that {path} describes cannot be built: {one_line(error)}") from None


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
