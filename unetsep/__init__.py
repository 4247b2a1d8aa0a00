"""How shallow, narrow and sparsely connected can a U-Net be and still separate music?

`unetsep.Separator.load(path).separate(waveform, sample_rate)` gives a dict of stems. The class is imported when it is
first asked for, so that `import unetsep` takes a moment and not torch's seconds.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unetsep.deploy.separator import Separator as Separator

__version__ = "0.1.0"
__all__ = ["Separator", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Separator":
        from unetsep.deploy.separator import Separator

        return Separator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(globals().keys() | set(__all__))
