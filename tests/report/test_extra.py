"""Without the extra `report` a sweep ends with its leaderboard, and whatever needs the extra says so."""

import sys
from pathlib import Path

import pytest

import unetsep.report
import unetsep.sweep
from unetsep.__main__ import main
from unetsep.report.extra import extra


@pytest.fixture(autouse=True)
def without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("altair", "sklearn", "vl_convert", "wandb_workspaces"):
        for module in [name for name in sys.modules if name.partition(".")[0] == library]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setitem(sys.modules, library, None)  # importing it is then an error
    for needing in ("page", "workspace", "panels", "charts", "effects", "learning", "settings", "logged"):
        monkeypatch.delitem(sys.modules, f"unetsep.report.{needing}", raising=False)
        monkeypatch.delattr(unetsep.report, needing, raising=False)


@pytest.mark.parametrize("option", ["--listen=1", "--wandb-spec=spec.json"])
def test_what_needs_the_extra_is_refused_with_the_command_that_installs_it(
    sweep: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(sweep), option]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("pip install 'unetsep[report]'")
    assert not (sweep / "report").exists()


def test_a_sweep_without_the_extra_ends_with_the_leaderboard_and_what_to_install(
    sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(unetsep.sweep, "main", lambda args: sweep)
    assert main(["sweep", "shallow"]) == 0
    said = capsys.readouterr().out
    assert "pip install 'unetsep[report]'" in said
    assert "usdr" in said
    assert "listen:" not in said


def test_another_missing_library_keeps_its_traceback() -> None:
    with pytest.raises(ModuleNotFoundError, match="elsewhere"), extra("the page"):
        raise ModuleNotFoundError("No module named 'elsewhere'", name="elsewhere")
