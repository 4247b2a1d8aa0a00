import csv
import math

from rich.console import Console

from unetsep.report.reading import read_run
from unetsep.report.tables import ROWS, leaderboard_columns, print_leaderboard, write_csv

from .sweep_folder import DEPTH, LR, write_trial


def printed(sweep, width: int = 160) -> list[str]:
    console = Console(width=width, record=True, file=(sweep / "out.txt").open("w"))
    print_leaderboard(read_run(sweep), console)
    console.file.close()
    return (sweep / "out.txt").read_text().splitlines()


def on_front(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("●") and line.split()[1].isdigit()]


def test_the_leaderboard_shows_score_stems_floor_and_cost_with_the_front_marked(sweep):
    lines = printed(sweep)
    first, *others = on_front(lines)
    assert first.split() == [
        *("●", "0", "5.00", "5.00", "6.00", "7.00", "8.00", "3.00", "1", "1", "k", "1"),
        *("depth", "1,", "block", "ConvBlock,", "lr", "0.001"),
    ]
    assert [line.split()[1] for line in others] == ["2", "3"]


def test_a_terminal_of_eighty_columns_shows_every_number_and_the_fronts_choices_below(sweep):
    lines = printed(sweep, width=80)
    assert max(map(len, lines)) <= 80
    assert lines[0].rstrip() == "shallow: 7 trials: 4 complete, 1 refused, 1 failed, 1 unfinished"
    first = on_front(lines)[0]
    assert first.split() == ["●", "0", "5.00", "5.00", "6.00", "7.00", "8.00", "3.00", "1", "1", "k", "1"]
    assert "trial 3: depth 1, block TFC, lr 0.004" in lines


def test_the_leaderboard_lists_why_trials_have_no_score_without_reading_brackets_as_markup(sweep):
    text = "\n".join(printed(sweep))
    assert "trial 4 refused: gmacs_per_second is 3.2, over the budget of 2" in text
    assert "trial 5 failed: the loss is NaN in <epoch 2>, tracks: [red]A & B[/red]" in text
    assert "trial 6 unfinished: logged up to epoch 3" in text


def test_the_front_is_plotted_between_the_leaderboard_and_the_answer(sweep):
    lines = printed(sweep)
    places = [
        next(n for n, line in enumerate(lines) if line.startswith(start))
        for start in ("● ", "● on the front", "So far")
    ]
    assert places == sorted(places)


def test_the_leaderboard_ends_with_the_question_and_its_answer(sweep):
    lines = printed(sweep)
    assert "How shallow can a U-Net be and still separate?" in lines
    assert any(line.startswith("So far, trial 0 is best: usdr 5.00 dB") for line in lines)


def test_sentences_are_not_coloured_by_their_numbers(sweep):
    console = Console(width=160, force_terminal=True, color_system="truecolor", file=(sweep / "out.txt").open("w"))
    print_leaderboard(read_run(sweep), console)
    console.file.close()
    line = next(line for line in (sweep / "out.txt").read_text().splitlines() if "is best" in line)
    assert "\x1b" not in line


def test_a_long_leaderboard_is_cut_but_keeps_the_front(sweep):
    for number in range(10, 10 + ROWS):
        write_trial(sweep, number, usdr=4.9 - number / 1000, gmacs=5.0)
    lines = printed(sweep)
    assert [line.split()[1] for line in on_front(lines)] == ["0", "2", "3"]
    assert "and 2 more in trials.csv" in lines


def test_columns_follow_the_objectives(sweep):
    text = (sweep / "sweep.yaml").read_text().replace("gmacs_per_second", "params")
    (sweep / "sweep.yaml").write_text(text)
    headings = [column.heading for column in leaderboard_columns(read_run(sweep))]
    assert headings == ["usdr, dB", "vocals", "drums", "bass", "other", "above floor, dB", "parameters", "depth"]


def test_the_csv_holds_every_trial_with_exact_numbers_and_empty_cells_for_the_unmeasured(sweep, tmp_path):
    run = read_run(sweep)
    write_csv(run, run.trials, tmp_path / "trials.csv")
    with (tmp_path / "trials.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["number"] for row in rows] == [str(number) for number in range(7)]
    assert [row["on_front"] for row in rows] == ["1", "0", "1", "1", "0", "0", "0"]
    assert float(rows[2]["val/usdr"]) == 4.8
    assert float(rows[2]["above_floor"]) == 4.8 - 2.0
    assert (rows[2]["cost/params"], rows[2][DEPTH], rows[2][LR]) == ("3000", "3", "0.003")
    assert (rows[4]["val/usdr"], rows[4]["cost/gmacs_per_second"], rows[4]["state"]) == ("", "3.2", "refused")
    assert rows[5]["reason"] == "the loss is NaN in <epoch 2>, tracks: [red]A & B[/red]"


def test_an_infinite_number_is_written_as_such(sweep, tmp_path):
    write_trial(sweep, 9, usdr=1.0, cost={"receptive_field_seconds": math.inf})
    run = read_run(sweep)
    write_csv(run, run.trials, tmp_path / "trials.csv")
    assert ",inf," in (tmp_path / "trials.csv").read_text()


def test_nothing_in_a_runs_folder_commands_the_terminal_or_is_markup(sweep):
    reason = "a \x1b[2J C:\\data\\[/b] [bold]x"
    write_trial(sweep, 9, state="failed", reason=reason)
    text = "\n".join(printed(sweep))
    assert "\x1b" not in text
    assert "trial 9 failed: a \ufffd[2J C:\\data\\[/b] [bold]x" in text


def test_a_text_in_the_csv_is_no_formula(sweep, tmp_path):
    write_trial(sweep, 9, state="failed", reason='=HYPERLINK("http://x")', params={LR: "@sum"})
    write_csv(read_run(sweep), read_run(sweep).trials, tmp_path / "t.csv")
    row = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))[-1]
    assert (row["reason"], row[LR]) == ('\'=HYPERLINK("http://x")', "'@sum")
