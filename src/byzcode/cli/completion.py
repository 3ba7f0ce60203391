"""What shells complete: names that the user is typing. A mistake in a file completes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from byzcode.errors import UserError


def _completed(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """The names that begin with the text that the user has typed."""

    def complete(incomplete: str) -> list[str]:
        try:
            return [name for name in names() if name.startswith(incomplete)]
        except UserError:
            return []

    return complete


def _kinds() -> Iterable[str]:
    from byzcode.scaffold.new import KINDS

    return KINDS


def _data_sets() -> Iterable[str]:
    from byzcode.data import DATA_SETS

    return DATA_SETS


def _situations() -> Iterable[str]:
    from byzcode.recommend.lessons import STATED

    return STATED


def _studies() -> Iterable[str]:
    from byzcode.cli.arguments import load

    return load(None)[0].studies


def _runs() -> Iterable[str]:
    from byzcode.storage.layout import NETCDF, STAGES
    from byzcode.studies.workflow_config import settings

    folder = Path(settings().results) / STAGES["train"].folder
    return sorted(path.stem for path in folder.glob(f"[!.]*.{NETCDF}"))


kinds, data_sets, situations, studies, runs = map(_completed, (_kinds, _data_sets, _situations, _studies, _runs))
