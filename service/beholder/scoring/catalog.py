"""All scorers, encoders and panels of the model folders, found by name.

A folder is the registration: one that says something wrong stops start-up, and a name that is not there is answered
with the nearest that are.
"""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from beholder.errors import ConfigError, InvalidSample, ScorerNotFound
from beholder.scoring.spec import EncoderSpec, ScorerSpec, read_spec
from beholder.scoring.table import read_table

PANELS_FILE = "panels.toml"


@dataclass(frozen=True)
class Catalog:
    """What the folders hold, by name.

    Attributes:
        panels: name -> the scorers asked together, in order.
    """

    scorers: dict[str, ScorerSpec]
    encoders: dict[str, EncoderSpec]
    panels: dict[str, tuple[str, ...]]

    def scorer(self, name: str, field: str = "scorers") -> ScorerSpec:
        """Find a scorer.

        Raises:
            ScorerNotFound: there is none of that name; the message names the nearest.
        """
        if name not in self.scorers:
            raise ScorerNotFound(f"no scorer {name!r}{nearest(name, self.scorers)}", field)
        return self.scorers[name]

    def resolve(self, scorers: Sequence[str], panel: str) -> tuple[ScorerSpec, ...]:
        """Find the scorers asked, by their names or by a panel's.

        Raises:
            InvalidSample: as `names`.
            ScorerNotFound: no such scorer or panel; the message names the nearest.
        """
        names = self.names(scorers, panel)
        return tuple(self.scorer(name, f"scorers[{place}]") for place, name in enumerate(names))

    def names(self, scorers: Sequence[str], panel: str) -> tuple[str, ...]:
        """Return the names asked, those given or a panel's, whether anything has them or not.

        Raises:
            InvalidSample: both or neither are given, or a name comes twice.
            ScorerNotFound: no such panel; the message names the nearest.
        """
        if bool(scorers) == bool(panel):
            found = "both" if panel else "neither"
            raise InvalidSample(f"scorers: want either scorer names or a panel, got {found}", "scorers")
        if panel and panel not in self.panels:
            raise ScorerNotFound(f"no panel {panel!r}{nearest(panel, self.panels)}", "panel")
        names = self.panels[panel] if panel else tuple(scorers)
        for place, name in enumerate(names):
            if name in names[:place]:
                raise InvalidSample(f"scorers: want each scorer once, got {name!r} twice", f"scorers[{place}]")
        return names


def shipped_models() -> Path:
    """Return the folder of the scorers that come with Beholder: inside the wheel, else in the checkout."""
    installed = Path(__file__).parents[1] / "models"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "models"


def load_catalog(folders: Sequence[Path]) -> Catalog:
    """Read every scorer folder and `panels.toml` in `folders`; names that begin with `.` or `_` are left out.

    Raises:
        ConfigError: a folder or file can't be read, there is no scorer, a name comes twice, or one is used that is not
            there.
    """
    catalog = Catalog({}, {}, {})
    panel_files = dict[str, Path]()
    for folder in folders:
        for spec in map(read_spec, _scorer_folders(folder)):
            _add_spec(catalog, spec)
        for name, scorers in _read_panels(folder / PANELS_FILE).items():
            if name in panel_files:
                raise ConfigError(f"panel {name} comes twice: in {panel_files[name]} and {folder / PANELS_FILE}")
            panel_files[name] = folder / PANELS_FILE
            catalog.panels[name] = scorers
    _check_links(catalog, panel_files)
    if not catalog.scorers:
        where = " and ".join(map(str, folders))
        raise ConfigError(f"models: want folders of scorers, each in a folder with its scorer.toml; none is in {where}")
    return catalog


def nearest(name: str, names: Collection[str]) -> str:
    """Say which of `names` were perhaps meant, or else all that there are."""
    near = difflib.get_close_matches(name, names, n=3)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; there are: {', '.join(sorted(names))}" if names else "; there are none"


def _scorer_folders(folder: Path) -> list[Path]:
    if (folder / "scorer.toml").exists():
        raise ConfigError(f"{folder} is one scorer's folder; give the folder around it, {folder.parent}")
    try:
        children = sorted(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"models: can't read {folder}: {error.strerror}") from error
    return [child for child in children if child.name[0] not in "._" and (child / "scorer.toml").exists()]


def _add_spec(catalog: Catalog, spec: ScorerSpec | EncoderSpec) -> None:
    other = catalog.scorers.get(spec.name) or catalog.encoders.get(spec.name)
    if other:
        raise ConfigError(f"{spec.name} comes twice: in {other.folder} and {spec.folder}")
    if isinstance(spec, EncoderSpec):
        catalog.encoders[spec.name] = spec
    else:
        catalog.scorers[spec.name] = spec


def _read_panels(path: Path) -> dict[str, tuple[str, ...]]:
    if not path.exists():
        return {}
    top = read_table(path)
    table = top.table("panels")
    top.done()
    panels = {name: table.texts(name) for name in table}
    for name, scorers in panels.items():
        if not scorers:
            raise table.wrong(name, "at least one scorer", [])
    return panels


def _check_links(catalog: Catalog, panel_files: dict[str, Path]) -> None:
    for spec in catalog.scorers.values():
        if spec.encoder and spec.encoder not in catalog.encoders:
            hint = nearest(spec.encoder, catalog.encoders)
            raise ConfigError(f"{spec.folder / 'scorer.toml'}: encoder: no encoder {spec.encoder!r}{hint}")
    for name, scorers in catalog.panels.items():
        for scorer in scorers:
            if scorer not in catalog.scorers:
                hint = nearest(scorer, catalog.scorers)
                raise ConfigError(f"{panel_files[name]}: {name}: no scorer {scorer!r}{hint}")
