"""The table of routes, in the order in which they are tried by default."""

from byzcode.fetch.route import Route
from byzcode.lazy import Table

ROUTES = Table(
    __name__,
    Route,
    (
        "file",
        "apt",
        "npm",
        "pip",
        "download",
    ),
)

__all__ = ["ROUTES"]
