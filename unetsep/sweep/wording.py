"""What settings are called and how they are shown, on a sweep's lines and in its report."""

from collections.abc import Iterable
from typing import Any

from unetsep.sweep.document import label


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """For each dotted config key the shortest ending that tells it from the others.

    `model.separator.init_args.net.init_args.depth` is `depth`; a level's number keeps its owner: `skip_at.0`.
    """
    keys = list(keys)
    parts = {key: [part for part in key.split(".") if part not in ("init_args", "class_path")] or [key] for key in keys}
    length = {key: 2 if parts[key][-1].isdigit() else 1 for key in keys}
    while True:
        names = {key: ".".join(parts[key][-length[key] :]) for key in keys}
        clashing = [key for key in keys if list(names.values()).count(names[key]) > 1 and length[key] < len(parts[key])]
        if not clashing:
            return names
        for key in clashing:
            length[key] += 1


def show_choice(value: Any) -> str:
    """A config value as a reader wants it: classes by bare names, files by their stems, numbers with three digits."""
    if isinstance(value, dict) and "class_path" in value:
        settings = ", ".join(f"{name}={show_choice(arg)}" for name, arg in (value.get("init_args") or {}).items())
        return show_choice(value["class_path"]) + (f"({settings})" if settings else "")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {show_choice(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return " x ".join(show_choice(item) for item in value) or "none"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, str) and value.endswith(".yaml"):
        return value.rpartition("/")[2].removesuffix(".yaml")
    if isinstance(value, str) and all(part.isidentifier() for part in value.split(".")):
        return value.rsplit(".", 1)[-1]
    return value if isinstance(value, str) else label(value)
