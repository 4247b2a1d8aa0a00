from typing import Any

import pytest

from unetsep.audio.files import InputError
from unetsep.sweep.document import Config, parse_yaml
from unetsep.sweep.domain import Choice, Range, read_space
from unetsep.sweep.fold import find
from unetsep.sweep.space import Space

KNOWN = {*("model", "net", "class_path", "init_args", "depth", "width", "block", "block_at", "skip")}
KNOWN |= {"skip_at", "lr", "layers", "seed", "rate"}


def resolve(config: Config) -> Config:
    """Stands for the command line: knows some keys, gives depth its default, and lets `seed` decide `rate`."""

    def check(node: Any, at: str) -> None:
        for key, value in node.items() if isinstance(node, dict) else ():
            if isinstance(key, str) and key not in KNOWN:
                raise InputError(f"{at}{key} is unknown")
            if key == "depth" and not isinstance(value, int):
                raise InputError(f"{at}depth is {value}, but must be a whole number")
            check(value, f"{at}{key}.")

    check(config, "")
    complete = {"depth": 2, **config}
    return {**complete, "rate": 44100} if "rate" in config else complete


def space_of(text: str, base: Config | None = None, **more: Any) -> Space:
    return Space(base or {}, read_space(parse_yaml(text, "here")), **more)


def picking(**values: Any):
    """A sampler that answers as told, by the name's last part, and with the first answer otherwise."""
    asked = []

    def pick(name: str, domain: Range | Choice) -> Any:
        asked.append(name)
        value = values.get(name.rpartition(".")[2].partition(" ")[0], values.get(name.partition(" ")[0]))
        if isinstance(domain, Range):
            return domain.low if value is None else value
        return next((option for option in domain.options if option.name == value), domain.options[0])

    return pick, asked


def test_picks_are_folded_into_the_base() -> None:
    space = space_of("net.depth: {int: [1, 5]}\nlr: {float: [1e-4, 1e-2]}", {"net": {"width": 8}, "lr": 1.0})
    pick, asked = picking(depth=3)
    suggestion = space.suggest(pick, resolve)
    assert suggestion.config == {"net": {"width": 8, "depth": 3}, "lr": 1e-4}
    assert suggestion.params == {"net.depth": 3, "lr": 1e-4}
    assert asked == ["net.depth", "lr"]
    assert space.base == {"net": {"width": 8}, "lr": 1.0}


def test_a_sub_space_exists_only_under_its_choice() -> None:
    space = space_of("block: {choice: {ConvBlock: {}, TFC: {.init_args.layers: {int: [2, 4]}, width: {value: 5}}}}")
    assert space.suggest(picking(block="ConvBlock")[0], resolve).config == {"block": "ConvBlock"}
    suggestion = space.suggest(picking(block="TFC")[0], resolve)
    assert suggestion.config == {"block": {"class_path": "TFC", "init_args": {"layers": 2}}, "width": 5}
    assert suggestion.params == {"block": "TFC", "block.init_args.layers": 2}


@pytest.mark.parametrize(("depth", "levels"), [(1, 1), (3, 3)])
def test_there_is_one_suggestion_for_each_level_that_exists(depth: int, levels: int) -> None:
    space = space_of("net.depth: {int: [1, 5]}\nnet.skip_at: {per_level: {choice: [Concat, Drop]}}")
    suggestion = space.suggest(picking(depth=depth, **{"net.skip_at.0": "Drop"})[0], resolve)
    assert suggestion.config["net"]["skip_at"] == dict.fromkeys(range(levels), "Drop") | dict.fromkeys(
        range(1, levels), "Concat"
    )
    assert len(suggestion.params) == 1 + levels


def test_the_outermost_levels_may_be_left_out() -> None:
    space = space_of("net.skip_at: {per_level: {choice: [Concat, Drop]}, from: 1}", {"net": {"depth": 3}})
    assert space.suggest(picking()[0], resolve).config["net"]["skip_at"] == {1: "Concat", 2: "Concat"}


@pytest.mark.parametrize(
    ("given", "overrides", "levels"),
    [({}, {}, 4), ({"depth": 3}, {}, 3), ({"depth": 3}, {"net.init_args.depth": 1}, 1)],
)
def test_levels_are_counted_by_the_class_the_base_or_an_override(given: Config, overrides: Config, levels: int) -> None:
    base = {"net": {"class_path": "UNet", "init_args": given}}
    space = space_of("net.init_args.skip_at: {per_level: {choice: [Concat]}}", base, overrides=overrides)
    suggestion = space.suggest(picking()[0], lambda config: {"net": {"class_path": "unetsep.model.UNet"}})
    assert len(suggestion.params) == levels


def test_a_choice_per_level_needs_to_know_the_levels() -> None:
    with pytest.raises(InputError, match=r"space: net\.skip_at: per_level needs .* but there is no net\.depth"):
        space_of("net.skip_at: {per_level: {choice: [Concat]}}").suggest(picking()[0], resolve)


def test_a_level_has_a_sub_space_of_its_own() -> None:
    space = space_of(
        "net.block_at: {per_level: {choice: {TFC: {.init_args.layers: {int: [2, 4]}}, ConvBlock: {}}}}",
        {"net": {"depth": 2}},
    )
    suggestion = space.suggest(picking(**{"net.block_at.1": "ConvBlock"})[0], resolve)
    assert suggestion.config["net"]["block_at"] == {
        0: {"class_path": "TFC", "init_args": {"layers": 2}},
        1: "ConvBlock",
    }
    assert list(suggestion.params) == ["net.block_at.0", "net.block_at.0.init_args.layers", "net.block_at.1"]


def test_a_fragment_is_laid_over_the_base_and_under_what_is_searched() -> None:
    fragments = {"deep.yaml": {"net": {"depth": 6}}, "small.yaml": {"net": {"depth": 3, "width": 4}}}
    space = space_of(
        "lr: {choice: [1]}\nbase: {choice: {deep.yaml: {}, small.yaml: {net.width: {int: [7, 8]}}}}",
        {"net": {"depth": 1, "block": "TFC"}},
        fragments=fragments,
    )
    assert space.suggest(picking(base="deep.yaml")[0], resolve).config == {"net": {"depth": 6, "block": "TFC"}, "lr": 1}
    suggestion = space.suggest(picking(base="small.yaml")[0], resolve)
    assert suggestion.config == {"net": {"depth": 3, "block": "TFC", "width": 7}, "lr": 1}
    assert suggestion.params == {"base": "small.yaml", "net.width": 7, "lr": 1}


def test_a_key_with_several_ranges_is_several_names_for_the_sampler() -> None:
    space = space_of(
        "block: {choice: {TFC: {depth: {int: [1, 3]}}, TDF: {depth: {int: [1, 5]}}, Add: {lr: {int: [1, 2]}}}}\n"
    )
    for block in ("TFC", "TDF"):
        pick, asked = picking(block=block)
        assert "depth" in space.suggest(pick, resolve).params
        assert asked == ["block", f"depth [block={block}]"]
    pick, asked = picking(block="Add")
    space.suggest(pick, resolve)
    assert asked == ["block", "lr"]


def test_what_is_overridden_is_not_searched_but_its_sub_space_is() -> None:
    text = "depth: {int: [1, 5]}\nblock: {choice: {ConvBlock: {}, TFC: {.init_args.layers: {int: [2, 4]}}}}"
    space = space_of(text, overrides={"depth": 2, "block": "TFC", "width": 3})
    suggestion = space.suggest(picking()[0], resolve)
    assert suggestion.config == {"depth": 2, "block": {"class_path": "TFC", "init_args": {"layers": 2}}, "width": 3}
    assert suggestion.params == {"block.init_args.layers": 2}


def test_every_branch_and_both_ends_of_every_range_are_visited() -> None:
    space = space_of(
        """
        net.depth: {int: [1, 3]}
        lr: {float: [0.5, 2.0]}
        net.skip: {choice: [Concat, Add, Drop]}
        net.block:
          choice:
            ConvBlock: {}
            TFC: {.init_args.layers: {int: [2, 4]}, .init_args.seed: {choice: {1: {}, 2: {width: {choice: [5, 6, 7]}}}}}
        net.skip_at: {per_level: {choice: [Concat, Multiply, Gate]}}
        """
    )
    seen = set()
    suggestions = list(space.branches(resolve))
    for suggestion in suggestions:
        seen |= set(suggestion.params.items())
    block = "net.block.init_args"
    assert seen >= {("net.depth", 1), ("net.depth", 3), ("lr", 0.5), ("lr", 2.0)}
    assert seen >= {("net.skip", "Concat"), ("net.skip", "Add"), ("net.skip", "Drop")}
    assert seen >= {("net.block", "ConvBlock"), (f"{block}.layers", 2), (f"{block}.layers", 4), (f"{block}.seed", 1)}
    assert seen >= {("width", 5), ("width", 6), ("width", 7)}
    assert seen >= {("net.skip_at.0", "Concat"), ("net.skip_at.0", "Multiply"), ("net.skip_at.0", "Gate")}
    assert len(suggestions) == 5  # ConvBlock once, TFC as often as its four


def test_a_good_space_passes_the_check() -> None:
    space_of("net.depth: {int: [1, 3]}\nnet.block: {choice: [TFC]}", {"lr": 1}).check(resolve)


@pytest.mark.parametrize(
    ("text", "base", "overrides", "message"),
    [
        ("net.dpeth: {int: [1, 3]}", {}, {}, r"^space: net\.dpeth \(1\): net\.dpeth is unknown$"),
        (
            "lr: {float: [1, 2]}\nskip: {choice: {Add: {}, Drop: {.init_args.gain: {int: [1, 2]}}}}",
            {},
            {},
            r"^space: skip\.init_args\.gain \(1\): skip\.init_args\.gain is unknown$",
        ),
        ("depth: {choice: [1, two]}", {}, {}, r"^space: depth \(two\): depth is two"),
        ("depth: {int: [1, 2]}", {"widht": 1}, {}, r"^base: widht is unknown$"),
        ("depth: {int: [1, 2]}", {}, {"net.widht": 1}, r"^overrides: net\.widht \(1\): net\.widht is unknown$"),
        ("lr.x: {int: [1, 2]}", {"lr": 3}, {}, r"there is nothing below 3"),
    ],
)
def test_a_typo_is_refused_at_load_with_the_key_to_blame(
    text: str, base: Config, overrides: Config, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        space_of(text, base, overrides=overrides).check(resolve)


def test_a_key_that_another_key_decides_is_refused_at_load() -> None:
    with pytest.raises(InputError, match=r"space: rate: cannot be searched: it was set to 8000 and became 44100"):
        space_of("rate: {choice: [8000, 44100]}").check(resolve)


def test_classes_may_be_spelled_out_by_the_command_line() -> None:
    def spelled(config: Config) -> Config:
        return {"block": {"class_path": f"unetsep.model.{find(config, 'block')}", "init_args": {}}, "lr": "0.1"}

    space_of("block: {choice: [TFC, TDF]}\nlr: {choice: [0.1]}").check(spelled)


def test_keys_may_be_short_and_an_override_may_spell_them_otherwise() -> None:
    base = {"net": {"class_path": "UNet", "init_args": {"width": 8}}}
    text = "net.depth: {int: [1, 5]}\nnet.skip_at: {per_level: {choice: [Concat, Drop]}}"
    suggestion = space_of(text, base).suggest(picking(depth=2)[0], resolve)
    assert suggestion.config["net"]["init_args"] == {"width": 8, "depth": 2, "skip_at": {0: "Concat", 1: "Concat"}}
    assert list(suggestion.params) == ["net.depth", "net.skip_at.0", "net.skip_at.1"]
    space_of(text, base).check(resolve)
    given = space_of(text, base, overrides={"net.init_args.depth": 1}).suggest(picking(depth=2)[0], resolve)
    assert given.params == {"net.skip_at.0": "Concat"}


def no_drop_at(width: int):
    def build(config: Config) -> None:
        if config.get("block") == "Bad" or (config.get("block") == "TFC" and config["width"] == width):
            raise InputError(f"no network of {config['block']}")

    return build


def test_an_option_with_which_there_is_never_a_network_is_refused() -> None:
    space = space_of("width: {choice: [1, 2]}\nblock: {choice: [ConvBlock, Bad]}", {"depth": 1})
    with pytest.raises(InputError, match=r"space: block \(Bad\): no network of Bad"):
        space.check(resolve, no_drop_at(1))


def test_a_combination_without_a_network_is_left_to_the_trials() -> None:
    space = space_of("width: {choice: [1, 2]}\nblock: {choice: [TFC, ConvBlock]}", {"depth": 1})
    assert space.check(resolve, no_drop_at(1)).config == {"depth": 1, "width": 2, "block": "ConvBlock"}


def test_a_base_without_a_network_is_refused() -> None:
    with pytest.raises(InputError, match=r"base: no network of Bad"):
        space_of("width: {int: [1, 2]}", {"block": "Bad"}).check(resolve, no_drop_at(1))
