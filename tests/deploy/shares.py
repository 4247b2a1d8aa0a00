"""A separator without a network: each stem is a fixed share of the mixture."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

SHARES = {"vocals": 0.25, "rest": 0.75}


class Shares:
    """What the command needs of a separator; it reads a recording twice, as the true one does."""

    sources = tuple(SHARES)

    def __init__(self, gain: float = 1.0, on_block: Callable[[], None] = lambda: None) -> None:
        self.gain = gain
        self.on_block = on_block
        self.given: dict[str, Any] = {}

    def stream(
        self,
        blocks: Callable[[], Iterator[np.ndarray]],
        sample_rate: int,
        channels: int,
        *,
        stems: Sequence[str] | None = None,
        minus: Sequence[str] = (),
        on_progress: Callable[[float, float], None] = lambda *_: None,
        **settings: Any,
    ) -> Iterator[dict[str, np.ndarray]]:
        self.given = settings
        total = sum(map(len, blocks())) / sample_rate
        shares = {name: SHARES[name] for name in stems or (() if minus else SHARES)}
        if minus:
            shares["minus_" + "_".join(minus)] = 1 - sum(SHARES[name] for name in minus)
        done = 0.0
        for block in blocks():
            assert block.shape[1] == channels
            yield {name: self.gain * share * block for name, share in shares.items()}
            done += len(block) / sample_rate
            on_progress(done, total)
            self.on_block()
