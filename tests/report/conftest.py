from pathlib import Path

import pytest

from .sweep_folder import write_sweep, write_trial


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A sweep that is still running: trials 0, 2 and 3 on the front, 1 beaten, and one of each that has no score."""
    folder = write_sweep(tmp_path / "shallow")
    write_trial(folder, 0, usdr=5.0, gmacs=1.0)
    write_trial(folder, 1, usdr=4.0, gmacs=1.5)
    write_trial(folder, 2, usdr=4.8, gmacs=0.5)
    write_trial(folder, 3, usdr=2.5, gmacs=0.05)
    write_trial(folder, 4, state="refused", gmacs=3.2, reason="gmacs_per_second is 3.2, over the budget of 2")
    write_trial(folder, 5, state="failed", reason="the loss is NaN in <epoch 2>, tracks: [red]A & B[/red]")
    write_trial(folder, 6, state="unfinished")
    return folder
