"""Configs completed with the defaults of the classes they name, as the command line does it, but at once.

jsonargparse finds the defaults of every nested class anew, again and again: a third of a second a config. They do not
change while a process runs.
"""

import importlib
import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml
from jsonargparse import ArgumentParser


def completed(part: Any) -> Any:
    """A copy of a resolved config, or of a part of it, in which every class has all the arguments it could be given.

    Args:
        part: with classes by their full names, as `CommandLine.resolve` gives it.
    """
    if isinstance(part, list):
        return [completed(each) for each in part]
    if not isinstance(part, Mapping):
        return part
    whole = dict(part)
    if "class_path" in whole and (arguments := {**_defaults(whole["class_path"]), **(whole.get("init_args") or {})}):
        whole["init_args"] = arguments
    return {key: completed(value) for key, value in whole.items()}


@cache
def _defaults(class_path: str) -> dict[str, Any]:
    """The defaults of a class, as plain values; what has none is given by whoever makes the object."""
    module, _, name = class_path.rpartition(".")
    made = getattr(importlib.import_module(module), name)
    if not inspect.isclass(made):
        return {}
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(made, fail_untyped=False)
    text = parser.dump(parser.get_defaults(), skip_unset=False, skip_validation=True, format="yaml")
    needed = {
        argument
        for each in made.__mro__
        if "__init__" in vars(each)
        for argument, parameter in inspect.signature(each).parameters.items()
        if parameter.default is parameter.empty
    }
    return {argument: value for argument, value in yaml.safe_load(text).items() if argument not in needed}
