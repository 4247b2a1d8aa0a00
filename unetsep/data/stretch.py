"""A song at another pitch or another speed: one pass of the phase vocoder serves both."""

import math
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from unetsep.audio.stft import frame_count, istft, stft

_LARGEST_DENOMINATOR = 200


def stretch(waveform: Tensor, length: int, pitch: float, tempo: float, window: int) -> Tensor:
    """The beginning of a sound at another pitch, another tempo, or both.

    Flanagan and Golden, "Phase vocoder", 1966: the sound is made `pitch / tempo` times as long without a change of
    pitch, and then read `pitch` times as fast. What stood at sample `window / 2 + n` comes at `n / tempo`; a tone of
    `f` hertz becomes one of `f * pitch`, to within 5 cents, as a ratio of small whole numbers makes resampling cheap.
    The vocoder blurs what is shorter than its window: a click comes out somewhere within half a window of its place.
    Nothing waits for the device, and sounds that are equal but for a factor remain so.

    Args:
        waveform: (..., sample); where it holds fewer than `samples_for(length, tempo, window)`, silence follows.
        length: samples to return.
        pitch: factor on frequencies, above 0.
        tempo: factor on the speed, above 0; 1.1 is 10 % faster.
        window: of the vocoder in samples, a multiple of 4.

    Returns:
        float32 (..., `length`), on the waveform's device.
    """
    from torchaudio.functional import phase_vocoder  # here, because most trainings stretch nothing
    from torchaudio.transforms import Resample

    ratio = Fraction(pitch).limit_denominator(_LARGEST_DENOMINATOR)
    hop = window // 4
    stretched_length = math.ceil(length * ratio)
    frames = frame_count(stretched_length, hop)
    rate = float(tempo / ratio)
    read = math.ceil((frames - 1) * hop * rate) + 5 * hop  # two before the first centre, two after the last, and one
    waveform = waveform[..., :read]
    # The first frame's phases mark all that follow: the two that reach beyond the beginning must not be it.
    spectrum = stft(F.pad(waveform, (0, read - waveform.shape[-1])), window, hop)[..., 2:]
    # A sinusoid in the middle of bin k turns by k/4 of a circle per hop. Whole turns are left out: added up over a
    # chunk, as torchaudio's own formula has them, they would cost float32 its accuracy.
    advance = torch.arange(spectrum.shape[-2], device=waveform.device)[:, None] % 4 * (math.pi / 2)
    spectrum = phase_vocoder(spectrum, rate, advance)[..., :frames]
    stretched = istft(spectrum, window, hop, stretched_length)
    if ratio == 1:
        return stretched
    # Its filter is made on the CPU and follows without a wait.
    resample = Resample(ratio.numerator, ratio.denominator).to(waveform.device, non_blocking=waveform.is_cuda)
    faster: Tensor = resample(stretched)[..., :length]
    return faster


def samples_for(length: int, tempo: float, window: int) -> int:
    """How many samples `stretch` reads at most for `length` of them, while it stretches to no less than a quarter.

    Args:
        length: samples to be returned.
        tempo: the fastest.
        window: of the vocoder in samples.
    """
    # A hop is a quarter window: five for the first and the last frames, and up to tempo / pitch for rounding up.
    return math.ceil(length * tempo) + 9 * window // 4 + 5
