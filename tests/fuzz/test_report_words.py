"""What Snakemake puts into the scripts of its report as it stands cannot end a script, nor be taken for a wildcard."""

from __future__ import annotations

import json

from fuzz.sandbox import TINY

from byzcode.gallery.report import subcategory
from byzcode.provenance.content import canonical
from byzcode.studies.study import Study

HOSTILE = "</script><script>reached = 1</script><!-- {wildcards.study} {input} &"


def test_a_request_says_the_same_and_ends_no_script() -> None:
    text = canonical({"label": HOSTILE})

    assert json.loads(text) == {"label": HOSTILE}
    assert "<" not in text


def test_a_title_is_neither_markup_nor_a_wildcard() -> None:
    said = subcategory(Study.model_validate(TINY | {"title": HOSTILE}))

    assert not set(said) & set("<>{}")
    assert "reached = 1" in said
