"""What the package offers, and what it costs to look at it: heavy libraries are imported where they are needed only."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "lightning", "matplotlib", "pandas", "optuna", "jsonargparse", "wandb", "scipy")


def imported_by(code: str) -> set[str]:
    """The heavy libraries in memory after `code` has run in a fresh interpreter."""
    look = f"{code}\nimport sys\nprint('\\nheavy:', *sorted(set({HEAVY!r}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("heavy:")[2].split())


@pytest.mark.parametrize(
    "code",
    [
        "import unetsep; unetsep.__version__; dir(unetsep)",
        "from unetsep.__main__ import main; assert main(['--help']) == 0",
        "from unetsep.__main__ import main; assert main(['--version']) == 0",
    ],
    ids=["import", "help", "version"],
)
def test_looking_at_the_package_imports_nothing_heavy(code: str) -> None:
    assert imported_by(code) == set()


def test_the_help_of_separate_imports_no_more_than_reads_sound() -> None:
    code = "import contextlib\nfrom unetsep.__main__ import main\n"
    code += "with contextlib.suppress(SystemExit):\n    main(['separate', '--help'])"
    assert imported_by(code) <= {"numpy"}


def test_what_is_heavy_is_seen_where_it_is_imported() -> None:
    assert imported_by("import numpy") == {"numpy"}


def test_an_unknown_name_is_refused_as_of_any_module() -> None:
    import unetsep

    assert {"Separator", "__version__"} <= set(dir(unetsep))
    with pytest.raises(AttributeError, match="has no attribute 'Seperator'"):
        unetsep.Seperator  # noqa: B018


def test_the_separator_is_offered_by_the_package_itself() -> None:
    import unetsep
    from unetsep.deploy import separator

    assert unetsep.Separator is separator.Separator
