"""The types of data sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from numpy.typing import NDArray

from byzcode.data.files import DataFile
from byzcode.lazy import Entry


class Examples(NamedTuple):
    """Features (n, d), and labels (n,): classes numbered from 0, or real targets if the data set is for regression.

    Features are float32 if the set stores bytes, and float64 otherwise.
    """

    features: NDArray[Any]
    labels: NDArray[Any]


class Split(NamedTuple):
    """The training examples and the test examples."""

    training: Examples
    test: Examples


class Origin(NamedTuple):
    """Where a route gets a set: a package or the beginning of an address, and the place of each file in it, by name."""

    name: str
    members: Mapping[str, str]


@dataclass(frozen=True)
class DataSet(Entry):
    """The table entry of a data set, with its sizes, which are needed before the data are loaded.

    - ``classes``: 0 if the labels are real targets.
    - ``shape``: of an example, for models that need it, such as (1, 28, 28); its features are a flattened row.
    - ``files``: what ``byzcode data`` brings, with the pinned checksums; empty if an installed library has the data.
    - ``origins``: by route (:data:`byzcode.fetch.ROUTES`), where it gets these files.
    - ``source``, ``licence``, ``notice``: for the datasheet; ``notice`` is the text that must go with the files.
    """

    function: Callable[[], Split]
    training: int = field(kw_only=True)
    test: int = field(kw_only=True)
    features: int = field(kw_only=True)
    classes: int = field(kw_only=True)
    shape: tuple[int, ...] = field(default=(), kw_only=True)
    files: tuple[DataFile, ...] = field(default=(), kw_only=True)
    origins: Mapping[str, Origin] = field(default_factory=dict, kw_only=True)
    source: str = field(default="", kw_only=True)
    licence: str = field(default="", kw_only=True)
    notice: str = field(default="", kw_only=True)

    def load(self) -> Split:
        """Return the examples, the same at every call. Callers must not change the arrays.

        Raises UserError if the set needs files and one is missing or is not the pinned one.
        """
        return self.function()

    def datasheet(self) -> dict[str, Any]:
        """The source, licence, sizes and files of the set, for JSON."""
        return {
            "title": self.words,
            "source": self.source,
            "licence": self.licence,
            "training": self.training,
            "test": self.test,
            "features": self.features,
            "classes": self.classes,
            "files": [file._asdict() for file in self.files],
        }
