"""The published U-Nets at every depth: parameters and multiply-accumulates, as a Markdown table and JSON."""

import argparse
import json
from pathlib import Path

from unetsep.cli import UnetsepCLI
from unetsep.metrics import cost_card

NETWORKS = ("deep_unet", "spectrogram_channels", "tfc_tdf")
DEPTHS = range(1, 8)
BASE = Path(__file__).parent.parent / "sweeps" / "base"


def card(network: str, depth: int) -> dict[str, float]:
    config = BASE / f"{network}.yaml"
    depths = f"--model.separator.init_args.net.init_args.depth={depth}"
    command = UnetsepCLI([f"--config={config}", "--data.root=.", depths], run=False)
    return cost_card(command.model.separator, measure=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the cards here, too")
    arguments = parser.parse_args()
    cards = {network: [card(network, depth) for depth in DEPTHS] for network in NETWORKS}
    print("| M parameters / GMAC/s | " + " | ".join(f"depth {depth}" for depth in DEPTHS) + " |")
    print("|---" * (len(DEPTHS) + 1) + "|")
    for network, row in cards.items():
        cells = (f"{each['params'] / 1e6:.3f} / {each['gmacs_per_second']:.3g}" for each in row)
        print(f"| `{network}` | " + " | ".join(cells) + " |")
    if arguments.json:
        arguments.json.write_text(json.dumps(cards, indent=2) + "\n")


if __name__ == "__main__":
    main()
