"""Which allocations serve a size, and which sizes are nearest to it for the others."""

from __future__ import annotations

from byzcode.allocation import ALLOCATIONS


def serving(devices: int, subsets: int, redundancy: int) -> dict[str, str | None]:
    """Why each allocation cannot serve a size, or None where it can."""
    return {name: scheme.refuses(devices, subsets, redundancy) for name, scheme in ALLOCATIONS.items()}


def described(devices: int, subsets: int, redundancy: int) -> str:
    """The same in words: a line for each allocation, and one for all exact designs."""
    reasons = serving(devices, subsets, redundancy)
    exact = [name for name, scheme in ALLOCATIONS.items() if scheme.pairwise and reasons[name] is None]
    width = max(map(len, reasons))
    return "\n".join(
        [
            f"N = {devices} devices, M = {subsets} subsets, r = {redundancy} each: "
            f"r^2/M = {redundancy**2 / subsets:.6g}, N r/M = {devices * redundancy / subsets:.6g}",
            *(f"  {name:<{width}}  {f'no: {reason}' if reason else 'yes'}" for name, reason in reasons.items()),
            f"Exact designs of this size: {', '.join(exact) or 'none'}.",
        ]
    )
