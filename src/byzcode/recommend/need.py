"""The input of a recommendation: sizes, the number of Byzantine devices, and budgets, validated."""

from __future__ import annotations

import math
from dataclasses import dataclass

from byzcode.errors import complain
from byzcode.specs.settings import MOST_NUMBERS

#: Bits of one number in a message.
NUMBER = 32
#: The largest N M, the number of pairs of a device and a subset. M is at least N, so N is at most the square root.
LARGEST = 4 * 10**7
MOST_DEVICES = math.isqrt(LARGEST)
#: The largest dimension of a run.
MOST_DIMENSION = 10**9
#: The largest and the smallest positive heterogeneity, chosen so that its square times a bound is a finite float.
MOST, LEAST = 1e150, 1e-150


@dataclass(frozen=True)
class Need:
    """The input. Budgets are per iteration, for all devices together; ``bits`` is None if there is no limit.

    ``heterogeneity`` is betahat, the root mean squared distance of the subsets' gradients from the true gradient.
    """

    devices: int
    alpha: float
    heterogeneity: float
    gradients: int
    bits: int | None
    subsets: int
    dimension: int

    @property
    def f(self) -> int:
        """The number of Byzantine devices, alpha N rounded half up, as in a run."""
        return int(round(self.alpha * self.devices, 9) + 0.5)

    @property
    def share(self) -> int:
        """The number of subsets that each device can hold within the budget."""
        return min(self.gradients // self.devices, self.subsets)

    @property
    def message(self) -> float:
        """The number of bits that each device can send within the budget."""
        return math.inf if self.bits is None else self.bits // self.devices


def need(
    devices: int,
    alpha: float,
    heterogeneity: float,
    gradients: int,
    bits: int | None = None,
    subsets: int | None = None,
    dimension: int = 100,
) -> Need:
    """Make and check the input. Raises UserError if it is wrong or no configuration can satisfy it."""
    wanted = Need(devices, alpha, heterogeneity, gradients, bits, devices if subsets is None else subsets, dimension)
    wrong = _complaint(wanted)
    if wrong is not None:
        raise complain("byzcode recommend", *wrong)
    return wanted


def _complaint(need: Need) -> tuple[str, object, str] | None:
    """The key, the value and the allowed values of the first mistake, or None. Every allowed value is accepted."""
    devices, subsets = need.devices, need.subsets
    if not 1 <= devices <= MOST_DEVICES:
        return "--devices", devices, f"allowed: 1 to {MOST_DEVICES}"
    minority = (devices - 1) // 2
    most = f"{math.floor(10**6 * minority / devices) / 10**6:g}"
    if not 0 <= need.alpha < 0.5:
        allowed = f"allowed: 0 to less than 1/2, of {devices} devices 0 to {most}"
        return "--alpha", need.alpha, f"{allowed}; no server can tell which devices are honest if half are not"
    if need.f > minority:
        reason = f"f = {need.f} of {devices} devices are Byzantine (alpha N, rounded half up), which is not a minority"
        return "--alpha", need.alpha, f"{reason}; allowed: 0 to {most}"
    if not (need.heterogeneity == 0 or LEAST <= need.heterogeneity <= MOST):
        return "--heterogeneity", need.heterogeneity, f"allowed: 0, and {LEAST:g} to {MOST:g}"
    if not devices <= subsets <= LARGEST // devices:
        return "--subsets", subsets, f"allowed: {devices} to {LARGEST // devices}, at least one for each device"
    largest = min(MOST_DIMENSION, MOST_NUMBERS // subsets)
    if not 1 <= need.dimension <= largest:
        return "--dimension", need.dimension, f"allowed: 1 to {largest}, with {subsets} subsets"
    if need.gradients < devices:
        return "--budget-gradients", need.gradients, f"allowed: {devices} or more, one gradient for each device"
    if need.bits is not None and need.bits < NUMBER * devices:
        from byzcode.recommend.search import least_bits  # imported here because that module imports this one

        reason = f"every compressor sends at least one number of {NUMBER} bits per device"
        return "--budget-bits", need.bits, f"allowed: {least_bits(need)} or more, so that a bound exists; {reason}"
    return None
