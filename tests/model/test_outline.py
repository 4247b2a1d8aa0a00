import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from unetsep.model import UNet
from unetsep.model.blocks import ConvBlock, DepthwiseBlock, ResidualBlock
from unetsep.model.drawing import in_words
from unetsep.model.outline import draw, outline, read_outline, write_outline
from unetsep.model.references import DeepUNet, SpectrogramChannels, TFCTDFUNet
from unetsep.model.skips import Add, Drop

SVG = "{http://www.w3.org/2000/svg}"


def built(network: type[UNet] = UNet, *, freqs: int = 512, **settings: object) -> UNet:
    with torch.device("meta"):
        return network(2, 8, freqs, **settings)


def words_in(svg: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def bars_in(svg: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(f"{SVG}rect"))


def test_an_outline_tells_each_level_as_it_was_built_and_the_bottleneck_last() -> None:
    unet = built(
        depth=2,
        width=8,
        subbands=2,
        block=ResidualBlock,
        bottleneck=DepthwiseBlock,
        skip_at={0: Drop, 1: Add},
        block_at={1: ConvBlock},
        stride_at={1: (2, 1)},
    )
    rows = outline(unet)
    sizes = [(row["level"], row["channels"], row["freqs"], row["stride"]) for row in rows]
    assert sizes == [(0, 8, 256, [2, 2]), (1, 16, 128, [2, 1]), (2, 32, 64, [])]
    assert [(row["encoder"], row["decoder"], row["skip"]) for row in rows] == [
        ("ResidualBlock", "ResidualBlock", "Drop"),
        ("ConvBlock", "ConvBlock", "Add"),
        ("DepthwiseBlock", "", ""),
    ]
    assert [(row["entry"], row["subbands"]) for row in rows] == [("block", 2), ("", 1), ("", 1)]


def test_full_resolution_without_blocks_is_a_level_without_a_skip() -> None:
    rows = outline(built(DeepUNet, depth=2))
    assert [row["freqs"] for row in rows] == [512, 256, 128]
    assert [row["skip"] for row in rows] == ["", "Concat", ""]
    assert rows[0]["encoder"] == ""
    assert rows[0]["channels"] == 2


@pytest.mark.parametrize("network", [UNet, DeepUNet, SpectrogramChannels, TFCTDFUNet])
@pytest.mark.parametrize("depth", [1, 3, 7])
def test_every_network_is_drawn_with_two_bars_a_level_within_the_picture(network: type[UNet], depth: int) -> None:
    svg = built(network, freqs=1024, depth=depth)._repr_svg_()
    root = ElementTree.fromstring(svg)
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    bars = bars_in(svg)
    assert len(bars) == 2 * depth + 1
    for bar in bars:
        assert float(bar.attrib["x"]) >= 0
        assert float(bar.attrib["x"]) + float(bar.attrib["width"]) <= width
        assert float(bar.attrib["y"]) + float(bar.attrib["height"]) <= height
    skips = depth - 1 if network is DeepUNet else depth
    assert words_in(svg).count("Concat") == skips


def test_bars_are_lower_where_there_are_fewer_bins_and_wider_where_there_are_more_channels() -> None:
    bars = bars_in(built(depth=3, width=8)._repr_svg_())
    left = bars[0::2]
    heights = [float(bar.attrib["height"]) for bar in left]
    widths = [float(bar.attrib["width"]) for bar in left]
    assert heights == sorted(set(heights), reverse=True)
    assert widths == sorted(set(widths))


def test_a_dropped_skip_is_drawn_as_none() -> None:
    svg = built(depth=2, skip_at={0: Drop})._repr_svg_()
    assert sorted(word for word in words_in(svg) if word in ("Concat", "no skip", "Drop")) == ["Concat", "no skip"]
    dashed = [path for path in ElementTree.fromstring(svg).iter(f"{SVG}path") if "stroke-dasharray" in path.attrib]
    assert len(dashed) == 1


def test_the_drawing_says_in_words_what_it_shows() -> None:
    unet = built(depth=1, width=8, subbands=2, bottleneck=DepthwiseBlock, decoder=ResidualBlock)
    root = ElementTree.fromstring(unet._repr_svg_())
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == (
        "A U-Net of depth 1. 2 subbands. Level 0: 8 channels, 256 bins, ConvBlock and ResidualBlock, Concat skip. "
        "Bottleneck: 16 channels, 128 bins, DepthwiseBlock."
    )
    assert "Level 0: 8 channels, 512 bins, ConvBlock, no skip." in in_words(
        outline(built(depth=1, width=8, skip_at={0: Drop}))
    )


def test_a_notebook_shows_a_network_as_the_drawing() -> None:
    unet = built(DeepUNet, depth=2)
    assert draw(outline(unet)) == unet._repr_svg_() == unet._repr_html_()


def test_strides_are_told_where_they_are_not_two_by_two() -> None:
    told = words_in(built(depth=3, stride_at={1: (2, 1), 2: (1, 4)})._repr_svg_())
    assert [word for word in told if "÷" in word] == ["freq ÷2", "time ÷4"]


def test_names_are_shown_as_text_whatever_they_are() -> None:
    rows = outline(built(depth=1))
    rows[0] |= {"skip": "<b>&", "encoder": "\"'><script>"}
    svg = draw(rows)
    assert "<script" not in svg
    assert "<b>&" in words_in(svg)


def test_an_outline_survives_its_file(tmp_path: Path) -> None:
    rows = outline(built(depth=2))
    write_outline(tmp_path, rows)
    assert read_outline(tmp_path) == rows


@pytest.mark.parametrize("content", ["", "{}", "[]", "[1, 2]", '[{"level": 0}, {"level": 1}]'])
def test_a_file_that_is_no_outline_is_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "unet.json").write_text(content)
    assert read_outline(tmp_path) is None


@pytest.mark.parametrize(
    "wrong", [{"freqs": 0}, {"channels": "16"}, {"stride": [2]}, {"stride": []}, {"stride": [2, 0]}, {"skip": None}]
)
def test_a_row_that_could_not_be_drawn_is_no_outline(tmp_path: Path, wrong: dict[str, object]) -> None:
    rows = outline(built(depth=1))
    (tmp_path / "unet.json").write_text(json.dumps([rows[0] | wrong, rows[1]]))
    assert read_outline(tmp_path) is None


def test_a_folder_without_the_file_has_no_outline(tmp_path: Path) -> None:
    assert read_outline(tmp_path) is None
