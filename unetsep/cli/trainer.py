"""Lightning's trainer, fitted to the machine: its precision, and its memory on a CPU."""

import contextlib
import ctypes
import shutil
from pathlib import Path
from typing import Any, Literal

import torch
from lightning import Trainer
from lightning.fabric.plugins.precision.precision import _PRECISION_INPUT


class MachineTrainer(Trainer):
    """Lightning's trainer, which can leave the precision to the machine.

    Args:
        precision: as Lightning has it, or "auto": bf16-mixed where the machine computes bf16 faster than float32, which
            are CPUs with AVX512-BF16 or AMX and GPUs from NVIDIA's Ampere on, and 32-true elsewhere.
        settings: all others, Lightning's.
    """

    def __init__(self, *, precision: _PRECISION_INPUT | Literal["auto"] | None = None, **settings: Any):
        if precision == "auto":
            precision = fast_precision(settings.get("accelerator", "auto"))
        super().__init__(precision=precision, **settings)

    def save_checkpoint(self, filepath: str | Path, *args: Any, **kwargs: Any) -> None:
        """Saves a checkpoint whole or not at all.

        Lightning writes it into the system's temporary folder and moves it; from one disk to another that is a copy,
        and a process killed in it would leave half a file where the training was to go on from.
        """
        path = Path(filepath)
        unfinished = path.with_name(f".{path.name}")  # one name for all processes, and for what a kill left
        super().save_checkpoint(unfinished, *args, **kwargs)
        if self.is_global_zero:
            if path.is_dir():  # a sharded one, which cannot be replaced in one go
                shutil.rmtree(path)
            unfinished.replace(path)
        self.strategy.barrier("renamed")


def fast_precision(accelerator: Any = "auto") -> Literal["bf16-mixed", "32-true"]:
    """The faster of two precisions that train alike on this machine.

    Args:
        accelerator: Lightning's setting.
    """
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif accelerator == "cpu" or not torch.backends.mps.is_available():
        # not oneDNN's own answer, which is yes as well where it would emulate bf16 with AVX512
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    else:
        fast = False
    return "bf16-mixed" if fast else "32-true"


def keep_freed_memory() -> None:
    """Tells the C library to keep the memory that is freed, in this process and those forked from it.

    By default glibc returns every larger block to the system at once, and the next step takes it back page by page: a
    sixth of a step's time on a CPU, for memory that each step needs again. Other C libraries are left as they are.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # Windows has no library None, musl no mallopt
        library = ctypes.CDLL(None)
        for option, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1)):
            library.mallopt(option, value)


_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h
