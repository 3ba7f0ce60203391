"""Check that fonts can show the texts of a study that appear in figures."""

from __future__ import annotations

from byzcode.errors import complain
from byzcode.studies.letters import fonts_for, message
from byzcode.studies.study import Study


def unreadable(study: Study, path: str) -> list[str]:
    """A message (file, key, text, what to do) for each text with letters that no installed font has."""
    texts = {"title": study.title}
    texts |= {f"curves[{place}].label": curve.label for place, curve in enumerate(study.curves)}
    texts |= {f"plots.{name}.caption": plot.caption for name, plot in study.plots.items()}
    if study.paper:
        texts |= {"paper.source": study.paper.source, "paper.figure": study.paper.figure}
    return [
        str(complain(path, key, text, message(missing)))
        for key, text in texts.items()
        if (missing := fonts_for([text]).missing)
    ]
