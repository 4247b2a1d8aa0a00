"""The cost card: what a separator costs, before any training and on any machine."""

import copy
import statistics
import time
import weakref
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from unetsep.audio.files import InputError


class _Describes(Protocol):
    """What a separator says of itself."""

    sample_rate: int
    audio_channels: int
    depth: int

    def receptive_field(self) -> tuple[float, float]: ...


def cost_card(
    separator: nn.Module, measure: bool = True, *, seconds: float = 10.0, measure_seconds: float = 5.0
) -> dict[str, float]:
    """What a separator costs, per second of audio, for its own sources and channels.

    All but `rtf_cpu` are counted on the meta device, without arithmetic and without the memory: they take a fraction of
    a second for any size and are the same on every machine. The separator itself is left as it is.

    Args:
        separator: Maps `(batch, channel, sample)` to `(batch, source, channel, sample)` and has the attributes
            `sample_rate`, `audio_channels`, `depth` and `receptive_field()`, which returns seconds and hertz.
        measure: Also time the separator on this machine.
        seconds: Length of the audio that operations and memory are counted for.
        measure_seconds: Length of the audio that is timed.

    Returns:
        A dictionary of:

        - `params`: all parameters, trained or frozen.
        - `gmacs_per_second`: multiply-adds of convolutions, matrix products and attention in 1e9 per second of audio,
          half of what torch's FlopCounterMode counts; Fourier transforms and elementwise operations are not in it.
        - `depth`: levels of the U-Net.
        - `receptive_field_seconds`, `receptive_field_hz`: what one output bin sees of the input.
        - `peak_memory_mb`: the most bytes of parameters, buffers, input and activations alive at once in one forward
          pass over `seconds` of audio without gradients, in 1e6; scratch memory inside kernels is not in it, and
          attention holds its whole matrix, which fused kernels avoid.
        - `rtf_cpu` if measured: median of three timed passes over `measure_seconds` of audio, divided by it, with
          torch's current number of threads. Below 1 is faster than real time.

    Raises:
        InputError: If a length is shorter than one sample.
    """
    described = cast(_Describes, separator)
    shortest = 1 / described.sample_rate
    if min(seconds, measure_seconds) < shortest:
        raise InputError(
            f"seconds is {seconds}, measure_seconds {measure_seconds}; both must be at least one sample, {shortest:g}"
        )
    macs, peak = _count(separator, round(seconds * described.sample_rate))
    receptive_seconds, receptive_hz = described.receptive_field()
    card = {
        "params": float(sum(parameter.numel() for parameter in separator.parameters())),
        "gmacs_per_second": macs / seconds / 1e9,
        "depth": float(described.depth),
        "receptive_field_seconds": float(receptive_seconds),
        "receptive_field_hz": float(receptive_hz),
        "peak_memory_mb": peak / 1e6,
    }
    if measure:
        card["rtf_cpu"] = _time(separator, round(measure_seconds * described.sample_rate)) / measure_seconds
    return card


def _count(separator: nn.Module, samples: int) -> tuple[float, int]:
    """Multiply-adds and peak bytes of one forward pass over `samples`."""
    # The memo puts meta tensors in place of the weights, so that deepcopy copies the modules and not one weight.
    memo: dict[int, Any] = {}
    for parameter in separator.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=parameter.requires_grad)
    for buffer in separator.buffers():
        memo[id(buffer)] = buffer.detach().to("meta")
    weightless = copy.deepcopy(separator, memo).eval()
    for module in weightless.modules():
        if isinstance(module, nn.RNNBase):
            module.forward = partial(_recurrent, module, module.forward)
    channels = cast(_Describes, separator).audio_channels
    with torch.no_grad():
        mixture = torch.empty(1, channels, samples, device="meta")
        memory = _LiveMemory([*weightless.parameters(), *weightless.buffers(), mixture])
        flops = FlopCounterMode(display=False)
        with flops, memory:
            weightless(mixture)
    return flops.get_total_flops() / 2, memory.peak


def _recurrent(layers: nn.RNNBase, stepwise: Callable[..., Any], sequence: Any, before: Any = None) -> Any:
    """What recurrent layers do to a sequence, in a few operations: as many multiply-adds, as much memory at once.

    Without weights torch would go through it frame by frame, which takes seconds.
    """
    if not isinstance(sequence, Tensor) or sequence.dim() != 3 or layers.proj_size:
        return stepwise(sequence, before)
    below = sequence.transpose(0, 1) if layers.batch_first else sequence
    ways = ("", "_reverse") if layers.bidirectional else ("",)
    for layer in range(layers.num_layers):
        steps, stacked = [], []  # torch keeps what each way reads, frame by frame, until all is put together
        for way in ways:
            states = below.new_empty(*below.shape[:2], layers.hidden_size)
            frames = max(1, len(below) // 64)  # not all at once: gates live for one frame
            for given, state in zip(below.split(frames), states.split(frames), strict=True):
                nn.functional.linear(given, getattr(layers, f"weight_ih_l{layer}{way}"))
                nn.functional.linear(state, getattr(layers, f"weight_hh_l{layer}{way}"))
            steps.append(states)
            stacked.append(states.clone())
        below = torch.cat(stacked, -1) if len(ways) > 1 else stacked[0]
    last = below.new_empty(layers.num_layers * len(ways), below.shape[1], layers.hidden_size)
    read_out = below.transpose(0, 1) if layers.batch_first else below
    return read_out, (last, last) if isinstance(layers, nn.LSTM) else last


class _LiveMemory(TorchDispatchMode):
    """Counts the bytes of all storages that are alive: added when an operation returns one, taken off when it dies."""

    def __init__(self, held: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        self.peak = 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()
        for tensor in held:
            self._add(tensor)

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage in self._known:  # a view, or written in place
            return
        self._known.add(storage)
        size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._remove, size)

    def _remove(self, size: int) -> None:
        self.live -= size

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._add(leaf)
        return result


def _time(separator: nn.Module, samples: int) -> float:
    """Median seconds of three passes over `samples` on this machine's CPU, after one to warm up."""
    copied = copy.deepcopy(separator).cpu().eval()
    generator = torch.Generator().manual_seed(0)
    mixture = 0.1 * torch.randn(1, cast(_Describes, separator).audio_channels, samples, generator=generator)
    passes = []
    with torch.inference_mode():
        for _ in range(4):
            begin = time.perf_counter()
            copied(mixture)
            passes.append(time.perf_counter() - begin)
    return statistics.median(passes[1:])
