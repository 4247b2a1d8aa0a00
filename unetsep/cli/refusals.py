"""What is wrong with a config, in one line that names the key."""

import contextlib
import difflib
import importlib
import inspect
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException

from unetsep.audio.files import InputError
from unetsep.configs import BASES, find_config


def one_line(message: str) -> str:
    """jsonargparse's account of an error, many nested lines, as one: the full dotted key and what is wrong with it."""
    unknown = re.search(r"Option '([^']+)' is not accepted", message)
    group = re.search(r"Group '([^']+)' does not accept option '([^']+)'", message)
    path = _path(message)
    if group:
        return f"there is no setting {group[1]}.{group[2]}"
    if unknown and path:
        owners = re.findall(r"class_path[ =]'([\w.]+)'", message[: unknown.end() + 200])
        owner = _owner(message, unknown, owners)
        return f"there is no setting {path}.init_args.{unknown[1]}{_suggestion(unknown[1], owner)}"
    if missing := re.search(r"Expected a dot import path string: (\S+)", message):
        return f"{path}: there is no class {missing[1]}".removeprefix(": ")
    if wrong := re.search(r"Expected (an? (?!<class 'NoneType'>).*?)\. Got value: (.*?)(?:\. Got value|\n|$)", message):
        kind = re.sub(r"<class '([\w.]+)'>", r"\1", wrong[1]).replace("typing.", "").replace("a int", "an int")
        return f"{path}: expected {kind}, got {wrong[2]}"
    if path and (value := re.search(r"Given value: (.*?)(?:\n|$)", message)):
        allowed = [words for literal in re.findall(r"Literal\[([^\]]+)\]", message) for words in literal.split(", ")]
        allowed += [
            f"any {kind}" for kind in re.findall(r"Expected an? <class '(\w+)'>", message) if kind != "NoneType"
        ]
        hint = f": use {', '.join(dict.fromkeys(word.strip(chr(39)) for word in allowed))}" if allowed else ""
        return f"{path} cannot be {value[1]}{hint}"
    text = re.sub(r"\b(fit|validate|test|predict)\.(?=\w)", "", " ".join(message.split()))
    return text if len(text) <= 400 else f"{text[:200]} ... {text[-190:]}"


@contextlib.contextmanager
def refusing(where: str = "") -> Iterator[None]:
    """What a class refuses is the user's to mend, not a failure: says it in one line.

    Args:
        where: begins that line.

    Raises:
        InputError: in place of any error that a wrong value may cause.
    """
    try:
        yield
    except InputError:
        raise
    except (ValueError, TypeError, MisconfigurationException) as error:
        raise InputError(where + " ".join(str(error).split())) from error


def linked_or_unknown(config: Mapping[str, Any], keys: Iterable[str], links: Mapping[str, str]) -> Iterator[str]:
    """What jsonargparse would pass over in silence: unknown sections, and keys that a link would overwrite.

    Args:
        config: nested, as the user wrote it.
        keys: the sections that there are.
        links: by the key that is set through another one, that other one.

    Yields:
        One line for each.
    """
    known = list(keys)
    for section in config:
        name = str(section).partition(".")[0]
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
            yield f"there is no section {name}: {hint}"
    for target, source in links.items():
        section, _, name = target.partition(".")
        held = config.get(section)
        if target in config or (isinstance(held, Mapping) and name in held):
            yield f"{target} is taken from {source}: set that one, and leave {target} out"


def found_configs(args: Sequence[str]) -> list[str]:
    """The arguments with the paths of the config files that come with the package, where these are named.

    Raises:
        InputError: if there is no config of a name.
    """
    words = list(args)
    for place, word in enumerate(args):
        option, equals, name = word.partition("=")
        if option in ("--config", "-c") and equals:
            words[place] = f"{option}={find_config(name, BASES)}"
        elif place and args[place - 1] in ("--config", "-c"):
            words[place] = str(find_config(word, BASES))
    return words


def config_files(args: Sequence[str]) -> list[dict[str, Any]]:
    """The mappings in the config files that the arguments name; whatever else is wrong with them, the parser says.

    Raises:
        InputError: if one is not UTF-8.
    """
    found = [word.partition("=")[2] for word in args if word.startswith(("--config=", "-c="))]
    found += [value for word, value in itertools.pairwise(args) if word in ("--config", "-c")]
    configs = []
    for name in found:
        with contextlib.suppress(OSError, yaml.YAMLError):
            try:
                text = Path(name).read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise InputError(f"{name} is not UTF-8 text, at byte {error.start}: save it as UTF-8") from None
            config = yaml.safe_load(text)
            configs += [config] if isinstance(config, dict) else []
    return configs


def _path(message: str) -> str:
    """The dotted key that the nested "Parser key" lines lead to."""
    keys = re.findall(r"Parser key [\"']([^\"']+)[\"']", message)
    return ".init_args.".join(keys)


def _owner(message: str, unknown: re.Match[str], before: list[str]) -> str:
    """The class that has no such setting: named right after the complaint, else last before it."""
    after = re.search(r"class_path='([\w.]+)'", message[unknown.end() :].split("\n")[0])
    return after[1] if after else (before[-1] if before else "")


def _suggestion(name: str, class_path: str) -> str:
    """The settings that the class does have, or the one that was meant."""
    module, _, class_name = class_path.rpartition(".")
    try:
        parameters = inspect.signature(getattr(importlib.import_module(module), class_name)).parameters
    except (ImportError, AttributeError, ValueError, TypeError):
        return ""
    names = [key for key, parameter in parameters.items() if parameter.kind != parameter.VAR_KEYWORD]
    close = difflib.get_close_matches(name, names, n=1)
    return f": did you mean {close[0]}?" if close else f": {class_name} has {', '.join(names)}"
