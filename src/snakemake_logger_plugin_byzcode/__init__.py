"""Snakemake's logger plugin ``byzcode``: what is at work, by study and method, in one line. profiles/default names it.

Snakemake imports every plugin at each start, also where byzcode or one of its libraries is missing; then this one shows
what Snakemake would.
"""

import os
import sys
from dataclasses import dataclass, field
from inspect import signature
from logging import LogRecord
from typing import TYPE_CHECKING, Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

if TYPE_CHECKING:
    from byzcode.execution.display.display import Display


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):  # Snakemake reads the types, so they cannot be strings
    """Settings on the command line: ``--logger-byzcode-show``."""

    show: str = field(
        default="auto",
        metadata={
            "help": "What to show: one line that changes (live), plain lines, or what Snakemake itself shows. "
            "auto: the live line on a terminal, plain lines elsewhere and in CI, and Snakemake's output for "
            "--dry-run, --printshellcmds, --verbose and --debug-dag.",
            "choices": ["auto", "live", "lines", "snakemake"],
            "env_var": True,
        },
    )


class LogHandler(LogHandlerBase):
    """Shows the records of a Snakemake run."""

    def __post_init__(self) -> None:
        from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter

        common = self.common_settings
        quiet: set[Any] = set(common.quiet or ())
        self._theirs = ColorizingTextHandler(
            nocolor=common.nocolor,
            stream=sys.stdout if common.stdout else sys.stderr,
            formatter=DefaultFormatter(quiet, common.show_failed_logs),
            filter=DefaultFilter(**{name: getattr(common, name) for name in signature(DefaultFilter).parameters}),
        )
        self._display = self._chosen({each.name.lower() for each in quiet})

    def _chosen(self, quiet: set[str]) -> "Display | None":
        """The display, or None if byzcode is missing or all of Snakemake's own output is wanted."""
        common = self.common_settings
        show = getattr(self.settings, "show", "auto")
        if show == "snakemake" or common.verbose or common.debug_dag:
            return None
        try:
            from byzcode.execution.display.display import Display
            from byzcode.execution.display.terminal import Terminal, has_colours, is_live
        except ImportError:
            return None
        live = show == "live" or (show == "auto" and is_live(sys.stderr, os.environ))
        colours = not common.nocolor and has_colours(sys.stderr, os.environ)
        terminal = Terminal(sys.stderr, live=live, colours=colours)
        as_theirs = show == "auto" and bool(common.dryrun or common.printshellcmds)
        return Display(terminal, self._theirs.handle, quiet=bool(quiet & {"all", "progress"}), as_theirs=as_theirs)

    def emit(self, record: LogRecord) -> None:
        """Show a record."""
        if self._display is None:
            self._theirs.handle(record)
        else:
            self._display.take(record)

    def close(self) -> None:
        """Say how the run ended; Snakemake calls this last."""
        if self._display is not None:
            self._display.close()
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """It takes the place of Snakemake's own output."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake itself writes the full log to a file."""
        return False

    @property
    def has_filter(self) -> bool:
        """It decides on each record itself."""
        return True

    @property
    def has_formatter(self) -> bool:
        """It formats each record itself."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """It does not use the graph of rules."""
        return False
