import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest

from unetsep.audio.files import InputError, write_audio
from unetsep.model import UNet
from unetsep.model.outline import outline, write_outline
from unetsep.report import main, read_run, read_runs, write_report

from .sweep_folder import write_sweep, write_trial

TRACK = "Señor #1 & <co>"


class Page(HTMLParser):
    """The addresses, the ids and the text of a page, and whether its tags match."""

    VOID = ("meta", "img", "link", "input", "hr", "br")

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == [], f"unclosed: {self.open}"

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values[name] for name in ("src", "href") if values.get(name) is not None]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def add_sounds(trial: Path) -> None:
    time = np.arange(8000) / 8000
    for number, name in enumerate(("mixture", "vocals_reference", "vocals_estimate", "drums_estimate")):
        write_audio(
            trial / "audio" / f"{TRACK}_{name}.flac", np.sin(2 * np.pi * 220 * (number + 1) * time)[None] / 4, 8000
        )


def read(page: Path) -> Page:
    return Page(page.read_text(encoding="utf-8"))


def data_of(page: Path):
    """What the page's scripts are given."""
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


def links_in(value) -> list[str]:
    """The addresses of files anywhere in the scripts' data."""
    if isinstance(value, dict):
        return [link for each in value.values() for link in links_in(each)]
    if isinstance(value, list):
        return [link for each in value for link in links_in(each)]
    return [value] if isinstance(value, str) and re.fullmatch(r"[^\s<>]+\.(flac|webp|png|yaml)", value) else []


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u2011", "-")


def test_the_report_lies_in_the_sweeps_folder_with_its_tables_and_the_fronts_picture(sweep):
    page = write_report(read_run(sweep))
    assert page == sweep / "report" / "index.html"
    assert sorted(file.name for file in page.parent.iterdir()) == [
        "front.svg",
        "index.html",
        "pareto.csv",
        "trials.csv",
    ]
    assert len((page.parent / "trials.csv").read_text().splitlines()) == 8
    assert [line.split(",")[0] for line in (page.parent / "pareto.csv").read_text().splitlines()[1:]] == ["0", "2", "3"]
    assert "floor 2.00 dB" in (page.parent / "front.svg").read_text(encoding="utf-8")


def test_the_page_opens_with_the_question_and_the_answer(sweep):
    text = plain(read(write_report(read_run(sweep))).text)
    assert "How shallow can a U-Net be and still separate?" in text
    assert (
        "So far, trial 0 is best: usdr 5.00 dB, 3.00 dB above the floor of 2.00 dB, at 1 GMAC/s with depth 1." in text
    )
    assert "7 trials: 4 complete, 1 refused, 1 failed, 1 unfinished" in text


def test_nothing_on_the_page_is_fetched_from_elsewhere(sweep):
    add_sounds(sweep / "trials/0000")
    page = write_report(read_run(sweep))
    links = read(page).links + links_in(data_of(page))
    assert links
    assert all(not link.startswith(("http", "/")) for link in links)


def test_every_link_on_the_page_leads_somewhere(sweep):
    add_sounds(sweep / "trials/0000")
    (sweep / "trials/0000/config.yaml").write_text("a: 1")
    page = write_report(read_run(sweep))
    content = read(page)
    for link in content.links + links_in(data_of(page)):
        if link.startswith("#"):
            assert link[1:] in content.ids
        elif not link.startswith("data:"):
            assert (page.parent / unquote(link)).is_file(), link
    assert len({link for link in links_in(data_of(page)) if link.endswith(".flac")}) == 4
    assert len(content.ids) == len(set(content.ids))


def test_the_front_and_as_many_of_the_best_as_asked_for_are_heard(sweep):
    for number in range(4):
        add_sounds(sweep / f"trials/{number:04d}")
    run = read_run(sweep)  # ranked 0, 2, 1, 3; 1 is not on the front
    heard = {n: set(data_of(write_report(run, heard=n))["listening"]["excerpts"][0]["trials"]) for n in (0, 2, 3)}
    assert heard == {0: {"0", "2", "3"}, 2: {"0", "2", "3"}, 3: {"0", "1", "2", "3"}}


def test_a_report_elsewhere_takes_its_sounds_pictures_and_configs_along(sweep, tmp_path):
    add_sounds(sweep / "trials/0000")
    (sweep / "trials/0000/config.yaml").write_text("a: 1")
    page = write_report(read_run(sweep), tmp_path / "elsewhere")
    links = links_in(data_of(page))
    assert {link.split("/")[0] for link in links} == {"media", "configs"}
    assert all((page.parent / unquote(link)).is_file() for link in links)


def test_text_from_files_is_text_on_the_page_and_no_markup(tmp_path):
    folder = write_sweep(tmp_path / "s", question="<script>alert(1)</script>?")
    add_sounds(write_trial(folder, 0, usdr=3.0, gmacs=0.1, params={"a.b": "</script><img src=x onerror=alert(2)>"}))
    write_trial(folder, 1, state="failed", reason="<b>bold</b>")
    page = write_report(read_run(folder))
    content = read(page)
    assert content.tags.count("script") == 3  # the data, Vega, the page's own
    assert "b" not in content.tags
    assert "<script>alert(1)</script>?" in content.text
    assert "<b>bold</b>" in content.text
    assert [link for link in content.links if link == "x"] == []
    assert data_of(page)["trials"]["0"]["choices"] == [["b", "</script><img src=x onerror=alert(2)>"]]


def test_trials_without_a_score_are_listed_with_their_reasons(sweep):
    text = read(write_report(read_run(sweep))).text
    assert "gmacs_per_second is 3.2, over the budget of 2" in text
    assert "the loss is NaN in <epoch 2>, tracks: [red]A & B[/red]" in text
    assert "logged up to epoch 3" in text


def test_a_trial_says_how_to_train_and_use_it_once_the_files_are_there(sweep):
    assert data_of(write_report(read_run(sweep)))["trials"]["2"]["commands"] == []
    (sweep / "pareto").mkdir()
    (sweep / "pareto/0002.yaml").write_text("")
    (sweep / "trials/0002/checkpoints").mkdir()
    (sweep / "trials/0002/checkpoints/best.ckpt").write_bytes(b"")
    assert data_of(write_report(read_run(sweep)))["trials"]["2"]["commands"] == [
        ["Train it anew", f"unetsep fit --config {sweep / 'pareto/0002.yaml'} --out runs/{sweep.name}-0002"],
        ["Use it", f"unetsep separate {sweep / 'trials/0002'} song.wav --out stems"],
    ]


def test_a_second_report_replaces_the_first(sweep):
    write_report(read_run(sweep))
    write_trial(sweep, 7, usdr=9.0, gmacs=0.01)
    text = read(write_report(read_run(sweep))).text
    assert "trial 7 is best" in plain(text)
    assert len(list((sweep / "report").iterdir())) == 4


def test_a_sweep_without_floor_cost_or_stems_has_a_page_too(tmp_path):
    folder = write_sweep(tmp_path / "s", floor=None, objectives={"val/loss": "minimize"})
    write_trial(folder, 0, scores={"val/loss": 0.25}, params={})
    page = write_report(read_run(folder))
    assert "Trial 0 is best: loss 0.25." in plain(read(page).text)
    assert not (page.parent / "front.svg").exists()


def test_several_sweeps_are_one_page_whose_trials_bear_the_names_of_their_sweeps(sweep, tmp_path):
    other = write_sweep(tmp_path / "skips", question="Which skip?")
    write_trial(other, 0, usdr=6.0, gmacs=2.0)
    page = write_report(read_runs([sweep, other]), tmp_path / "both")
    text = plain(read(page).text)
    assert "How shallow can a U-Net be and still separate? Which skip?" in text
    assert "So far, trial skips-0 is best: usdr 6.00 dB" in text
    assert set(data_of(page)["trials"]) == {"skips-0", "shallow-0", "shallow-1", "shallow-2", "shallow-3"}


def test_the_verb_writes_the_report_and_prints_leaderboard_and_path(sweep, capsys):
    assert main([str(sweep)]) == 0
    printed = capsys.readouterr().out
    assert "●" in printed
    assert printed.endswith(f"report: {sweep / 'report' / 'index.html'}\n")


def test_the_verb_writes_elsewhere_when_told(sweep, tmp_path):
    main([str(sweep), "--out", str(tmp_path / "elsewhere")])
    assert (tmp_path / "elsewhere" / "index.html").is_file()
    assert not (sweep / "report").exists()


def test_a_report_in_place_of_a_file_is_refused(sweep, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="it is a file; give a folder"):
        write_report(read_run(sweep), tmp_path / "taken")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "needs a sweep's folder"),
        (["{0}", "{0}"], "needs a folder of its own: add --out"),
        (["{0}", "--listen", "-1"], "--listen is -1"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_line(sweep, args, message):
    with pytest.raises(InputError, match=message):
        main([arg.format(sweep) for arg in args])


def test_the_pictures_for_slides_are_whole_and_go_when_there_is_nothing_to_draw(sweep):
    rows = outline(UNet(2, 8, 65, depth=2, width=4))
    write_outline(sweep / "trials/0000", rows)
    page = write_report(read_run(sweep))
    for name, words in (("front.svg", "floor 2.00 dB"), ("best.svg", "A U-Net of depth 2")):
        tree = ElementTree.parse(page.parent / name)
        assert tree.getroot().tag.endswith("svg")
        assert words in (page.parent / name).read_text(encoding="utf-8")
    (sweep / "trials/0000/unet.json").write_text("[" * 100_000)
    write_report(read_run(sweep))
    assert not (page.parent / "best.svg").exists()


def test_what_several_sweeps_differ_in_is_said(sweep, tmp_path):
    other = write_sweep(tmp_path / "skips", floor=1.0, rungs={"unit": "epochs", "first": 1, "eta": 3, "last": 9})
    write_trial(other, 0, usdr=6.0, gmacs=2.0, rungs=[{"val/usdr": 6.0}])
    text = plain(read(write_report(read_runs([sweep, other]), tmp_path / "both")).text)
    assert "The sweeps differ in the floor of their tracks" in text
    assert "other lengths of training" in text


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("floor.json", '{"usdr": 2.'),
        ("floor.json", '["usdr"]'),
        ("trials/0001/result.json", '{"state": "complete", "params": "none", "scores": []}'),
        ("trials/0001/result.json", '{"state": "complete", "scores": [1, 2]}'),
        ("trials/0001/unet.json", "[" * 100_000),
        ("trials/0001/metrics.jsonl", '{"epoch": null, "val/usdr": 3.0}'),
        ("trials/1\u00b2/result.json", "{}"),
    ],
)
def test_one_damaged_file_costs_no_more_than_what_it_held(sweep, file, content):
    (sweep / file).parent.mkdir(exist_ok=True)
    (sweep / file).write_text(content)
    page = write_report(read_run(sweep))
    assert {"0", "2", "3"} <= set(data_of(page)["trials"])


def test_a_question_that_nobody_asked_is_replaced_by_the_sweeps_own(tmp_path):
    folder = write_sweep(tmp_path / "s", question=None)
    write_trial(folder, 0, usdr=3.0, gmacs=0.1)
    assert "Which configuration is worth its cost?" in plain(read(write_report(read_run(folder))).text)


def test_scores_over_seeds_say_whose_sounds_are_heard(sweep):
    assert "those of the first one" not in read(write_report(read_run(sweep))).text
    write_trial(sweep, 8, usdr=4.0, gmacs=1.0, spread={"val/usdr": 0.1})
    assert "sounds, curves and checkpoints are those of the first one" in read(write_report(read_run(sweep))).text


def test_a_config_that_is_a_link_is_not_taken_along(sweep, tmp_path):
    (tmp_path / "secret").write_text("password")
    (sweep / "trials/0000/config.yaml").symlink_to(tmp_path / "secret")
    page = write_report(read_run(sweep), tmp_path / "elsewhere")
    assert data_of(page)["trials"]["0"]["config"] == ""
    assert not (page.parent / "configs").exists()
