"""Lightning's trainer, fitted to the machine: its precision, and its memory on a CPU."""

import shutil
from pathlib import Path
from typing import Any, Literal

import torch
from lightning import Trainer
from lightning.fabric.plugins.precision.precision import _PRECISION_INPUT

from unetsep.deploy.machine import fast_in_bfloat16


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
        fast = fast_in_bfloat16("cuda")
    elif accelerator == "cpu" or not torch.backends.mps.is_available():
        fast = fast_in_bfloat16("cpu")
    else:
        fast = False
    return "bf16-mixed" if fast else "32-true"
