"""All files that say what the readings say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from byzcode.figures.style import theme
from byzcode.multiverse.deciding import choices, tree
from byzcode.multiverse.picture import picture
from byzcode.multiverse.stored import read
from byzcode.multiverse.summary import claims, sizes, stated
from byzcode.storage.atomic import text
from byzcode.storage.layout import STAGES


def summarise(paths: Sequence[Path], out: Path, requests: Mapping[str, str] | None = None) -> list[Path]:
    """Write the tables claims, choices, tree, sizes and stated (.csv) and the picture multiverse.* into ``out``.

    ``paths``: the files of the readings, ``requests`` what they were to be made for, as in
    :func:`byzcode.multiverse.stored.read`; the functions of :mod:`byzcode.multiverse.summary` and
    :mod:`byzcode.multiverse.deciding` say what stands in the tables. The same readings give the same bytes. Returns the
    paths of what it wrote. Raises UserError where a file is not a reading, where files do not belong together, where no
    reading is random, or where something cannot be written.
    """
    table = read(paths, requests)
    by_claim, by_choice = claims(table), choices(table)
    tables = dict(
        zip(STAGES["multiverse"].tables, (by_claim, by_choice, tree(table), sizes(table), stated(table)), strict=True)
    )
    with theme():
        drawing = picture(table, by_claim, by_choice)
        for name, rows in tables.items():
            with text(Path(out) / f"{name}.csv") as file:
                rows.to_csv(file, index=False, lineterminator="\n", float_format="%.6g")
        drawing.save(Path(out) / "multiverse")
    return [Path(out) / name for name in STAGES["multiverse"].files("multiverse")]
