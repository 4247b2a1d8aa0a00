import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from unetsep.__main__ import main
from unetsep.audio.files import InputError
from unetsep.report import read_runs, watch, write_report
from unetsep.sweep.lock import sole

from .sweep_folder import write_sweep, write_trial


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return write_sweep(tmp_path / "shallow")


@pytest.fixture
def driver(sweep: Path) -> Iterator[ExitStack]:
    """Holds the sweep's folder, as its driver does, until it is closed."""
    with ExitStack() as driver:
        driver.enter_context(sole(sweep / ".driver"))
        yield driver


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
    """Has each pause do the next of the given things; more pauses than things are an error."""

    def script(*things: Callable[[], object]) -> list[float]:
        lasted: list[float] = []
        left = iter(things)

        def sleep(seconds: float) -> None:
            lasted.append(seconds)
            next(left)()

        monkeypatch.setattr("unetsep.report.watch.time.sleep", sleep)
        return lasted

    return script


class Pages:
    """Writes a page and remembers of which trials."""

    def __init__(self, sweep: Path):
        self.sweep = sweep
        self.written: list[list[int]] = []

    def __call__(self) -> Path:
        run = read_runs([self.sweep])
        self.written.append([trial.number for trial in run.ranked])
        page = self.sweep / "report" / "index.html"
        page.parent.mkdir(exist_ok=True)
        page.write_text(f'const version = "{len(self.written)}"')
        return page


def told(sweep: Path) -> dict[str, object]:
    script = (sweep / "report" / "version.js").read_text()
    found = re.fullmatch(r'dispatchEvent\(new CustomEvent\("newest", \{detail: (\{.*\})\}\)\);\n', script)
    assert found
    return json.loads(found[1])


def interrupt() -> None:
    raise KeyboardInterrupt


def test_the_page_follows_a_sweep_from_before_its_first_score_to_its_end(
    sweep: Path, driver: ExitStack, pauses: Callable[..., list[float]], capsys: pytest.CaptureFixture[str]
) -> None:
    pages = Pages(sweep)

    def begun() -> None:
        assert pages.written == []
        write_trial(sweep, 0, state="unfinished")

    def scored() -> None:
        assert pages.written == []
        write_trial(sweep, 1, 3.0, 0.1)

    def another() -> None:
        assert pages.written == [[1]]
        assert told(sweep) == {"version": "1", "over": False}
        write_trial(sweep, 2, 4.0, 0.2)

    pauses(begun, scored, another, driver.close)
    assert watch.watch(pages, [sweep], 5.0) == 0
    assert pages.written == [[1], [2, 1]]
    assert told(sweep) == {"version": "2", "over": True}
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert re.fullmatch(rf"\d\d:\d\d:\d\d .*1 complete.*: {re.escape(str(sweep))}/report/index.html", lines[0])
    assert lines[2] == f"the sweep has ended; the page is {sweep / 'report' / 'index.html'}"


def test_a_page_is_not_written_again_where_nothing_changed(
    sweep: Path, driver: ExitStack, pauses: Callable[..., list[float]]
) -> None:
    write_trial(sweep, 0, 3.0, 0.1)
    pages = Pages(sweep)
    pauses(lambda: None, lambda: None, driver.close)
    assert watch.watch(pages, [sweep], 5.0) == 0
    assert pages.written == [[0]]


def test_a_sweep_that_nobody_works_on_has_its_page_written_once(
    sweep: Path, pauses: Callable[..., list[float]]
) -> None:
    write_trial(sweep, 0, 3.0, 0.1)
    pages = Pages(sweep)
    assert pauses() == []
    assert watch.watch(pages, [sweep], 5.0) == 0
    assert pages.written == [[0]]
    assert told(sweep)["over"] is True


def test_all_of_several_sweeps_are_waited_for(
    sweep: Path,
    driver: ExitStack,
    tmp_path: Path,
    pauses: Callable[..., list[float]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = write_sweep(tmp_path / "other")
    write_trial(other, 0, 3.0, 0.1)
    pages = Pages(sweep)

    def scored() -> None:
        assert pages.written == []
        write_trial(sweep, 1, 3.0, 0.1)

    pauses(scored, driver.close)
    assert watch.watch(pages, [sweep, other], 5.0) == 0
    assert pages.written == [[1]]
    assert "the sweeps have ended" in capsys.readouterr().out


def test_drivers_that_share_a_database_may_pause_between_two_trainings(
    tmp_path: Path, pauses: Callable[..., list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = write_sweep(tmp_path / "shared", storage="postgresql+psycopg://somewhere/unetsep")
    write_trial(sweep, 0, 3.0, 0.1)
    now = [0.0]
    monkeypatch.setattr("unetsep.report.watch.time.monotonic", lambda: now[0])
    pauses(lambda: now.append(now.pop() + 100), lambda: now.append(now.pop() + 100))
    assert watch.watch(Pages(sweep), [sweep], 5.0) == 0


def test_ctrl_c_ends_it_with_130_and_the_page_is_told(
    sweep: Path, driver: ExitStack, pauses: Callable[..., list[float]], capsys: pytest.CaptureFixture[str]
) -> None:
    write_trial(sweep, 0, 3.0, 0.1)
    pauses(interrupt)
    assert watch.watch(Pages(sweep), [sweep], 5.0) == 130
    assert told(sweep)["over"] is True
    assert capsys.readouterr().out.splitlines()[-1].startswith("stopped; the page is ")


def test_a_terminal_shows_one_line_and_has_its_cursor_back(
    sweep: Path, driver: ExitStack, pauses: Callable[..., list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_trial(sweep, 0, 3.0, 0.1)
    screen = StringIO()
    settings = {"file": screen, "force_terminal": True, "width": 60, "_environ": {}}
    monkeypatch.setattr("unetsep.report.watch.Console", lambda: Console(**settings))
    pauses(lambda: None, interrupt)
    assert watch.watch(Pages(sweep), [sweep], 5.0) == 130
    text = screen.getvalue()
    assert "1 complete; page of " in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_writing_takes_at_most_a_fifth_of_a_core(
    sweep: Path, driver: ExitStack, pauses: Callable[..., list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_trial(sweep, 0, 3.0, 0.1)
    now = [0.0]
    monkeypatch.setattr("unetsep.report.watch.time.process_time", lambda: now[0])
    pages = Pages(sweep)

    def slow() -> Path:
        now[0] += 2
        return pages()

    lasted = pauses(lambda: None, interrupt)
    watch.watch(slow, [sweep], 5.0)
    assert lasted == [8.0, 5.0]


def test_a_file_that_a_training_replaces_meanwhile_is_tried_again(
    sweep: Path, driver: ExitStack, pauses: Callable[..., list[float]]
) -> None:
    write_trial(sweep, 0, 3.0, 0.1)
    pages, gone = Pages(sweep), [True]

    def write() -> Path:
        if gone.pop() if gone else False:
            raise FileNotFoundError("vocals.flac")
        return pages()

    pauses(lambda: None, driver.close)
    assert watch.watch(write, [sweep], 5.0) == 0
    assert pages.written == [[0]]


def test_a_sweep_that_is_just_being_set_up_is_waited_for(tmp_path: Path, pauses: Callable[..., list[float]]) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    with ExitStack() as driver:
        driver.enter_context(sole(folder / ".driver"))

        def made() -> None:
            write_sweep(tmp_path / "made")
            (tmp_path / "made" / "sweep.yaml").rename(folder / "sweep.yaml")
            write_trial(folder, 0, 3.0, 0.1)
            driver.close()

        pauses(made)
        pages = Pages(folder)
        assert watch.watch(pages, [folder], 5.0) == 0
        assert pages.written == [[0]]


def test_a_folder_without_a_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sweep in "):
        watch.watch(Pages(tmp_path), [tmp_path], 5.0)


def test_a_sweep_that_ended_without_a_score_is_refused(sweep: Path) -> None:
    write_trial(sweep, 0, state="failed", reason="no memory")
    with pytest.raises(InputError, match=r"no trial has a score yet .* no memory"):
        watch.watch(Pages(sweep), [sweep], 5.0)


@pytest.mark.parametrize("every", [0.0, -1.0, float("nan")])
def test_a_pause_that_is_none_is_refused(sweep: Path, every: float) -> None:
    with pytest.raises(InputError, match="--every is "):
        watch.watch(Pages(sweep), [sweep], every)


def test_the_page_and_the_file_beside_it_agree_on_which_is_the_newest(sweep: Path) -> None:
    write_trial(sweep, 0, 3.0, 0.1)
    versions = []
    for _ in range(2):
        page = write_report(read_runs([sweep]), live=True)
        watch.tell(page, over=False)
        assert f'const version = "{told(sweep)["version"]}"' in page.read_text()
        versions.append(told(sweep)["version"])
    assert len(set(versions)) == 2


def test_a_page_that_is_not_watched_looks_for_no_newer_one(sweep: Path) -> None:
    write_trial(sweep, 0, 3.0, 0.1)
    page = write_report(read_runs([sweep]))
    assert "version.js" not in page.read_text()


def test_the_command_line_watches_a_sweep_to_its_end(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_trial(sweep, 0, 3.0, 0.1)
    assert main(["report", str(sweep), "--watch"]) == 0
    assert "the sweep has ended" in capsys.readouterr().out
    assert "Live: follows the sweep" in (sweep / "report" / "index.html").read_text()
    assert told(sweep)["over"] is True


def test_the_command_line_refuses_to_watch_what_is_no_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path), "--watch"]) == 2
    assert capsys.readouterr().err.startswith("unetsep: no sweep in ")
