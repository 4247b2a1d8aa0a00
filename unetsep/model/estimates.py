"""Estimates: what the network's output means, from a mask on the mixture to the sources' spectra themselves.

To add one, subclass `Estimate` here: its name is then a value of `estimate` in every config and sweep.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

Output = Float[Tensor, "batch source channel plane freq frame"]
Mixture = Complex[Tensor, "batch channel freq frame"]
Sources = Complex[Tensor, "batch source channel freq frame"]


class Estimate(nn.Module):
    """Turns the network's output into the spectra of the sources.

    `planes_in` says what the network reads for each audio channel, 1: magnitudes, 2: real and imaginary parts;
    `planes_out` how many planes it writes for each source and audio channel; `consistent` whether the sources add up to
    the mixture by themselves.

    Shape:
        - Output of the network: `(batch, source, channel, plane, freq, frame)`, `planes_out` planes.
        - Mixture: complex `(batch, channel, freq, frame)`.
        - Sources: complex `(batch, source, channel, freq, frame)`.
    """

    planes_in = 1
    planes_out = 1
    consistent = False

    def forward(self, output: Output, mixture: Mixture) -> Sources:
        """The spectra of the sources, in the mixture's scale."""
        return self.spectra(self.between(output), mixture)

    def between(self, output: Output) -> Output:
        """What the sources do to each other: nothing, unless an estimate says otherwise."""
        return output

    def spectra(self, output: Output, mixture: Mixture) -> Sources:
        """The spectra of some of the sources, each from its own planes, as `between` returns them.

        Raises:
            NotImplementedError: Where a subclass does not say how.
        """
        raise NotImplementedError(f"{type(self).__name__} is an Estimate without spectra")


class SoftmaxMask(Estimate):
    """Real masks that add up to one over the sources in every bin, so that the stems add up to the mixture."""

    consistent = True

    def between(self, output: Output) -> Output:
        return output.softmax(dim=1)

    def spectra(self, output: Output, mixture: Mixture) -> Sources:
        return output.squeeze(3) * mixture[:, None]


class SigmoidMask(Estimate):
    """Real masks between 0 and 1, each source's for itself (Jansson et al. 2017)."""

    def spectra(self, output: Output, mixture: Mixture) -> Sources:
        return output.squeeze(3).sigmoid() * mixture[:, None]


class ComplexMask(Estimate):
    """Unbounded complex masks, which turn phases too (Williamson et al. 2016)."""

    planes_in = 2
    planes_out = 2

    def spectra(self, output: Output, mixture: Mixture) -> Sources:
        return torch.complex(output[:, :, :, 0], output[:, :, :, 1]) * mixture[:, None]


class Magnitude(Estimate):
    """The sources' magnitudes themselves, with the mixture's phase (Oh et al. 2018)."""

    def spectra(self, output: Output, mixture: Mixture) -> Sources:
        return output.squeeze(3).relu() * torch.sgn(mixture)[:, None]


class Spectrum(Estimate):
    """The sources' complex spectra themselves, real and imaginary parts as channels (Choi et al. 2020)."""

    planes_in = 2
    planes_out = 2

    def spectra(self, output: Output, mixture: Mixture) -> Sources:
        return torch.complex(output[:, :, :, 0], output[:, :, :, 1])
