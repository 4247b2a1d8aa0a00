"""What one key of a sweep may be: a range, a choice with sub-spaces, one choice per level, or a fixed value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from unetsep.audio.files import InputError
from unetsep.sweep.document import label

GRAMMAR = (
    "write {int: [1, 5]}, {float: [1e-4, 1e-2], log: true}, {choice: [a, b]}, {choice: {a: {sub-space}, b: {}}}, "
    "{per_level: {choice: [a, b]}, from: 0} or {value: a}"
)
KINDS = ("int", "float", "choice", "per_level", "value")
FRAGMENT = "base"  # the pseudo key whose choices are config fragments


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, both included, in steps of `step`; if `log`, evenly in the logarithm."""

    low: float
    high: float
    step: float | None = None
    log: bool = False
    integer: bool = False


@dataclass(frozen=True)
class Option:
    """One value of a choice, and the space that exists only under it.

    Attributes:
        name: the value where it is a plain one, else its YAML in one line: what the study stores.
        value: what the config gets.
        space: domains by dotted key; a key that starts with a dot stands below the choice's own key.
    """

    name: str | float | bool | None
    value: Any
    space: dict[str, "Domain"]


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    options: tuple[Option, ...]


@dataclass(frozen=True)
class PerLevel:
    """One suggestion for each level of the network, `first` to depth - 1."""

    each: Range | Choice
    first: int = 0


@dataclass(frozen=True)
class Fixed:
    """A value that is set and not searched: what a sub-space needs besides its ranges."""

    value: Any


Domain: TypeAlias = Range | Choice | PerLevel | Fixed


def read_space(given: Any, owner: str = "space", levelled: bool = False) -> dict[str, Domain]:
    """Domains by dotted key, the fragments' choice first.

    Args:
        given: a mapping as the YAML holds it.
        owner: where the mapping stands, for messages; a choice's key for a sub-space.
        levelled: whether the mapping stands under a per-level key, so that its own keys must be relative.

    Raises:
        InputError: naming the key, if anything is not in the grammar.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InputError(f"{owner}: holds {label(given)}, but must map dotted config keys to ranges: {GRAMMAR}")
    domains: dict[str, Domain] = {}
    for key, content in given.items():
        where = f"{owner}: {key}"
        if not isinstance(key, str) or not all(key.removeprefix(".").split(".")):
            raise InputError(f"{where}: is no dotted config key")
        if key.startswith(".") and owner in ("space", FRAGMENT):
            raise InputError(f"{where}: only below a choice of a config key may a key start with a dot")
        if levelled and not key.startswith("."):
            raise InputError(f"{where}: below a per_level key, sub-spaces need keys that start with a dot")
        domains[key] = read_domain(content, key, where, levelled)
    return dict(sorted(domains.items(), key=lambda item: item[0] != FRAGMENT))


def read_domain(given: Any, key: str, where: str, levelled: bool = False) -> Domain:
    """The domain that a key's mapping describes.

    Raises:
        InputError: starting with `where`, if it describes none.
    """
    kinds = [kind for kind in KINDS if isinstance(given, Mapping) and kind in given]
    if len(kinds) != 1:
        raise InputError(f"{where}: {label(given)} describes no range; {GRAMMAR}")
    kind, content = kinds[0], given[kinds[0]]
    beside = {"int": {"log", "step"}, "float": {"log", "step"}, "per_level": {"from"}}
    allowed = {kind} | beside.get(kind, set())
    if unknown := [str(name) for name in given if name not in allowed]:
        raise InputError(f"{where}: {', '.join(unknown)} cannot stand beside {kind}; {GRAMMAR}")
    if kind == "value":
        return Fixed(content)
    if kind == "choice":
        return _read_choice(content, key, where, levelled)
    if kind == "per_level":
        if levelled or key == FRAGMENT:
            raise InputError(f"{where}: per_level cannot stand here")
        each = read_domain(content, key, f"{where}: per_level", levelled=True)
        if not isinstance(each, Range | Choice):
            raise InputError(f"{where}: per_level needs a range or a choice; {GRAMMAR}")
        first = given.get("from", 0)  # a network that begins with a strided convolution has no skip at level 0
        if not isinstance(first, int) or isinstance(first, bool) or first < 0:
            raise InputError(f"{where}: from is {label(first)}, but must be the number of a level, 0 or more")
        return PerLevel(each, first)
    return _read_range(given, kind, where)


def short(key: str) -> str:
    """A dotted key without the `init_args` on its way: the same key, however it is spelled."""
    return ".".join(part for part in key.split(".") if part != "init_args")


def name_of(value: Any) -> Any:
    """A value of a choice as the study stores it: a plain one itself, else its YAML in one line."""
    return value if value is None or isinstance(value, str | int | float | bool) else label(value)


def values_of(domain: Range | Choice) -> list[Any] | None:
    """Every value of a domain; None for a range that has no end of them."""
    if isinstance(domain, Choice):
        return [option.value for option in domain.options]
    step = domain.step or (1 if domain.integer else None)
    if step is None:
        return [domain.low] if domain.low == domain.high else None
    return [domain.low + step * index for index in range(int((domain.high - domain.low) / step + 1e-9) + 1)]


def chosen(domain: Range | Choice, value: Any) -> "Option | float | None":
    """The number of the range, or the option of the choice, that a value stands for; None if it is not among them.

    Args:
        domain: the domain.
        value: as a config has it, or as the study does.
    """
    if isinstance(domain, Choice):
        matching = (each for each in domain.options if value in (each.value, each.name) and _alike(value, each.value))
        return next(matching, None)
    if not isinstance(value, int | float) or isinstance(value, bool) or (domain.integer and value != int(value)):
        return None
    steps = domain.step or (1 if domain.integer else 0)
    nearest = domain.low + round((value - domain.low) / steps) * steps if steps else value
    if not domain.low <= nearest <= domain.high or abs(nearest - value) > 1e-9 * max(abs(value), steps):
        return None
    return int(nearest) if domain.integer else float(nearest)


def _alike(first: Any, second: Any) -> bool:
    return isinstance(first, bool) == isinstance(second, bool)  # True equals 1 and is another value


def branch_count(domains: Mapping[str, Domain]) -> int:
    """How many suggestions it takes to see every branch: domains side by side are seen at once, options one by one."""

    def count(domain: Domain) -> int:
        if isinstance(domain, PerLevel):
            return count(domain.each)
        if isinstance(domain, Choice):
            return sum(branch_count(option.space) for option in domain.options)
        return 2 if isinstance(domain, Range) and domain.low < domain.high else 1

    return max(map(count, domains.values()), default=1)


def every_domain(domains: Mapping[str, Domain], owner: str = "") -> Iterator[tuple[str, Domain]]:
    """All domains, those of sub-spaces too, by full key; a choice per level ends in `.*`."""
    for key, domain in domains.items():
        full = owner + key if key.startswith(".") else key
        each = domain.each if isinstance(domain, PerLevel) else domain
        full = f"{full}.*" if isinstance(domain, PerLevel) else full
        yield full, each
        for option in each.options if isinstance(each, Choice) else ():
            yield from every_domain(option.space, full)


def _read_range(given: Mapping[str, Any], kind: str, where: str) -> Range:
    numbers, whole = ((int,), ", whole ones") if kind == "int" else ((int, float), "")
    ends, log, step = given[kind], given.get("log", False), given.get("step")

    def is_number(value: Any) -> bool:
        return isinstance(value, numbers) and not isinstance(value, bool)

    if not (isinstance(ends, list) and len(ends) == 2 and all(map(is_number, ends))):
        raise InputError(f"{where}: {label(ends)} must be two numbers, [lowest, highest]{whole}")
    low, high = ends
    if not -float("inf") < low <= high < float("inf"):
        raise InputError(f"{where}: the range from {low} to {high} is empty or endless; give [lowest, highest]")
    if not isinstance(log, bool):
        raise InputError(f"{where}: log is {label(log)}, but must be true or false")
    if log and (low <= 0 or step is not None):
        raise InputError(f"{where}: with log: true, the lowest value must be above 0 (it is {low}), without a step")
    if step is not None and not (is_number(step) and step > 0):
        raise InputError(f"{where}: step is {label(step)}, but must be a number above 0{whole and ', a whole one'}")
    if kind == "float":
        return Range(float(low), float(high), None if step is None else float(step), log)
    return Range(low, high, step, log, integer=True)


def _read_choice(given: Any, key: str, where: str, levelled: bool) -> Choice:
    if not isinstance(given, list | Mapping) or not given:
        raise InputError(f"{where}: choice is {label(given)}, but must be a list of values or map values to sub-spaces")
    options = []
    for value in given:
        content = given[value] if isinstance(given, Mapping) else None
        space = read_space(content, key, levelled)
        options.append(Option(name_of(value), value, space))
    for index, option in enumerate(options):
        if option.name in [other.name for other in options[:index]]:  # True equals 1 here, as it does for the study
            raise InputError(f"{where}: the choice {label(option.value)} stands twice, or equals another one")
    if key == FRAGMENT and not all(isinstance(option.value, str) for option in options):
        raise InputError(f"{where}: its choices must be paths of config files")
    return Choice(tuple(options))
