"""Bring the files of data sets: by which routes, and with which checks.

``bring(name, results, routes)`` tries the routes of :data:`ROUTES` in order until all files of a data set are in the
folder of results. Packages are unpacked and never installed, and nothing in them is executed or unpickled.
"""

from byzcode.fetch.bringing import bring, need_files, request_of, sheets_of, state_of
from byzcode.fetch.routes import ROUTES

__all__ = ["ROUTES", "bring", "need_files", "request_of", "sheets_of", "state_of"]
