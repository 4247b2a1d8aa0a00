"""Sweep files as plain data: YAML in which `1e-4` is a number, `no` is a word and no key stands twice."""

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from unetsep.audio.files import InputError, replacing

Config = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """YAML 1.2's plain words: PyYAML's own 1.1 reads `1e-4` as a string, `no` and `off` as false and `1:30` as 90."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012, as PyYAML has it

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Builds a mapping, unless a key stands in it twice: PyYAML would silently keep the last one."""
        seen: dict[Hashable, yaml.Node] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge" or not isinstance(key_node, yaml.ScalarNode):
                continue
            key = self.construct_object(key_node)
            if key in seen:
                message = f"the key {key} stands twice, first in line {seen[key].start_mark.line + 1}"
                raise yaml.constructor.ConstructorError(None, None, message, key_node.start_mark)
            seen[key] = key_node
        return super().construct_mapping(node, deep=deep)


class _Dumper(yaml.SafeDumper):
    """Quotes what either version of YAML would take for something else than a string."""


for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$", list("-+.0123456789")),
    ("float", r"^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$", list("-+.")),
    ("merge", r"^<<$", ["<"]),
):
    for _reader in (_Loader, _Dumper):
        _reader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def parse_yaml(text: str, source: str) -> Any:
    """The value that a YAML text stands for.

    Args:
        text: YAML, where plain words are read as YAML 1.2 does: `1e-4` is a float, `no` and `off` are strings.
        source: where it comes from, for the message.

    Raises:
        InputError: if it is no YAML, or a key stands twice.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{source}{line}: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{source}: {' '.join(str(error).split())}") from None


def read_yaml(path: Path) -> Config:
    """The mapping that a YAML file holds.

    Raises:
        InputError: if there is no such file, or it holds no mapping.
    """
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text in UTF-8, so no YAML") from None
    if not isinstance(content, dict):
        kind = "nothing" if content is None else f"a {type(content).__name__}"
        raise InputError(f"{path} holds {kind}, but must hold a mapping of keys to values")
    return content


def write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a mapping, atomically and in its own order."""
    with replacing(path) as unfinished:
        text = yaml.dump(dict(content), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
        unfinished.write_text(text, encoding="utf-8")


def label(value: Any) -> str:
    """A value in one line of YAML: `[2, 1]`, `{0: Drop}`, `null`."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=float("inf"), sort_keys=False)
    return str(text).removesuffix("\n").removesuffix("\n...")
