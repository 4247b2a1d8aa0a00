from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from unetsep.audio.files import InputError, write_audio
from unetsep.report import main, write_report

from .sweep_folder import write_sweep, write_trial

TRACK = "Señor #1 & <co>"


class Page(HTMLParser):
    """The addresses, the ids and the text of a page, and whether its tags match."""

    VOID = ("meta", "img")

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


def add_media(trial: Path) -> None:
    sound = np.zeros((1, 80), dtype=np.float32)
    for name in ("mixture", "vocals_reference", "vocals_estimate", "drums_estimate"):
        write_audio(trial / "audio" / f"{TRACK}_{name}.flac", sound, 8000)
    (trial / "pictures").mkdir()
    (trial / "pictures" / f"{TRACK}_segmentation.png").write_bytes(b"picture")


def read(page: Path) -> Page:
    return Page(page.read_text(encoding="utf-8"))


def test_the_report_lies_in_the_sweeps_folder_with_its_tables(sweep):
    page = write_report(sweep)
    assert page == sweep / "report" / "index.html"
    assert sorted(file.name for file in page.parent.iterdir()) == ["index.html", "pareto.csv", "trials.csv"]
    assert len((page.parent / "trials.csv").read_text().splitlines()) == 8
    assert [line.split(",")[0] for line in (page.parent / "pareto.csv").read_text().splitlines()[1:]] == ["0", "2", "3"]


def test_the_page_opens_with_the_question_and_the_answer(sweep):
    text = read(write_report(sweep)).text.replace("\u00a0", " ").replace("\u2011", "-")
    assert "How shallow can a U-Net be and still separate?" in text
    assert (
        "So far, trial 0 is best: usdr 5.00 dB, 3.00 dB above the floor of 2.00 dB, at 1 GMAC/s with depth 1." in text
    )
    assert "7 trials: 4 complete, 1 refused, 1 failed, 1 unfinished" in text
    assert "floor 2.00 dB" in text


def test_the_page_needs_no_network(sweep):
    add_media(sweep / "trials/0000")
    page = write_report(sweep)
    assert "//" not in page.read_text(encoding="utf-8").replace("// ", "")
    assert all(not link.startswith(("http", "/", "data:")) for link in read(page).links)


def test_every_link_on_the_page_leads_somewhere(sweep):
    add_media(sweep / "trials/0000")
    page = write_report(sweep)
    content = read(page)
    for link in content.links:
        if link.startswith("#"):
            assert link[1:] in content.ids
        else:
            assert (page.parent / unquote(link)).is_file(), link
    assert len([link for link in content.links if unquote(link).endswith(".flac")]) == 4
    assert len(content.ids) == len(set(content.ids))


def test_only_trials_on_the_front_are_heard(sweep):
    add_media(sweep / "trials/0001")
    add_media(sweep / "trials/0002")
    assert {link.split("/")[2] for link in read(write_report(sweep)).links if "audio" in link} == {"0002"}


def test_a_report_elsewhere_takes_its_sounds_and_pictures_along(sweep, tmp_path):
    add_media(sweep / "trials/0000")
    page = write_report(sweep, tmp_path / "elsewhere")
    media = [link for link in read(page).links if "0000" in link]
    assert len(media) == 6  # mixture, three stems, and the picture twice: shown, and linked
    assert all(link.startswith("media/") and (page.parent / unquote(link)).is_file() for link in media)


def test_text_from_files_is_text_on_the_page_and_no_markup(tmp_path):
    folder = write_sweep(tmp_path / "s", question="<script>alert(1)</script>?")
    add_media(write_trial(folder, 0, usdr=3.0, gmacs=0.1, params={"a.b": "<img src=x onerror=alert(2)>"}))
    write_trial(folder, 1, state="failed", reason="<b>bold</b>")
    page = write_report(folder)
    content = read(page)
    assert content.tags.count("script") == 1
    assert "b" not in content.tags[: content.tags.index("details")]
    assert "<script>alert(1)</script>?" in content.text
    assert "<b>bold</b>" in content.text
    assert TRACK in content.text
    assert [link for link in content.links if link == "x"] == []


def test_trials_without_a_score_are_listed_with_their_reasons(sweep):
    text = read(write_report(sweep)).text
    assert "gmacs_per_second is 3.2, over the budget of 2" in text
    assert "the loss is NaN in <epoch 2>, tracks: [red]A & B[/red]" in text
    assert "logged up to epoch 3" in text


def test_a_trial_says_how_to_train_and_use_it_once_the_files_are_there(sweep):
    assert "unetsep fit" not in read(write_report(sweep)).text
    (sweep / "pareto").mkdir()
    (sweep / "pareto/0002.yaml").write_text("")
    (sweep / "trials/0002/checkpoints").mkdir()
    (sweep / "trials/0002/checkpoints/best.ckpt").write_bytes(b"")
    text = read(write_report(sweep)).text
    assert f"Train it anew: unetsep fit --config {sweep / 'pareto/0002.yaml'} --out runs/{sweep.name}-0002" in text
    assert f"Use it: unetsep separate {sweep / 'trials/0002'} song.wav --out stems" in text


def test_a_second_report_replaces_the_first(sweep):
    write_report(sweep)
    write_trial(sweep, 7, usdr=9.0, gmacs=0.01)
    text = read(write_report(sweep)).text
    assert "trial 7 is best" in text.replace("\u00a0", " ")
    assert len(list((sweep / "report").iterdir())) == 3


def test_a_sweep_without_floor_cost_or_stems_has_a_page_too(tmp_path):
    folder = write_sweep(tmp_path / "s", floor=None, objectives={"val/loss": "minimize"})
    write_trial(folder, 0, scores={"val/loss": 0.25}, params={})
    content = read(write_report(folder))
    assert "Trial 0 is best: loss 0.25." in content.text.replace("\u00a0", " ")
    assert "svg" not in content.tags


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
        write_report(sweep, tmp_path / "taken")
