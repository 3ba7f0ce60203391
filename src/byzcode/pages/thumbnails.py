"""Small pictures of figures, inside a page: a page that is moved or mailed alone still shows them."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from byzcode.errors import UserError
from byzcode.storage.checksums import Checklist
from byzcode.storage.layout import STAGES

#: Colours of a thumbnail; figures have few. An octree keeps the colours of thin lines, which are few pixels.
_COLORS, _METHOD = 64, Image.Quantize.FASTOCTREE


@dataclass(frozen=True)
class Thumbnail:
    """A picture as a data address, and its size in pixels."""

    address: str
    width: int
    height: int


def thumbnail(
    results: Path, figure: str, width: int, request: str | None = None, *, tallest: float | None = None
) -> Thumbnail:
    """A stored figure, reduced to a width in pixels; with ``tallest`` as in :func:`reduced`.

    Raises UserError if the figure is missing or damaged, or was made for another request than the one of that hash.
    """
    listed = Checklist.read(STAGES["figure"].path(results, figure))
    if request is not None and listed.request != request:
        raise UserError(f"{listed.path}: made for another request, {listed.request}; expected {request}: make it anew")
    name = f"{figure}.png"
    try:
        return reduced(listed.content(name), width, tallest=tallest)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise UserError(f"{listed.path.with_name(name)}: damaged, or no picture: {error}") from None


def reduced(content: bytes, width: int, *, tallest: float | None = None) -> Thumbnail:
    """A picture in PNG, reduced to a width in pixels; if it is more than ``tallest`` times as high, its upper part."""
    with Image.open(io.BytesIO(content)) as stored:
        picture = stored.convert("RGB")
    height = picture.height if tallest is None else min(picture.height, round(tallest * picture.width))
    picture = picture.crop((0, 0, picture.width, height))
    picture = picture.resize((width, max(1, round(height * width / picture.width))), Image.Resampling.BOX)
    written = io.BytesIO()
    picture.quantize(_COLORS, method=_METHOD, dither=Image.Dither.NONE).save(written, "PNG")
    return Thumbnail(f"data:image/png;base64,{base64.b64encode(written.getvalue()).decode()}", *picture.size)
