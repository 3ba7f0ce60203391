"""Write the tables and the figure that combine all readings."""

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
    """Write the tables claims, choices, tree, sizes and stated (.csv) and the figure multiverse.* into ``out``.

    ``paths`` are the files of the readings and ``requests`` the hashes of their requests, as in
    :func:`byzcode.multiverse.stored.read`. The functions of :mod:`byzcode.multiverse.summary` and
    :mod:`byzcode.multiverse.deciding` describe the tables. The same readings give the same bytes. Returns the paths of
    the written files. Raises UserError if a file is not a reading, if files do not belong together, if no reading is
    random, or if a file cannot be written.
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
