"""A separator from its checkpoint: the class and its settings stand beside the weights, so one file is enough."""

import contextlib
import json
import math
import pickle
import pydoc
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

import torch
import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace
from torch import nn

from unetsep.audio.files import InputError
from unetsep.model.separator import Separator

_OURS = re.compile(r"(unetsep|torch\.nn)(\.[A-Za-z_]\w*)+")  # what a checkpoint's settings may name
_PREFIX = "separator."  # of the separator's weights among those of the module that trained it


def load_separator(path: Path, *, at_most: Mapping[str, float] | None = None) -> Separator:
    """The separator of a checkpoint, of a run's or trial's folder, or of the best trial of a sweep's folder.

    Weights averaged during training are what a checkpoint holds where averaging was on, so they are what is loaded.
    No code in the file is run: it is read as tensors and plain values only, and the classes it names must be those of
    unetsep or torch.nn that derive from `torch.nn.Module`.

    Args:
        path: A `.ckpt` or `.safetensors` file, or a folder with `checkpoints/best.ckpt` (or only `last.ckpt`), or a
            sweep's folder.
        at_most: For a sweep's folder: what the trial may cost, such as `{"gmacs_per_second": 0.5}`.

    Returns:
        The separator in evaluation mode on the CPU.

    Raises:
        InputError: If there is no checkpoint, or it is broken, not from unetsep, or would run code.
    """
    path = find_checkpoint(Path(path), at_most)
    settings, weights = read_model(path)
    separator = _build(settings, path)
    try:
        separator.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"the weights in {path} do not fit the separator it describes: {_line(error)}") from None
    return separator.eval()


def read_model(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of the separator in a file, as yet unchecked, and its weights by name.

    Raises:
        InputError: If the file is broken, not from unetsep, or would run code.
    """
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
        raise InputError(f"{path} is not a safetensors file, or a broken one: {_line(error)}") from None
    if not isinstance(settings, dict):
        raise InputError(f"{path} is not a model that unetsep exported: its metadata holds no 'separator'")
    return settings, weights


def parse_at_most(text: str) -> tuple[str, float]:
    """A limit of cost as it is given on the command line, `gmacs_per_second=0.5`, as its measure and number.

    Raises:
        InputError: If it is anything else.
    """
    measure, _, number = text.partition("=")
    with contextlib.suppress(ValueError):
        if measure.strip() and not math.isnan(most := float(number)):
            return measure.strip().removeprefix("cost/"), most
    raise InputError(f"--at-most is given {text!r}, but takes a measure of cost and a number: gmacs_per_second=0.5")


def find_checkpoint(path: Path, at_most: Mapping[str, float] | None = None) -> Path:
    """The model that a path means: itself, or the best checkpoint of a run's, trial's or sweep's folder.

    Args:
        path: A file, or a folder.
        at_most: For a sweep's folder: limits on what the trial costs, by measure, as its `result.json` names them.

    Raises:
        InputError: If there is none, or none within the limits.
    """
    if not path.exists():
        raise InputError(f"no model at {path}: give a checkpoint, a run's folder or a sweep's folder")
    sweep = (path / "sweep.yaml").is_file()
    if at_most and not sweep:
        raise InputError(
            f"--at-most chooses among the trials of a sweep, but {path} is no sweep's folder: leave it out"
        )
    if path.is_file():
        return path
    folder = _best_trial(path, at_most or {}) if sweep else path
    for name in ("best.ckpt", "last.ckpt"):
        if (folder / "checkpoints" / name).is_file():
            return folder / "checkpoints" / name
    raise InputError(f"no checkpoint in {folder}: it has no checkpoints/best.ckpt")


def _best_trial(sweep: Path, at_most: Mapping[str, float]) -> Path:
    """The complete trial with the best first score among the sweep's objectives, of those that cost no more."""
    settings = _held(sweep / "sweep.yaml", yaml.safe_load)
    objectives = settings.get("objectives") if isinstance(settings, dict) else None
    if not isinstance(objectives, dict) or not objectives:
        raise InputError(
            f"{sweep / 'sweep.yaml'} names no objectives, so its best trial is unknown: give a trial's folder"
        )
    score = next((key for key in objectives if not key.startswith("cost/")), None)
    if score is None:
        raise InputError(f"{sweep} optimises costs only, so it has no best trial: give a trial's folder")
    sign = 1.0 if objectives[score] == "maximize" else -1.0
    found: list[tuple[float, Path, dict[str, float]]] = []
    for file in sorted((sweep / "trials").glob("*/result.json")):
        result = _held(file, json.loads)
        scores = result.get("scores") if isinstance(result, dict) else None
        if not isinstance(scores, dict):
            raise InputError(f"{file} is no trial's result: it holds no scores; give a trial's folder")
        cost = result.get("cost")
        costs = {key: float(value) for key, value in cost.items() if _finite(value)} if isinstance(cost, dict) else {}
        value = scores.get(score)
        if result.get("state") == "complete" and _finite(value):
            found.append((sign * value, file.parent, costs))
    if not found:
        raise InputError(f"no trial in {sweep} has a {score} yet: let `unetsep sweep` finish one")
    for measure, most in at_most.items():
        known = [trial for trial in found if measure in trial[2]]
        if not known:
            names = sorted({name for trial in found for name in trial[2]})
            raise InputError(f"no trial in {sweep} knows its {measure}: use one of {', '.join(names)}")
        found = [trial for trial in known if trial[2][measure] <= most]
        if not found:
            _, nearest, costs = min(known, key=lambda trial: trial[2][measure])
            raise InputError(
                f"no trial in {sweep} has at most {most:g} {measure}"
                f"{' within the other limits' if len(at_most) > 1 else ''}: "
                f"the nearest is {nearest.name} with {costs[measure]:.4g}"
            )
    return max(found, key=lambda trial: trial[0])[1]


def _finite(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def _held(file: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{file} cannot be read ({_line(error)}); give a trial's folder") from None


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
        raise InputError(f"the separator that {path} describes cannot be built: {_line(error)}") from None


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
        return _line(ValueError(found[1]))
    return "it does not hold tensors and plain values alone" if "weights_only" in str(error) else _line(error)


def _line(error: BaseException) -> str:
    """The error's text as one line that is not too long to read."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
