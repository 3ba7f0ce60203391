"""The texts of a study that figures show."""

from __future__ import annotations

from byzcode.errors import complain
from byzcode.studies.letters import fonts_for, told
from byzcode.studies.study import Study


def unreadable(study: Study, path: str) -> list[str]:
    """Says of each text whose letters no font here has which these are: file, key, text, what to do."""
    texts = {"title": study.title}
    texts |= {f"curves[{place}].label": curve.label for place, curve in enumerate(study.curves)}
    texts |= {f"plots.{name}.caption": plot.caption for name, plot in study.plots.items()}
    if study.paper:
        texts |= {"paper.source": study.paper.source, "paper.figure": study.paper.figure}
    return [
        str(complain(path, key, text, told(missing)))
        for key, text in texts.items()
        if (missing := fonts_for([text]).missing)
    ]
