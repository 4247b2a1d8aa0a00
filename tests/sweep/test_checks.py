import pytest

from unetsep.audio.files import InputError
from unetsep.sweep.checks import DRAWS, check_sweep, meets_budget
from unetsep.sweep.document import Config

from .toy import Toy, sweep_of

SPACE = "trials: 1\nspace: {x: {int: [1, 40]}, z: {choice: [a, b]}}\n"


class Built(Toy):
    """Counts what it builds."""

    def __init__(self) -> None:
        super().__init__()
        self.built: list[int] = []

    def build(self, resolved: Config) -> dict[str, float]:
        self.built.append(resolved["x"])
        try:
            return {**self.cost(resolved), "receptive_field_seconds": float("inf"), "peak_memory_mb": float("nan")}
        except ValueError as error:
            raise InputError(str(error)) from None


def test_the_first_config_within_the_budget_is_enough() -> None:
    toy = Built()
    meets_budget(sweep_of(SPACE + "budget: {params: 30, gmacs_per_second: 5}"), toy.resolve, toy.build)
    assert toy.built == [1]


def test_chance_finds_what_no_branch_shows() -> None:
    toy = Built()
    toy.cost = lambda resolved: {"params": abs(resolved["x"] - 20.0) + 1}  # type: ignore[method-assign]
    meets_budget(sweep_of(SPACE + "budget: {params: 5}"), toy.resolve, toy.build)
    assert 2 < len(toy.built) < DRAWS


def test_of_a_budget_that_nothing_meets_the_nearest_is_named() -> None:
    toy = Built()
    with pytest.raises(InputError) as refusal:
        meets_budget(sweep_of(SPACE + "budget: {params: 4, gmacs_per_second: 5}"), toy.resolve, toy.build)
    drawn = len(toy.built) - toy.built.count(13)
    assert str(refusal.value) == (f"budget: none of {drawn} configs drawn meets it; the nearest has params 10, over 4")
    assert len(toy.built) <= 80  # each of them once


@pytest.mark.parametrize("key", ["receptive_field_seconds", "peak_memory_mb"])
def test_what_has_no_end_is_over_any_budget(key: str) -> None:
    toy = Built()
    with pytest.raises(InputError, match=f"the nearest has {key} (inf|nan), over 3"):
        meets_budget(sweep_of(SPACE + f"budget: {{{key}: 3}}"), toy.resolve, toy.build)


def test_what_only_this_machine_can_tell_is_left_to_the_trials() -> None:
    toy = Built()
    meets_budget(sweep_of(SPACE + "budget: {rtf_cpu: 0.001}"), toy.resolve, toy.build)
    assert toy.built == [1]


def test_a_list_is_checked_point_by_point() -> None:
    toy = Built()
    text = SPACE + "sampler: {class_path: FixedList, init_args: {trials: [{x: 1, z: a}, {x: 41, z: a}]}}"
    with pytest.raises(InputError, match=r"^toy.yaml: sampler: trial 2 of the list: x is 41, which is outside of the"):
        check_sweep(sweep_of(text), toy.resolve, toy.build)
    grid = SPACE + "sampler: {class_path: GridSampler, init_args: {search_space: {x: [1], z: [c]}}}"
    with pytest.raises(InputError, match=r"^toy.yaml: sampler: search_space: z is c, which is outside of the space"):
        check_sweep(sweep_of(grid), toy.resolve, toy.build)
    assert check_sweep(sweep_of(text.replace("41", "40")), toy.resolve, toy.build).params == {"x": 1, "z": "a"}
