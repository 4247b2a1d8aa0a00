"""What settings, durations and amounts of training are called, on a sweep's lines and in its report."""

from collections.abc import Iterable, Mapping
from typing import Any

from unetsep.sweep.document import label
from unetsep.sweep.rungs import Rungs


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


def duration(seconds: float) -> str:
    """Seconds as one reads them: `8.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def roughly(seconds: float) -> str:
    """Seconds as one reads an estimate: `about 20 s`, `about 3 min`, `about 2 h 10 min`."""
    if seconds < 55:
        return f"about {max(5 * round(seconds / 5), 5)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"about {minutes} min"
    tens = 10 * round(seconds / 600)
    return f"about {tens // 60} h" + (f" {tens % 60} min" if tens % 60 and tens < 600 else "")


def how_far(rungs: Rungs, reached: int, bare: bool = False) -> str:
    """How far a trial was trained that reached so many rungs: `3 of 27 epochs`, or bare `3 of 27`."""
    amount = amount_of(rungs.amounts[reached - 1]) if reached else "0"
    return f"{amount} of {amount_of(rungs.amounts[-1])}" + ("" if bare else f" {rungs.unit}")


def amount_of(amount: float) -> str:
    """A rung's amount: whole numbers in full, others with one digit."""
    return f"{amount:.0f}" if float(amount).is_integer() else f"{amount:.1f}"


def settings_of(params: Mapping[str, Any]) -> str:
    """A trial's settings in one line: `depth 3, skip_at.0 Drop`."""
    names = short_names(params)
    return ", ".join(f"{names[key]} {show_choice(value)}" for key, value in params.items()) or "nothing to choose"
