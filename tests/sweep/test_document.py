import pytest

from unetsep.audio.files import InputError
from unetsep.sweep.document import label, parse_yaml, read_yaml, write_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("-2.5E+3", -2500.0),
        ("1.0e-04", 1e-4),
        (".5", 0.5),
        ("12", 12),
        ("no", "no"),
        ("off", "off"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("007", "007"),
        ("e4", "e4"),
        ("-", "-"),
        ("true", True),
        ("null", None),
        ("~", None),
    ],
)
def test_plain_words_are_read_as_yaml_1_2_does(text: str, value: object) -> None:
    read = parse_yaml(f"key: {text}" if text != "-" else 'key: "-"', "here")["key"]
    assert read == value
    assert type(read) is type(value)


def test_merge_keys_and_anchors_work() -> None:
    assert parse_yaml("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n", "here")["b"] == {"x": 1, "y": 3}


def test_a_key_that_stands_twice_is_refused_with_its_lines() -> None:
    with pytest.raises(InputError, match=r"here, line 3: the key lr stands twice, first in line 1"):
        parse_yaml("lr: 1\nwidth: 2\nlr: 3\n", "here")


def test_broken_yaml_is_refused_with_its_line(tmp_path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("a: 1\nb: [1, 2\nc: 3\n")
    with pytest.raises(InputError, match=r"broken.yaml, line 3: "):
        read_yaml(path)


@pytest.mark.parametrize(("content", "said"), [("", "nothing"), ("[1, 2]", "a list"), ("word", "a str")])
def test_a_file_without_a_mapping_is_refused(tmp_path, content: str, said: str) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=f"holds {said}, but must hold a mapping"):
        read_yaml(path)


def test_a_missing_file_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"none.yaml cannot be read: No such file"):
        read_yaml(tmp_path / "none.yaml")


def test_what_is_written_is_read_back(tmp_path) -> None:
    content = {
        "lr": 1e-4,
        "word": "no",
        "text": "a: b",
        "levels": {0: "Drop"},
        "number": "1e-4",
        "flag": True,
        "empty": None,
    }
    write_yaml(tmp_path / "file.yaml", content)
    assert read_yaml(tmp_path / "file.yaml") == content


def test_a_value_is_labelled_in_one_line() -> None:
    assert label([2, 1]) == "[2, 1]"
    assert label({0: "Drop"}) == "{0: Drop}"
    assert label("word") == "word"
    assert label(None) == "null"
    assert "\n" not in label({"key": ["a" * 100] * 5})
