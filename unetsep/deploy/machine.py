"""What the machine computes fast: the precision it should have, and memory that it need not ask for again."""

import contextlib
import ctypes

import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h


def fast_in_bfloat16(device: str) -> bool:
    """Whether bfloat16 is faster than float32: CPUs with AVX512-BF16 or AMX, and GPUs from NVIDIA's Ampere on.

    Args:
        device: "cpu", "cuda", "mps", ..., with or without a number.
    """
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # not oneDNN's own answer, which is yes as well where it would emulate bf16 with AVX512
    return device == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def keep_freed_memory() -> None:
    """Tells the C library to keep the memory that is freed, in this process and those forked from it.

    By default glibc returns every larger block to the system at once, and the next step takes it back page by page: a
    sixth of a training step's time on a CPU and half of a separation's, for memory that is needed again. Other C
    libraries are left as they are.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # Windows has no library None, musl no mallopt
        library = ctypes.CDLL(None)
        for option, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1)):
            library.mallopt(option, value)
