"""List the allocations that serve a size, and the nearest sizes that the others serve."""

from __future__ import annotations

from collections.abc import Mapping

from byzcode.allocation import ALLOCATIONS


def serving(devices: int, subsets: int, redundancy: int) -> dict[str, str | None]:
    """For each allocation, the reason why it does not serve a size, or None if it does."""
    return {name: scheme.refuses(devices, subsets, redundancy) for name, scheme in ALLOCATIONS.items()}


def exact(reasons: Mapping[str, str | None]) -> list[str]:
    """The exact designs among the allocations that serve a size."""
    return [name for name, scheme in ALLOCATIONS.items() if scheme.pairwise and reasons[name] is None]


def described(devices: int, subsets: int, redundancy: int) -> str:
    """The same in words: a line per allocation, and a line that lists the exact designs."""
    reasons = serving(devices, subsets, redundancy)
    width = max(map(len, reasons))
    return "\n".join(
        [
            f"N = {devices} devices, M = {subsets} subsets, r = {redundancy} each: "
            f"r^2/M = {redundancy**2 / subsets:.6g}, N r/M = {devices * redundancy / subsets:.6g}",
            *(f"  {name:<{width}}  {f'no: {reason}' if reason else 'yes'}" for name, reason in reasons.items()),
            f"Exact designs of this size: {', '.join(exact(reasons)) or 'none'}.",
        ]
    )
