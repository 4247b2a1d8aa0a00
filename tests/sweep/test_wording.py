import pytest

from unetsep.sweep.wording import short_names, show_choice


def test_short_names_grow_until_they_differ():
    net = "model.separator.init_args.net.init_args"
    names = short_names(
        [f"{net}.depth", f"{net}.skip_at.0", f"{net}.block.init_args.layers", f"{net}.bottleneck.init_args.layers"]
    )
    assert list(names.values()) == ["depth", "skip_at.0", "block.layers", "bottleneck.layers"]


def test_short_names_of_a_key_and_its_class_path_stay_apart():
    assert len(set(short_names(["a.block", "b.block", "block"]).values())) == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("unetsep.model.TFC", "TFC"),
        ({"class_path": "unetsep.model.TFC", "init_args": {"layers": 3}}, "TFC(layers=3)"),
        (0.0012345, "0.00123"),
        ([2, 1], "2 x 1"),
        ("base/tfc_tdf.yaml", "tfc_tdf"),
        ("small.yaml", "small"),
        (True, "true"),
        (None, "null"),
    ],
)
def test_a_choice_is_shown_by_its_bare_name(value, text):
    assert show_choice(value) == text


def test_short_names_tell_keys_apart() -> None:
    keys = ["a.b.init_args.layers", "a.c.init_args.layers", "a.b.init_args.skip_at.0", "a.lr", "base"]
    assert list(short_names(keys).values()) == ["b.layers", "c.layers", "skip_at.0", "lr", "base"]
