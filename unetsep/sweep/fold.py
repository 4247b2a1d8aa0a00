"""Nested configs addressed by dotted keys: fragments laid over each other, and single values put in.

Two rules of jsonargparse are kept. A part written as a bare class name becomes `{class_path, init_args}` once an
argument of it is set, and a part whose class changes loses the old class's arguments.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from unetsep.audio.files import InputError
from unetsep.sweep.document import Config, label

MISSING: Any = object()
_CLASS = ("class_path", "init_args", "dict_kwargs")


def layered(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> Config:
    """A new config: `upper` laid over `lower`, mapping by mapping; lists and plain values are replaced whole."""
    if _class_of(upper) and _class_of(lower) and _class_of(upper) != _class_of(lower):
        return deepcopy(dict(upper))
    result = deepcopy(dict(lower))
    for key, value in upper.items():
        held = result.get(key)
        if isinstance(held, dict) and isinstance(value, Mapping):
            result[key] = layered(held, value)
        elif isinstance(held, str) and isinstance(value, Mapping) and "init_args" in value:
            result[key] = layered({"class_path": held}, value)
        else:
            result[key] = deepcopy(_as_class(held, value))
    return result


def put(config: Config, key: str, value: Any) -> None:
    """Sets `config` in place at a dotted key, making the mappings on the way.

    Args:
        config: a nested config.
        key: components joined by dots; a number is a level or the index of a list, as in `skip_at.0`. Where a class
            stands, `net.depth` is `net.init_args.depth`.
        value: a plain value, list or mapping.

    Raises:
        InputError: if the key leads through a plain value or past the end of a list.
    """
    *parts, last = [int(part) if part.isdigit() else part for part in key.split(".")]
    node: Any = config
    for part in parts:
        node = _arguments(node, part)
        below = _held(node, part, key)
        if below is None:
            below = {}
        elif _names_a_class(below):
            below = {"class_path": below}
        node[part] = below
        node = below
    node = _arguments(node, last)
    node[last] = deepcopy(_as_class(_held(node, last, key), value))


def find(config: Mapping[str, Any], key: str) -> Any:
    """What a nested config holds at a dotted key, short as in `put` or not; `MISSING` where it holds nothing."""
    node: Any = config
    for part in key.split("."):
        step: Any = int(part) if part.isdigit() else part
        if isinstance(node, Mapping) and ("class_path" in node or "init_args" in node) and part not in _CLASS:
            node = node.get("init_args") or {}
        if isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
        elif isinstance(node, Mapping) and (step in node or part in node):
            node = node[step if step in node else part]
        else:
            return MISSING
    return node


def _arguments(node: Any, part: Any) -> Any:
    """Where a part of a key stands: among the arguments, if the node is a class with them."""
    if isinstance(node, dict) and ("class_path" in node or "init_args" in node) and part not in _CLASS:
        if node.get("init_args") is None:
            node["init_args"] = {}
        return node["init_args"]
    return node


def _names_a_class(value: Any) -> bool:
    return isinstance(value, str) and all(part.isidentifier() for part in value.split("."))


def _held(node: Any, part: Any, key: str) -> Any:
    """What a mapping or list holds under one component of a key."""
    if isinstance(node, list):
        if isinstance(part, int) and part < len(node):
            return node[part]
        raise InputError(f"{key}: {part} is no index of a list of {len(node)}")
    if not isinstance(node, dict):
        raise InputError(f"{key}: there is nothing below {label(node)}, so {part!r} cannot be set in it")
    return node.get(part)


def _class_of(node: Mapping[str, Any]) -> str:
    return str(node.get("class_path", "")).rpartition(".")[2]


def _as_class(held: Any, value: Any) -> Any:
    """A class's name, put where that class already has arguments, keeps them; any other value stands as it is."""
    if not (isinstance(held, dict) and isinstance(value, str) and ("class_path" in held or "init_args" in held)):
        return value
    if not _class_of(held) or _class_of(held) == value.rpartition(".")[2]:
        return {**held, "class_path": value}
    return value
