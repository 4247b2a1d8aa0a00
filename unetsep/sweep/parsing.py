"""The command line's understanding of a config, for hundreds of them."""

from argparse import ArgumentError
from copy import deepcopy
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser

from unetsep.audio.files import InputError
from unetsep.cli import LINKS, UnetsepCLI
from unetsep.cli.refusals import linked_or_unknown, one_line
from unetsep.cli.settings import SECTIONS
from unetsep.sweep.document import Config, parse_yaml
from unetsep.sweep.fold import MISSING, find, layered, put


class ConfigParser(UnetsepCLI):
    """The command line's parser alone, for many configs.

    With every default of every nested class it takes jsonargparse half a second a config, and what is linked costs a
    look at the whole model for each link. What a config says is checked ten times faster without them.
    """

    def __init__(self) -> None:
        super().__init__({}, run=False)
        self.defaults = self.plain(self.config)
        self.separator = {"class_path": find(self.defaults, "model.separator.class_path")}
        self.linked = {key: find(self.defaults, key) for key in LINKS.values()}
        self._known: tuple[Config, Namespace] | None = None

    def add_links(self, parser: LightningArgumentParser) -> None:
        """None: `parse` takes their place."""

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Finds the defaults; these two keys have none."""
        self.config = parser.parse_object({"data": {"root": "."}, "listening": {"out": "."}})

    def instantiate_classes(self) -> None:
        """Nothing: the configs that are parsed here are not trained here."""

    def _set_seed(self) -> None:
        """Nothing: parsing needs no random numbers."""

    def remember(self, config: Config, parsed: Namespace) -> None:
        """Spares the next `parse` of this config its work."""
        self._known = (deepcopy(config), parsed)

    def parse(self, config: Config) -> Namespace:
        """The config as jsonargparse's own object, without the defaults of classes; InputError if it is refused."""
        if self._known is not None and config == self._known[0]:
            return self._known[1]
        for problem in linked_or_unknown(config, SECTIONS, LINKS):
            raise InputError(problem)
        filled = layered({"model": {"separator": self.separator}}, config)
        for key, value in self.linked.items():
            if find(filled, key) is MISSING:
                put(filled, key, value)
        for target, source in LINKS.items():
            section = target.partition(".")[0]
            filled[section] = filled.pop(section, {})  # after what it is taken from, which is to blame if it is wrong
            if isinstance(filled[section], dict):
                put(filled, target, find(filled, source))
        try:
            return self.parser.parse_object(filled, defaults=False)
        except ArgumentError as error:
            raise InputError(one_line(str(error))) from None

    def plain(self, parsed: Namespace) -> Config:
        """A parsed config as plain values, without what is taken from elsewhere."""
        text = self.parser.dump(parsed, skip_unset=False, skip_validation=True, format="yaml")
        config = {key: value for key, value in parse_yaml(text, "config").items() if key not in ("config", "ckpt_path")}
        for target in LINKS:
            section, _, name = target.partition(".")
            config.get(section, {}).pop(name, None)
        return config
