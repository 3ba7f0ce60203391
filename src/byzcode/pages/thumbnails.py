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

#: Colours of a thumbnail; figures have few.
_COLORS = 32
#: The largest height of a thumbnail, as a multiple of its width.
_TALLEST = 0.75


@dataclass(frozen=True)
class Thumbnail:
    """A picture as a data address, and its size in pixels."""

    address: str
    width: int
    height: int


def thumbnail(results: Path, figure: str, width: int, request: str | None = None) -> Thumbnail:
    """A stored figure, reduced to a width in pixels.

    Raises UserError if the figure is missing or damaged, or was made for another request than the one of that hash.
    """
    listed = Checklist.read(STAGES["figure"].path(results, figure))
    if request is not None and listed.request != request:
        raise UserError(f"{listed.path}: made for another request, {listed.request}; expected {request}: make it anew")
    name = f"{figure}.png"
    try:
        return reduced(listed.content(name), width)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise UserError(f"{listed.path.with_name(name)}: damaged, or no picture: {error}") from None


def reduced(content: bytes, width: int) -> Thumbnail:
    """A picture in PNG, reduced to a width in pixels; of a tall one the upper part, because captions are below."""
    with Image.open(io.BytesIO(content)) as stored:
        picture = stored.convert("RGB")
    height = min(picture.height, round(_TALLEST * picture.width))
    picture = picture.crop((0, 0, picture.width, height))
    picture = picture.resize((width, max(1, round(height * width / picture.width))), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    picture.quantize(_COLORS, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
    return Thumbnail(f"data:image/png;base64,{base64.b64encode(written.getvalue()).decode()}", *picture.size)
