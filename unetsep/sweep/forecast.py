"""How long a sweep will still take, as far as what was trained tells."""

import math

from unetsep.sweep.snapshot import Snapshot, rungs_reached


def seconds_left(snapshot: Snapshot, now: float) -> float:
    """About how long the sweep will take if trainings go on as fast as they did; NaN if nothing tells.

    What is left are the trials that are not at the first rung yet and, from each rung on, one in `eta` of those that
    will have reached it, but at least one. An epoch is taken to last as long as an epoch did on average.

    Args:
        snapshot: the sweep now; as many trials as are running will run at once until the end.
        now: the time, in seconds since 1970.
    """
    board = snapshot.board
    rungs, wanted = board.sweep.rungs, board.sweep.trials
    amounts = rungs.amounts if rungs else (1.0,)
    trained = [(result.seconds, rungs_reached(result, rungs)) for result in board.ranked]
    done = sum(amounts[reached - 1] for _, reached in trained if reached)
    if wanted is None or not done:
        return math.nan
    pace = sum(seconds for seconds, reached in trained if reached) / done
    lengths = [pace * (amount - before) for before, amount in zip((0.0, *amounts), amounts, strict=False)]
    there = wanted - snapshot.counts.get("failed", 0)
    left = 0.0
    for level, (length, reached) in enumerate(zip(lengths, board.reached, strict=True)):
        if level and rungs:
            there = max(int(there / rungs.eta + 1e-9), min(there, 1))
        there = max(there, reached)
        left += (there - reached) * length
    for each in snapshot.running:
        if math.isfinite(each.since):
            left -= min(max(now - each.since, 0.0), lengths[each.level])
    return max(left, 0.0) / max(len(snapshot.running), 1)
