import pytest

from unetsep.audio.files import InputError
from unetsep.sweep.fold import MISSING, find, layered, put


def test_an_upper_layer_wins_value_by_value() -> None:
    lower = {"trainer": {"max_epochs": 1, "devices": 1}, "tags": ["a"]}
    assert layered(lower, {"trainer": {"max_epochs": 2}, "tags": ["b"]}) == {
        "trainer": {"max_epochs": 2, "devices": 1},
        "tags": ["b"],
    }
    assert lower["trainer"]["max_epochs"] == 1


def test_layers_share_nothing_with_what_they_were_made_of() -> None:
    lower, upper = {"a": {"x": 1}}, {"b": {"y": 2}}
    both = layered(lower, upper)
    both["a"]["x"] = both["b"]["y"] = 3
    assert (lower, upper) == ({"a": {"x": 1}}, {"b": {"y": 2}})


def test_a_class_that_changes_loses_the_old_arguments() -> None:
    lower = {"net": {"class_path": "UNet", "init_args": {"width": 8}}}
    assert layered(lower, {"net": {"class_path": "DeepUNet"}}) == {"net": {"class_path": "DeepUNet"}}
    assert layered(lower, {"net": {"class_path": "unetsep.model.UNet", "init_args": {"depth": 2}}})["net"] == {
        "class_path": "unetsep.model.UNet",
        "init_args": {"width": 8, "depth": 2},
    }
    assert layered(lower, {"net": "DeepUNet"}) == {"net": "DeepUNet"}
    assert layered(lower, {"net": "UNet"})["net"]["init_args"] == {"width": 8}


def test_arguments_are_layered_over_a_bare_class_name() -> None:
    assert layered({"net": "UNet"}, {"net": {"init_args": {"width": 8}}}) == {
        "net": {"class_path": "UNet", "init_args": {"width": 8}}
    }


def test_a_dotted_key_makes_the_mappings_on_its_way() -> None:
    config: dict = {}
    put(config, "a.b.c", 1)
    put(config, "a.b.d", 2)
    assert config == {"a": {"b": {"c": 1, "d": 2}}}


def test_a_number_in_a_key_is_a_level_or_an_index() -> None:
    config: dict = {"callbacks": [{"every": 1}]}
    put(config, "skip_at.0", "Drop")
    put(config, "callbacks.0.every", 2)
    assert config == {"callbacks": [{"every": 2}], "skip_at": {0: "Drop"}}


def test_an_argument_of_a_bare_class_name_makes_it_a_class_with_arguments() -> None:
    config: dict = {"block": "TFC"}
    put(config, "block.init_args.layers", 3)
    assert config == {"block": {"class_path": "TFC", "init_args": {"layers": 3}}}


def test_a_class_name_keeps_only_its_own_arguments() -> None:
    config: dict = {"block": {"class_path": "TFC", "init_args": {"layers": 3}}}
    put(config, "block", "TFC")
    assert config["block"]["init_args"] == {"layers": 3}
    put(config, "block", "TDF")
    assert config["block"] == "TDF"


def test_what_is_put_in_is_not_shared_with_the_giver() -> None:
    strides = [2, 2]
    config: dict = {}
    put(config, "stride", strides)
    strides[0] = 1
    assert config["stride"] == [2, 2]


def test_a_key_through_a_plain_value_is_refused() -> None:
    with pytest.raises(InputError, match=r"a\.b\.c: there is nothing below 3, so 'c' cannot be set"):
        put({"a": {"b": 3}}, "a.b.c", 1)
    with pytest.raises(InputError, match=r"a\.2: 2 is no index of a list of 1"):
        put({"a": [0]}, "a.2", 1)


def test_what_lies_at_a_dotted_key_is_found() -> None:
    config = {"a": {"b": [{"c": 1}], 0: "level", "1": "text"}}
    assert find(config, "a.b.0.c") == 1
    assert find(config, "a.0") == "level"
    assert find(config, "a.1") == "text"
    assert find(config, "a.b.1") is MISSING
    assert find(config, "a.x.y") is MISSING


def test_short_keys_lead_through_the_arguments_of_a_class() -> None:
    config: dict = {
        "net": {"class_path": "UNet", "init_args": {"depth": 3, "block": "TFC"}},
        "loss": {"class_path": "L1"},
    }
    put(config, "net.depth", 2)
    put(config, "net.block.layers", 4)
    put(config, "loss.of", "waveform")
    assert config == {
        "net": {
            "class_path": "UNet",
            "init_args": {"depth": 2, "block": {"class_path": "TFC", "init_args": {"layers": 4}}},
        },
        "loss": {"class_path": "L1", "init_args": {"of": "waveform"}},
    }
    assert find(config, "net.block.layers") == find(config, "net.init_args.block.init_args.layers") == 4
    assert find(config, "net.class_path") == "UNet"
    assert find(config, "net.width") is MISSING
