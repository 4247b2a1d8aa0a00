"""The drum kit of the synthetic songs: heads that fall in pitch, wires and metal that hiss."""

from dataclasses import dataclass

import numpy as np

from unetsep.data.synthetic.instruments import RATE, Array, faded, noise_band, panned, seconds_of

_METAL = (1.0, 1.34, 1.51, 1.79, 2.26, 2.61)  # inharmonic partials of a cymbal
_TAKES = 5  # of every drum in a song: enough that no repetition is heard


@dataclass(frozen=True)
class DrumKit:
    """Kick, snare, hats, tom and crash; drawn once per song.

    Args:
        kick_hz: where the kick's pitch ends.
        kick_sweep: how many times higher it starts.
        kick_decay: seconds.
        snare_hz: the lower of the snare's two modes.
        snare_decay: seconds, of the wires' noise.
        snare_wires: share of noise in the snare, 0 to 1.
        hat_hz: where the hats' noise begins.
        hat_decay: seconds, closed.
        side: where hats and crash sit, -1 to 1; the tom is opposite.
    """

    kick_hz: float
    kick_sweep: float
    kick_decay: float
    snare_hz: float
    snare_decay: float
    snare_wires: float
    hat_hz: float
    hat_decay: float
    side: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "DrumKit":
        """A kit at random."""
        return cls(
            kick_hz=rng.uniform(42, 66),
            kick_sweep=rng.uniform(3, 7),
            kick_decay=rng.uniform(0.07, 0.18),
            snare_hz=rng.uniform(150, 240),
            snare_decay=rng.uniform(0.06, 0.2),
            snare_wires=rng.uniform(0.45, 0.8),
            hat_hz=rng.uniform(3000, 7000),
            hat_decay=rng.uniform(0.025, 0.07),
            side=rng.uniform(0.2, 0.7) * rng.choice([-1, 1]),
        )

    def takes(self, drum: str, rng: np.random.Generator) -> list[Array]:
        """Some hits at full strength, each (channel, sample) and none like the other.

        Args:
            drum: kick, snare, hat, open hat, tom or crash.
            rng: for noise and small differences in tuning.
        """
        play = {
            "kick": self._kick,
            "snare": self._snare,
            "hat": lambda rng: self._hat(self.hat_decay, rng),
            "open hat": lambda rng: self._hat(4 * self.hat_decay, rng),
            "tom": self._tom,
            "crash": self._crash,
        }[drum]
        return [play(rng) for _ in range(_TAKES)]

    def _kick(self, rng: np.random.Generator) -> Array:
        time = seconds_of(5 * self.kick_decay)
        sound = 1.3 * _head(time, self.kick_hz, self.kick_sweep, 0.03) * np.exp(-time / self.kick_decay)
        click = time[: round(0.025 * RATE)]
        sound[: len(click)] += 0.35 * noise_band(len(click), 1500, 6000, rng) * np.exp(-click / 0.004)
        return panned(faded(sound, 0.0005, 0.02), 0.0)

    def _snare(self, rng: np.random.Generator) -> Array:
        time = seconds_of(5 * self.snare_decay)
        pitch = self.snare_hz * rng.uniform(0.99, 1.01)
        head = _head(time, pitch, 1.4, 0.02) + 0.6 * np.sin(2 * np.pi * 1.83 * pitch * time)
        wires = noise_band(len(time), 700, 9000, rng) * np.exp(-time / self.snare_decay)
        sound = (1 - self.snare_wires) * head * np.exp(-time / (0.6 * self.snare_decay)) + self.snare_wires * wires
        return panned(faded(sound, 0.0005, 0.02), 0.1 * self.side)

    def _hat(self, decay: float, rng: np.random.Generator) -> Array:
        time = seconds_of(5 * decay)
        partials = 2 * np.pi * 0.11 * self.hat_hz * rng.uniform(0.99, 1.01) * np.array(_METAL)[:, None]
        metal = np.diff(np.sign(np.sin(partials * time)).mean(axis=0), prepend=0.0)
        sound = (0.4 * noise_band(len(time), self.hat_hz, 14_000, rng) + 0.6 * metal) * np.exp(-time / decay)
        return panned(faded(sound, 0.0005, 0.02), self.side)

    def _tom(self, rng: np.random.Generator) -> Array:
        time = seconds_of(0.5)
        pitch = rng.choice([1.6, 2.0, 2.5]) * self.kick_hz
        sound = _head(time, pitch, 1.6, 0.05) * np.exp(-time / 0.13)
        sound += 0.2 * noise_band(len(time), 500, 4000, rng) * np.exp(-time / 0.02)
        return panned(faded(sound, 0.001, 0.05), -self.side)

    def _crash(self, rng: np.random.Generator) -> Array:
        """Long and wide: its noise differs left and right."""
        time = seconds_of(1.4)
        envelope = faded(0.3 * np.exp(-time / 0.35), 0.002, 0.2)
        return np.stack([noise_band(len(time), 0.6 * self.hat_hz, 13_000, rng) * envelope for _ in range(2)])


def _head(time: Array, frequency: float, sweep: float, fall: float) -> Array:
    """A sine that falls from `sweep` times its final frequency; the phase is the integral of that."""
    cycles = frequency * (time + (sweep - 1) * fall * (1 - np.exp(-time / fall)))
    return np.asarray(np.sin(2 * np.pi * cycles))
