"""A page that was sent to somebody, and one whose texts would like to be more than text."""

import shutil
from pathlib import Path

import pytest

from unetsep.model.outline import outline, write_outline
from unetsep.report.page import write_report
from unetsep.report.reading import read_runs
from unetsep.training.listening import file_name

from ..suggestions import published
from ..sweep_folder import write_sweep, write_trial
from ..whole_sweeps import HOSTILE, write_depth_sweep, write_large_sweep, write_sounds
from .parts import compared, drawn, shown, wander

pytestmark = pytest.mark.slow

# Every sound and picture that is named anywhere on the page or in its data, and whether it loads.
MEDIA = """async () => {
  const data = document.getElementById("data").textContent;
  const named = new Set(data.match(/media[/][^"]+[.](flac|webp|png)/g));
  const loads = (address) => new Promise((done) => {
    const media = address.endsWith(".flac") ? new Audio() : new Image();
    const size = () => done(media.duration ?? media.naturalWidth);
    for (const kind of ["loadedmetadata", "load"]) media.addEventListener(kind, size);
    media.addEventListener("error", () => done(0));
    media.src = address;
  });
  const sizes = {};
  for (const address of named) sizes[address] = await loads(address);
  return sizes;
}"""


def test_a_report_that_was_zipped_and_sent_is_whole_without_the_sweep(visit, tmp_path: Path) -> None:
    sweep = write_large_sweep(tmp_path / "here" / "shallow", 4)
    for trial in read_runs([sweep]).ranked:
        write_sounds(trial.folder, seconds=1.0)
    write_report(read_runs([sweep]), tmp_path / "here" / "sent")
    archive = shutil.make_archive(str(tmp_path / "sent"), "zip", tmp_path / "here" / "sent")
    shutil.rmtree(tmp_path / "here")
    there = tmp_path / "there, 100% #new"
    shutil.unpack_archive(archive, there)
    page = drawn(visit(there / "index.html"))
    wander(page)
    sizes = page.evaluate(MEDIA)
    assert len([address for address in sizes if address.endswith(".flac")]) == 5 + 4 * 4
    assert [address for address, size in sizes.items() if not size > 0.5] == []
    links = page.locator("a[href]:not([href^='#'])").evaluate_all(
        "links => links.map(link => link.getAttribute('href'))"
    )
    assert [link for link in links if not (there / link).is_file()] == []
    assert len(links) >= 3


def test_several_sweeps_stand_on_one_page(visit, tmp_path: Path) -> None:
    sweeps = [write_large_sweep(tmp_path / "wide", 8, rungs=None, seeds=1), write_depth_sweep(tmp_path / "deep")]
    page = drawn(visit(write_report(read_runs(sweeps), tmp_path / "page")))
    wander(page)
    assert {key.rpartition("-")[0] for key in shown(page)} == {"wide", "deep"}
    page.locator('#trials input[value="deep-3"]').check()
    assert "deep-3" in compared(page)


@pytest.mark.parametrize("hostile", HOSTILE, ids=["ends scripts", "breaks quotes", "turns round"])
def test_hostile_text_is_shown_as_text_wherever_it_stands(
    visit, tmp_path: Path, page_of_forty: Path, hostile: str
) -> None:
    sweep = write_sweep(tmp_path / "sweep", question=hostile)
    rows = [row | {"encoder": hostile, "skip": hostile} for row in outline(published("base/tfc_tdf.yaml", 3))]
    for number in range(6):
        params = {"model.net.depth": number, f"model.{hostile}": hostile, "choice": [hostile, {hostile: number}]}
        trial = write_trial(sweep, number, 3.0 + number, 1.0 + number, params=params)
        write_sounds(trial, [file_name(hostile)], 0.5)
        write_outline(trial, rows)
    write_trial(sweep, 6, state="failed", reason=hostile, params={"choice": hostile})
    write_trial(sweep, 7, usdr=1.0, gmacs=0.1, params={"choice": f"{hostile} other"})
    page = drawn(visit(write_report(read_runs([sweep]))))
    wander(page)
    page.locator("#filter").fill(hostile.split()[0])
    page.locator("#filter").fill("")
    page.locator("#trials input").last.check()
    for place in ("h1", "#trials td.choices", "td.reason"):
        said = page.locator(place).first.text_content().replace("\u2011", "-").replace("\u00a0", " ")
        assert hostile.replace("\u2028", " ") in said.replace("\u2028", " "), place
    assert page.locator("img[src=x], svg[onload], [onerror]").count() == 0
    assert page.locator("script").count() == visit(page_of_forty).locator("script").count()
