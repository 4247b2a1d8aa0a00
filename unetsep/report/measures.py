"""What the numbers are called, measured in, and how they are defined, for the places that show them."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A number's name for readers, its unit and its definition."""

    name: str
    unit: str = ""
    definition: str = ""

    def show(self, value: float, *, unit: bool = True) -> str:
        """The value as a reader wants it: 4.31 dB, 0.42 GMAC/s, 39.3 M; a dash where nothing was measured."""
        if not math.isfinite(value):
            return "∞" if value == math.inf else "-"
        return f"{self._digits(value)} {self.unit}" if unit and self.unit else self._digits(value)

    @property
    def heading(self) -> str:
        """Name and unit, for the head of a column or an axis."""
        return f"{self.name}, {self.unit}" if self.unit else self.name

    def _digits(self, value: float) -> str:
        if self.unit == "dB":
            return f"{value:.2f}"
        if self.name == "parameters":
            return _with_prefix(value)
        if 1000 <= abs(value) < 1e6 or (float(value).is_integer() and abs(value) < 1000):
            return f"{value:.0f}"
        return f"{value:.3g}"


_MEASURES = {
    "usdr": Measure(
        "usdr",
        "dB",
        "signal-to-distortion ratio of the whole track, mean over tracks and stems (MDX and SDX challenges)",
    ),
    "csdr": Measure(
        "csdr",
        "dB",
        "museval's SDR (BSSEval v4): median over frames of 1 s, median over tracks, mean over stems; what papers print",
    ),
    "seg_accuracy": Measure(
        "seg_accuracy",
        "",
        "share of the energy that lies in time-frequency bins whose dominant instrument is predicted",
    ),
    "seg_miou": Measure(
        "seg_miou",
        "",
        "overlap of predicted and true dominant instrument, intersection over union, mean over instruments",
    ),
    "dropped_frames": Measure("dropped_frames", "", "frames left out of csdr because a stem or an estimate is silent"),
    "loss": Measure("loss", "", "the training's own loss"),
    "gmacs_per_second": Measure(
        "multiply-adds",
        "GMAC/s",
        "thousand million multiply-adds per second of audio, for all stems and channels at once",
    ),
    "params": Measure("parameters", "", "numbers that training sets"),
    "depth": Measure("depth", "", "levels of the U"),
    "receptive_field_seconds": Measure("receptive field in time", "s", "how much time one output bin can see"),
    "receptive_field_hz": Measure(
        "receptive field in frequency", "Hz", "how much of the spectrum one output bin can see"
    ),
    "rtf_cpu": Measure("real-time factor", "", "seconds of computing per second of audio, on the CPU of the sweep"),
    "peak_memory_mb": Measure("peak memory", "MB", "tensors alive at once while 10 s are separated"),
}


def measure(key: str) -> Measure:
    """What a key such as `val/usdr`, `val/usdr/vocals` or `cost/params` measures; unknown keys name themselves."""
    parts = key.split("/")
    name = parts[1] if len(parts) > 1 else parts[0]
    if name not in _MEASURES:
        return Measure(key)
    if len(parts) < 3:
        return _MEASURES[name]
    return Measure(f"{name} {parts[2]}", _MEASURES[name].unit, _MEASURES[name].definition)


def _with_prefix(count: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= size:
            return f"{count / size:.3g} {letter}"
    return f"{count:.0f}"
