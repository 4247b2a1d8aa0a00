"""What an export loses and whether it is faster: every kind of file that `unetsep export` writes, and bfloat16.

Beside the checkpoint in float32, which all others are compared with: the signal to distortion ratio of their stems if
its stems are taken for the truth; where the song's own stems are known, the checkpoint's csdr, its change in the mean
over stems and the largest change of a stem; busy, the processor time of a second of sound, and its ratio to the
checkpoint's, every kind in turn in rounds, of which the medians count. A song is separated as `unetsep.Separator` does
it for anybody, from its own rate and channels and back to them. Random weights say little about what is lost.

python benchmarks/quantised.py --json quantised.json
python benchmarks/quantised.py --models runs/shallow runs/shallow/trials/0001 --song MUSDB18-HQ/test/SONG
"""

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import report
import soundfile
import torch
from separation import checkpoint, described, song
from torch import Tensor

from unetsep.data.track import Track
from unetsep.deploy.export import export
from unetsep.deploy.machine import keep_freed_memory
from unetsep.deploy.separator import Separator
from unetsep.deploy.weights import find_checkpoint
from unetsep.metrics import csdr

BASELINE = "checkpoint, float32"
EXPORTS = [(".safetensors", None), (".safetensors", "fp16"), (".onnx", None), (".onnx", "fp16"), (".onnx", "int8")]
RANDOM = ("depth 2, width 8, 8 subbands", "depth 3, width 16, blocks", "small")  # of those that `separation.py` has


def separators(model: Path, folder: Path) -> Iterator[tuple[str, Path, Separator]]:
    """Every kind by name, the baseline first, its file, and what separates by it."""
    path = find_checkpoint(model)
    yield BASELINE, path, Separator.load(path, device="cpu", precision="float32")
    yield "checkpoint, bfloat16", path, Separator.load(path, device="cpu", precision="bfloat16")
    for suffix, quantise in EXPORTS:
        out = folder / f"{quantise}{suffix}"
        export(path, out, quantise)
        name = f"{suffix[1:]}, {quantise or 'float32'}"
        yield name, out, Separator.load(out, device="cpu", precision="float32")


def heard(
    path: Path | None, sources: tuple[str, ...], seconds: float, folder: Path
) -> tuple[Tensor, Tensor | None, int]:
    """The beginning of a song as mixture, stems (unknown of noise) and sample rate."""
    if path is None:
        song(folder / "song.wav", seconds)
        samples, rate = soundfile.read(folder / "song.wav", dtype="float32", always_2d=True)
        return torch.from_numpy(samples.T.copy()), None, rate
    track = Track(path.name, "test", path, sources)
    stems, rate = track.read(), track.stem(sources[0])[1]
    mixture = torch.from_numpy(track.stem("mixture")[0]) if track.has_mixture() else stems.sum(0)
    samples = round(seconds * rate)
    return mixture[:, :samples], stems[..., :samples], rate


def distance_db(truth: Tensor, estimate: Tensor) -> float | None:
    """Signal to distortion ratio over all stems; none if they are equal to the bit."""
    signal, distortion = (float(part.double().square().sum()) for part in (truth, estimate - truth))
    return 10 * math.log10(signal / distortion) if distortion else None


def measure(model: Path, folder: Path, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """What is said of each kind of a model."""
    kinds = {kind: (path, separator) for kind, path, separator in separators(model, folder)}
    sources = tuple(kinds[BASELINE][1].sources)
    mixture, stems, rate = heard(options.song, sources, options.seconds, folder)
    found: dict[str, dict[str, Any]] = {}
    for kind, (path, separator) in kinds.items():  # the first time, which loads kernels, is not timed
        estimates = torch.stack(list(separator.separate(mixture, rate).values()))
        if kind == BASELINE:
            truth = estimates
        found[kind] = {"kb": path.stat().st_size / 1e3, "distance_db": distance_db(truth, estimates), "busy": []}
        if stems is not None:
            scores = zip(sources, csdr(stems, estimates, rate).tolist(), strict=True)
            found[kind]["csdr"] = {source: score for source, score in scores if math.isfinite(score)}
    for _ in range(options.rounds):
        for kind, (_, separator) in kinds.items():
            started = time.process_time()
            separator.separate(mixture, rate)
            found[kind]["busy"].append((time.process_time() - started) * rate / mixture.shape[-1])
    return found


def rows(name: str, found: dict[str, dict[str, Any]]) -> Iterator[list[Any]]:
    baseline = found[BASELINE]
    for kind, values in found.items():
        ratio = statistics.median(its / own for its, own in zip(values["busy"], baseline["busy"], strict=True))
        distance, scores = values["distance_db"], values.get("csdr")  # of the stems that are there
        shown = ["", ""]
        if scores and kind == BASELINE:
            shown = [f"{statistics.mean(scores.values()):.2f}", ""]
        elif scores:
            changes = [score - baseline["csdr"][source] for source, score in scores.items()]
            shown = [f"{each:+.4f}" for each in (statistics.mean(changes), max(changes, key=abs))]
        distance = "equal" if distance is None else distance
        yield [name, kind, values["kb"], distance, *shown, statistics.median(values["busy"]), ratio]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--models", type=Path, nargs="*", help="checkpoints, trials, sweeps; default: random weights")
    parser.add_argument("--song", type=Path, help="a folder with a file for each stem; default: noise of no stems")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the song (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians are taken (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--device", help="as the other benchmarks have it; everything here is on the CPU")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)  # before ONNX Runtime's sessions, which take as many
    keep_freed_memory()  # as `unetsep separate` does
    result = report.facts(__doc__.partition("\n")[0], packages=("torch", "onnx", "onnxruntime", "safetensors"))
    models: dict[str, dict[str, dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as name:
        paths = {str(path): path for path in options.models or ()}
        if options.models is None:
            for number, each in enumerate(RANDOM):
                paths[each] = Path(name) / f"{number}.ckpt"
                checkpoint(paths[each], described()[each])
        for number, (each, path) in enumerate(paths.items()):
            folder = Path(name) / str(number)
            folder.mkdir()
            models[each] = measure(path, folder, options)
            print(f"{each}: done", flush=True)
    print("\n" + report.heading(result))
    columns = ["model", "kind", "kB", "distance, dB", "csdr, dB", "most of a stem", "busy", "ratio"]
    print(report.table(columns, [row for each, found in models.items() for row in rows(each, found)]), end="")
    settings = {"song": options.song and options.song.name, "seconds": options.seconds, "rounds": options.rounds}
    report.write(options.json, result | {"settings": settings, "models": models})


if __name__ == "__main__":
    main()
