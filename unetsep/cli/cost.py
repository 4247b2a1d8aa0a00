"""`unetsep cost`: what a separator costs, and what it looks like, before any training."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from unetsep.cli.command import UnetsepCLI
from unetsep.metrics import cost_card

_FORMS = {
    "params": ("parameters", "{:,.0f}"),
    "gmacs_per_second": ("GMAC per second of audio", "{:.4g}"),
    "depth": ("depth", "{:.0f}"),
    "receptive_field_seconds": ("receptive field in time", "{:.4g} s"),
    "receptive_field_hz": ("receptive field in frequency", "{:,.0f} Hz"),
    "peak_memory_mb": ("peak memory for 10 s", "{:,.1f} MB"),
    "rtf_cpu": ("real-time factor on this CPU", "{:.3g}"),
}


def main(args: Sequence[str]) -> None:
    """Prints the network as a U and the separator's cost card.

    Args:
        args: as for `unetsep fit`; the data need not be there.

    Raises:
        InputError: if the arguments are wrong.
    """
    command = UnetsepCLI(args=["--data.root=.", *args], run=False)  # what comes later overrides the root
    separator = command.model.separator
    print(separator.net)
    table = Table(show_header=False, box=None)
    for name, value in cost_card(separator).items():
        words, form = _FORMS.get(name, (name, "{:.4g}"))
        table.add_row(words, form.format(value), f"[dim]cost/{name}[/dim]")
    Console().print(table)
