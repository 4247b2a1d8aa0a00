"""`unetsep VERB ...`: what is asked for is looked up here, and only then loaded."""

import importlib
import os
import sys
from collections.abc import Sequence

# torch's threads wait for each other by spinning: beside any other busy process a training step then takes several
# times as long. Waiting asleep costs a tenth on an idle machine. It must be said before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

_VERBS = {
    "fit": ("unetsep.cli:run_cli", "train a separator"),
    "validate": ("unetsep.cli:run_cli", "score a trained separator on the validation tracks"),
    "test": ("unetsep.cli:run_cli", "score a trained separator on the test tracks"),
    "predict": ("unetsep.cli:run_cli", "write the stems of the test tracks"),
    "sweep": ("unetsep.report:answer", "answer a question by many trainings"),
    "report": ("unetsep.report:main", "turn a sweep's folder into tables and a page to look at and listen to"),
    "separate": ("unetsep.deploy.command:main", "separate sound files into stems"),
    "export": ("unetsep.deploy.export:main", "write a trained separator into one file"),
    "evaluate": (
        "unetsep.evaluation.command:main",
        "score a separator, an oracle or anybody's estimates",
    ),
    "cost": ("unetsep.cli.cost:main", "say what a separator costs, before any training"),
    "data": ("unetsep.data.verbs:main", "make, check, draw or decode data"),
}
_TRAINING = ("fit", "validate", "test", "predict")  # one parser, which wants to see the verb


def main(args: Sequence[str] | None = None) -> int:
    """Carries out one verb.

    Args:
        args: the verb and its arguments; the process's own when not given.

    Returns:
        The exit code: 0, 1 if `evaluate --verify` finds other numbers than museval's, 2 if what was given is wrong, 3
        if the training's loss became NaN, 4 if a sweep's study cannot be reached any more, 130 after Ctrl-C.
    """
    verb, *rest = list(sys.argv[1:] if args is None else args) or ["--help"]
    if verb in ("-h", "--help", "help"):
        print(_help())
        return 0
    if verb == "--version":
        from unetsep import __version__

        print(f"unetsep {__version__}")
        return 0
    if verb not in _VERBS:
        print(f"unetsep: there is no verb {verb!r}; there are {', '.join(_VERBS)}", file=sys.stderr)
        return 2
    try:
        module, _, function = _VERBS[verb][0].partition(":")
        carry_out = getattr(importlib.import_module(module), function)
        code = carry_out([verb, *rest] if verb in _TRAINING else rest)
    except KeyboardInterrupt:
        print("unetsep: stopped", file=sys.stderr)
        return 130
    except Exception as error:
        return _explained(error)
    return code if isinstance(code, int) else 0


def _explained(error: Exception) -> int:
    """Says an error that is no bug in one line; any other keeps its traceback."""
    from unetsep.audio.files import InputError

    code = 2 if isinstance(error, InputError) else getattr(error, "exit_code", None)
    if not isinstance(code, int):
        raise error
    print(f"unetsep: {error}", file=sys.stderr)
    return code


def _help() -> str:
    width = max(map(len, _VERBS))
    verbs = "\n".join(f"  {verb:{width}}  {words}" for verb, (_, words) in _VERBS.items())
    return (
        "usage: unetsep VERB ...\n\n"
        "How shallow, narrow and sparsely connected can a U-Net be and still separate music?\n\n"
        f"{verbs}\n\n"
        "`unetsep VERB --help` says more. A training is `unetsep fit --config FILE --out FOLDER`, and every setting\n"
        "in the file can be given as --dotted.key VALUE as well; `unetsep fit --print_config` shows them all."
    )


if __name__ == "__main__":
    sys.exit(main())
