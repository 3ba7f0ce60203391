"""Adapters: our rules and attacks behind the interfaces of other libraries.

:mod:`byzcode.adapters.byzfl` has byzfl's names and calls, and does not need byzfl. :mod:`byzcode.adapters.flower` has
strategies for Flower, which must be installed. Each module is loaded when it is imported, never by ``import byzcode``.
"""
