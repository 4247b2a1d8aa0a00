import pytest

from unetsep.audio.files import InputError
from unetsep.sweep.document import parse_yaml
from unetsep.sweep.domain import Choice, Fixed, Option, PerLevel, Range, chosen, read_domain, read_space, values_of


def space_of(text: str):
    return read_space(parse_yaml(text, "here"))


def test_ranges_are_read_with_their_ends_steps_and_scale() -> None:
    space = space_of(
        "a.depth: {int: [1, 5]}\na.width: {int: [8, 32], step: 8}\na.lr: {float: [1e-4, 1e-2], log: true}\n"
    )
    assert space["a.depth"] == Range(1, 5, integer=True)
    assert space["a.width"] == Range(8, 32, step=8, integer=True)
    assert space["a.lr"] == Range(1e-4, 1e-2, log=True)


def test_choices_take_plain_values_lists_and_mappings() -> None:
    choice = space_of("stride: {choice: [[2, 2], [1, 2], null, {0: Drop}, no, 0.5]}")["stride"]
    assert isinstance(choice, Choice)
    assert [option.name for option in choice.options] == ["[2, 2]", "[1, 2]", None, "{0: Drop}", "no", 0.5]
    assert [option.value for option in choice.options] == [[2, 2], [1, 2], None, {0: "Drop"}, "no", 0.5]


def test_choices_take_spaces_of_their_own() -> None:
    block = space_of("net.block: {choice: {ConvBlock: {}, TFC: {.init_args.layers: {int: [2, 4]}}, TDF: }}")[
        "net.block"
    ]
    assert isinstance(block, Choice)
    assert [option.space for option in block.options] == [{}, {".init_args.layers": Range(2, 4, integer=True)}, {}]


def test_a_key_may_stand_for_a_choice_per_level_or_a_fixed_value() -> None:
    space = space_of("net.skip_at: {per_level: {choice: [Concat, Drop]}, from: 1}\nnet.hop: {value: 256}")
    assert isinstance(space["net.skip_at"], PerLevel)
    assert space["net.skip_at"].first == 1
    assert space["net.hop"] == Fixed(256)


def test_the_choice_of_a_fragment_comes_first() -> None:
    assert list(space_of("depth: {int: [1, 2]}\nbase: {choice: [a.yaml, b.yaml]}")) == ["base", "depth"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("depth: [1, 5]", r"space: depth: \[1, 5\] describes no range; write"),
        ("depth: {integer: [1, 5]}", r"space: depth: \{integer: \[1, 5\]\} describes no range"),
        ("depth: {int: [5, 1]}", r"depth: the range from 5 to 1 is empty"),
        ("depth: {int: [1, 2.5]}", r"must be two numbers, \[lowest, highest\], whole ones"),
        ("depth: {int: [1, true]}", r"must be two numbers"),
        ("depth: {int: [1, 5], step: 0}", r"step is 0, but must be a number above 0, a whole one"),
        ("lr: {float: [1, .inf]}", r"empty or endless"),
        ("lr: {float: [0, 1], log: true}", r"the lowest value must be above 0 \(it is 0\)"),
        ("lr: {float: [0.1, 1], log: yes}", r"log is .?yes.?, but must be true or false"),
        ("lr: {float: [0, 1], steps: 2}", r"lr: steps cannot stand beside float"),
        ("lr: {float: [0, 1], choice: [1]}", r"describes no range"),
        ("skip: {choice: []}", r"skip: choice is \[\], but must be a list"),
        ("skip: {choice: [Add, Add]}", r"the choice Add stands twice"),
        ("flag: {choice: [true, 1]}", r"the choice 1 stands twice, or equals another one"),
        ("skip: {choice: {Add: [1]}}", r"skip: holds \[1\], but must map dotted config keys to ranges"),
        ("skip: {choice: {Add: {.gain: {int: 3}}}}", r"skip: .gain: 3 must be two numbers"),
        (".depth: {int: [1, 5]}", r"only below a choice of a config key may a key start with a dot"),
        ("a..b: {int: [1, 5]}", r"a..b: is no dotted config key"),
        ("base: {choice: [1, 2]}", r"base: its choices must be paths"),
        ("skip_at: {per_level: {per_level: {choice: [Add]}}}", r"skip_at: per_level: per_level cannot stand here"),
        ("skip_at: {per_level: {choice: [Add]}, from: -1}", r"skip_at: from is -1, but must be the number of a level"),
        ("skip_at: {per_level: {value: 1}}", r"per_level needs a range or a choice"),
        ("at: {per_level: {choice: {TFC: {other.key: {int: [1, 2]}}}}}", r"sub-spaces need keys that start with a dot"),
        ("[1, 2]", r"space: holds \[1, 2\], but must map"),
    ],
)
def test_what_is_not_in_the_grammar_is_refused_with_its_key(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        space_of(text)


@pytest.mark.parametrize(
    ("text", "value", "found"),
    [
        ("{int: [1, 5]}", 3, 3),
        ("{int: [1, 5]}", 3.0, 3),
        ("{int: [1, 5]}", 3.5, None),
        ("{int: [1, 5]}", 6, None),
        ("{int: [1, 5]}", True, None),
        ("{int: [1, 7], step: 3}", 4, 4),
        ("{int: [1, 7], step: 3}", 5, None),
        ("{float: [0, 1], step: 0.1}", 0.30000000000000004, 0.3),
        ("{float: [1, 2]}", 2, 2.0),
        ("{float: [1, 2]}", "2", None),
        ("{choice: [a, 1, null]}", None, None),
        ("{choice: [a, 1]}", True, None),
        ("{choice: [a, 1]}", "b", None),
    ],
)
def test_what_a_value_stands_for_in_a_domain(text: str, value: object, found: object) -> None:
    domain = read_domain(parse_yaml(text, "here"), "key", "space: key")
    assert isinstance(domain, Range | Choice)
    chosen_one = chosen(domain, value)
    if isinstance(chosen_one, Option):
        chosen_one = chosen_one.value
    assert chosen_one == (pytest.approx(found) if isinstance(found, float) else found)


def test_an_option_is_known_by_its_value_and_by_its_name_in_the_study() -> None:
    domain = read_domain(parse_yaml("{choice: [[2, 1], {k: 3}, TFC]}", "here"), "key", "space: key")
    assert isinstance(domain, Choice)
    for value in ([2, 1], "[2, 1]", {"k": 3}, "{k: 3}", "TFC"):
        found = chosen(domain, value)
        assert isinstance(found, Option)
        assert value in (found.value, found.name)


def test_a_domain_with_an_end_lists_its_values() -> None:
    values = [
        values_of(domain)
        for domain in read_space(
            parse_yaml("{a: {int: [1, 6], step: 2}, b: {float: [0, 1], step: 0.5}, c: {choice: [x, [1]]}}", "here")
        ).values()
        if isinstance(domain, Range | Choice)
    ]
    assert values == [[1, 3, 5], [0.0, 0.5, 1.0], ["x", [1]]]
    assert values_of(Range(0.0, 1.0)) is None
    assert values_of(Range(1.0, 1.0)) == [1.0]
