"""The table of lessons: what to do in a situation, and the claim on whose verdicts each lesson rests.

A lesson is told only if the claim was tested and its verdicts bear it out (:mod:`byzcode.recommend.verdicts`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from byzcode.errors import complain, one_of
from byzcode.recommend.need import Need

Verdict = Literal["supported", "refuted"]


@dataclass(frozen=True)
class Situation:
    """``words`` follow "If"; ``holds(need)`` says whether it holds, unless the user must state it (``--expect``)."""

    words: str
    holds: Callable[[Need], bool] | None = None


SITUATIONS: dict[str, Situation] = {
    "always": Situation("devices lie", lambda need: need.f > 0),
    "compression": Situation("messages are compressed", lambda need: need.bits is not None),
    "unknown-alpha": Situation("you do not know how many devices lie"),
    "absence": Situation("devices may be late or absent"),
    "knowing-liars": Situation("liars may know the allocation or the rule"),
}
#: The situations that a user states.
STATED = tuple(name for name, situation in SITUATIONS.items() if situation.holds is None)


@dataclass(frozen=True)
class Lesson:
    """``advice`` in a situation, borne out if tests of a claim of a study have this ``verdict`` and none the opposite.

    Only the tests at the values of ``where`` count. ``alpha`` and ``attack`` (in words) are those of all runs of the
    study if it has a single one.
    """

    situation: str
    advice: str
    study: str
    claim: str
    verdict: Verdict = "supported"
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    alpha: float = math.inf
    attack: str | None = None


_ABSENT = {"absence.share": ("0.1", "0.2", "0.3")}

LESSONS = (
    Lesson(
        "always",
        "In place of sampled lists take an exact design, in which equally many devices hold each subset, if "
        "`byzcode allocations` lists one near your size.",
        "exact-designs",
        "a-design-beats-sampling",
        alpha=0.2,
    ),
    Lesson(
        "always",
        "Rather than vote on copies of gradients (ByzShield), send coded gradients: behind nearest neighbour mixing "
        "LAD ends lower.",
        "rivals",
        "mixed-votes-beat-mixed-coding",
        "refuted",
    ),
    Lesson(
        "compression",
        "Code first: with the same compression CRA-DL (r = 40) ends lower than RBA-DL.",
        "compressed-cra",
        "coding-pays-compressed",
        alpha=0.2,
        attack="sign flip",
    ),
    Lesson(
        "compression",
        "Keep rho below 1, as all rows above do: random-k with k/D = 0.7 lets CRA-DL (r = 40) end within twice its "
        "loss without compression. With the median keep more entries.",
        "compressed-cra",
        "stays-random-k-more",
        alpha=0.2,
        attack="sign flip",
    ),
    Lesson(
        "compression",
        "If you must keep as few as k/D = 0.3 of the entries, let all devices share the mask.",
        "compressed-cra",
        "sharing-third",
        alpha=0.2,
        attack="sign flip",
    ),
    Lesson(
        "unknown-alpha",
        "Code, and trim as much as the rule can (assumed_alpha: 0.45): CRA-DL (r = 40) then ends lower than RBA-DL "
        "that knows how many lie.",
        "unknown-alpha",
        "coding-pays-without-alpha",
        attack="sign flip",
    ),
    Lesson(
        "unknown-alpha",
        "With so few liars find out how many lie rather than code: RBA-DL that knows it ends lower than CRA-DL (r = "
        "40) that trims as much as the rule can.",
        "unknown-alpha",
        "coding-pays-without-alpha",
        "refuted",
        attack="sign flip",
    ),
    Lesson(
        "unknown-alpha",
        "Without coding do not trim as much as the rule can: assume only a few more liars than you guess.",
        "unknown-alpha",
        "trimming-costs-uncoded",
        attack="sign flip",
    ),
    Lesson(
        "unknown-alpha",
        "With coding and persistent liars, let the server estimate how many lie (estimation: remembered_scores) rather "
        "than trim as much as the rule can. No attack that knows the estimator was tried.",
        "estimated-alpha",
        "estimating-beats-trimming",
    ),
    Lesson(
        "unknown-alpha",
        "Where each device's own data have few labels, code, too: trimming as much as the rule can costs CRA-DL with "
        "r / M = 0.05 less than half again as many test errors.",
        "digits-unknown-alpha",
        "trimming-costs-coded-little",
        attack="sign flip",
    ),
    Lesson(
        "absence",
        "With coding do not wait for the slowest fifth: this raises the loss of CRA-DL (r = 40) by less than a "
        "quarter.",
        "stragglers",
        "absence-costs-coded-little",
        attack="sign flip",
    ),
    Lesson(
        "absence",
        "Code: if some messages do not come, CRA-DL (r = 40) ends lower than RBA-DL.",
        "stragglers",
        "coding-pays-with-absence",
        where=_ABSENT,
        attack="sign flip",
    ),
    Lesson(
        "absence",
        "With so few liars absence is no reason to code: RBA-DL ends lower than CRA-DL (r = 40).",
        "stragglers",
        "coding-pays-with-absence",
        "refuted",
        where=_ABSENT,
        attack="sign flip",
    ),
    Lesson(
        "absence",
        "If each device can store all data, redraw who computes what: LAD ends lower than CRA-DL for the same work.",
        "stragglers",
        "lad-below-cra",
        where=_ABSENT,
        attack="sign flip",
    ),
    Lesson(
        "absence",
        "Put a robust rule behind stochastic gradient coding: CRA-DL with its weights and a trimmed mean ends lower "
        "than SGC-DL.",
        "stragglers",
        "rule-beats-sgc",
        where=_ABSENT,
        attack="sign flip",
    ),
    Lesson(
        "absence",
        "Where each device's own data have few labels, do not wait for the slowest, either: leaving out 30 of 100 "
        "raises the test errors of CRA-DL with r / M = 0.05 by less than a quarter.",
        "digits-stragglers",
        "absence-costs-coded-little",
        alpha=0.2,
    ),
    Lesson(
        "knowing-liars",
        "Code: against liars chosen by the allocation CRA-DL (r = 40, trimmed mean) ends lower than RBA-DL.",
        "knowing-liars",
        "coding-helps-against-chosen-liars",
        alpha=0.2,
    ),
    Lesson(
        "knowing-liars",
        "Code where each device's own data have few labels, too: CRA-DL (r / M = 0.05, trimmed mean) makes fewer test "
        "errors than scattered devices without coding.",
        "digits-knowing-liars",
        "coding-helps-against-chosen-liars",
        alpha=0.2,
    ),
    Lesson(
        "knowing-liars",
        "If each device can store all data, redraw who computes what: behind nearest neighbour mixing LAD ends lower "
        "than CRA-DL for the same work, even if liars choose their rows.",
        "knowing-liars",
        "lad-below-cra",
        alpha=0.2,
    ),
    Lesson(
        "knowing-liars",
        "Keep LAD's permutation secret until messages are sent: liars who choose their rows do more harm.",
        "knowing-liars",
        "choosing-rows-harms-lad",
        alpha=0.2,
    ),
    Lesson(
        "knowing-liars",
        "Test your choice with lies tailored to the rule (attack: tailored): they harm CRA-DL more than flipped signs.",
        "knowing-liars",
        "tailoring-beats-flipping",
        alpha=0.2,
    ),
    Lesson(
        "knowing-liars",
        "Do not vote on copies: behind nearest neighbour mixing LAD ends lower than ByzShield, whose liars win most "
        "votes.",
        "rivals-chosen",
        "coding-beats-votes-chosen",
    ),
)


def holding(need: Need, stated: Collection[str]) -> list[str]:
    """The situations that hold for a need, with those that the user states, in the order of the table."""
    return [
        name
        for name, situation in SITUATIONS.items()
        if (name in stated if situation.holds is None else situation.holds(need))
    ]


def expected(given: Collection[str]) -> frozenset[str]:
    """The situations that a user states. Raises UserError if there is no such situation."""
    for name in given:
        if name not in STATED:
            raise complain("byzcode recommend", "--expect", name, one_of(STATED, name))
    return frozenset(given)
