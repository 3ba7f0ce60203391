"""A table of tested claims as the workflow makes them, and worse: all that a page must bear."""

from __future__ import annotations

import hashlib
import math
from itertools import product
from typing import Any

import pandas as pd

from byzcode.scorecard.table import JUDGED

VERSIONS = {
    "byzcode": "0.1.0",
    "torch": "2.13.0",
    "numpy": "2.4.6",
    "scipy": "1.17.1",
    "python": "3.11.2",
    "engine digest": "0123456789ab",
}

HOSTILE = """<script>alert("1")</script> & 'quoted' "twice" {{ 7 * 7 }} </style> <!-- ]]>"""
LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverleihungsurkunde" * 2

_TITLES = {
    "cra-a": "Training under sign flipping, \u03b1 = 0.2",
    "cra-b": "Training under Gaussian lies, \u03b1 = 0.03",
    "cra-d": "More redundancy under sign flipping, \u03b1 = 0.2",
    "cra-f": "CRA-DL at r = 40 against exact coding at r = 110, \u03b1 = 0.05",
    "lad-a": "LAD against its baselines, f = 20 of 100",
    "lad-d": "Com-LAD, compressed messages, f = 20 of 100",
}
_RULES = ("median", "trimmed_mean", "phocas")


def table() -> pd.DataFrame:
    """About 60 rows in six studies."""
    rows = []
    for place, (study, against) in enumerate(
        product(("cra-a", "cra-b"), ("MA", "RBA-DL, 10 subsets", "SGC-DL, r = 40"))
    ):
        for step, rule in enumerate(_RULES):
            rows.append(_lower(study, f"lower-than-{against.split(',')[0].lower()}", against, rule, place * 3 + step))
    for step, coefficient in enumerate((-5, -2)):
        rows.append(
            _lower(
                "cra-a", "lower-than-clairvoyant", "Clairvoyant", f"median, attack.coefficient = {coefficient}", step
            )
        )
    for step, rule in enumerate(_RULES):
        rows.append(
            _equivalent(rule, 0.85 + 0.14 * step, 1.02 + 0.2 * step, ("supported", "supported", "undecided")[step])
        )
        rows.append(_exponent(rule, (1.02, -0.4, 0.61)[step], ("supported", "refuted", "undecided")[step]))
    for step, against in enumerate(("VA", "CWTM", "CWTM-NNM", "DRACO, d = 41")):
        for turn, attack in enumerate(("sign_flip", "alie", "ipm")):
            rows.append(
                _lower(
                    "lad-a",
                    f"lower-than-{against.lower().split(',')[0]}",
                    against,
                    f"attack = {attack}",
                    2 * step + turn,
                )
            )
    for step, against in enumerate(("Com-VA", "Com-CWTM", "Com-TGN")):
        for turn, compressor in enumerate(("random_k (share 0.1)", "random_k (share 0.3)", "qsgd (levels 4)")):
            place = f"compression = {compressor}"
            rows.append(_lower("lad-d", f"lower-than-{against.lower()}", against, place, step + 3 * turn))
    return pd.DataFrame(rows + _odd())


def unjudged() -> pd.DataFrame:
    """The same rows as in the tables of claims, without what a scorecard adds."""
    return table().drop(columns=list(JUDGED))


def _row(**values: Any) -> dict[str, Any]:
    study, place = values["study"], values.get("place", "")
    cell = "/".join(filter(None, (study, values["claim"], place)))
    runs = [hashlib.sha256(f"{cell}{side}".encode()).hexdigest()[:12] for side in "ab"]
    return {
        "study_title": _TITLES[study],
        "cell": cell,
        "place": place,
        "source": "CRA-DL, abstract" if study.startswith("cra") else "LAD, summary",
        "mark": "stated",
        "test": "lower",
        "statistic": "Excess loss at the plateau, as a ratio, seed by seed.",
        "confirms": "The ratio is below 1 in a signed rank test over the seeds.",
        "refutes": "The ratio is above 1 in a signed rank test over the seeds.",
        "compared": "CRA-DL, r = 40",
        "against": "",
        "unit": "ratio of plateaus",
        "neutral": 1.0,
        "band_low": math.nan,
        "band_high": math.nan,
        "p_support": 1.0,
        "p_refute": 1.0,
        "p_support_missing": values.get("p_support", 1.0),
        "p_refute_missing": values.get("p_refute", 1.0),
        "seeds_support": values.get("pairs", 20),
        "seeds_refute": values.get("pairs", 20),
        "kind": "empirical",
        "controls": "",
        "tested": runs[0],
        "verdict_heldout": values["verdict"],
        "verdict_missing_against": values["verdict"],
        "fragile": "",
        "warning": "",
        "pairs": 20,
        "seeds": 20,
        "unsettled": "",
        "ended": "",
        "note": "",
        "figure": f"{study}-excess",
        "runs": " ".join(runs),
        **values,
    }


def _lower(study: str, claim: str, against: str, rule: str, step: int) -> dict[str, Any]:
    effect = (0.31, 0.48, 0.83, 0.97, 1.06, 1.9, 0.052, 0.0041, 0.66)[step % 9]
    spread = (1.04, 1.3, 1.12, 1.09, 1.15, 1.4, 2.5, 1.8, 1.02)[step % 9]
    low, high = effect / spread, effect * spread
    verdict = "supported" if high < 1 else "refuted" if low > 1 else "undecided"
    place = rule if "=" in rule else f"aggregation = {rule}"
    return _row(
        study=study,
        claim=claim,
        place=place,
        says=f"{'CRA-DL' if study.startswith('cra') else 'LAD with d = 20'} ends lower than {against.split(',')[0]}.",
        against=against,
        compared="CRA-DL, r = 40" if study.startswith("cra") else "LAD-CWTM, d = 20",
        effect=effect,
        low=low,
        high=high,
        p_support=2e-5 if verdict == "supported" else 1.0,
        p_refute=0.0031 if verdict == "refuted" else 1.0,
        verdict=verdict,
        pairs=17 if step % 4 == 3 else 20,
        unsettled=f"{against}: 3 of 20 seeds not at plateau" if step % 4 == 3 else "",
    )


def _equivalent(rule: str, low: float, high: float, verdict: str) -> dict[str, Any]:
    return _row(
        study="cra-f",
        claim="as-good-as-clairvoyant",
        place=f"aggregation = {rule}",
        says="With r = 40, CRA-DL does as well as a server that knows the liars.",
        against="Clairvoyant, honest mean",
        test="equivalent",
        confirms="The ratio is between 1/1.25 and 1.25: both one-sided tests reject.",
        refutes="The ratio is outside of that margin in a one-sided test.",
        effect=math.sqrt(low * high),
        low=low,
        high=high,
        neutral=math.nan,
        band_low=0.8,
        band_high=1.25,
        p_support=0.0004 if verdict == "supported" else 0.31,
        verdict=verdict,
    )


def _exponent(rule: str, effect: float, verdict: str) -> dict[str, Any]:
    return _row(
        study="cra-d",
        claim="proportional-to-coded-variance",
        place=f"aggregation = {rule}",
        says="The squared error falls with r as the coded variance (M \u2212 r) / (r (M \u2212 1)) does.",
        mark="derived",
        kind="law",
        test="law",
        compared="CRA-DL",
        unit="exponent",
        neutral=0.0,
        effect=effect,
        low=effect - 0.11,
        high=effect + 0.09,
        verdict=verdict,
        note="slope over r = 10, 20, 30, 40, 50",
    )


def _odd() -> list[dict[str, Any]]:
    """Cells at the limits."""
    inf, nan = math.inf, math.nan
    says = "CRA-DL ends lower than a method that diverges, or is exact, or <b>worse</b>."
    cases: list[dict[str, Any]] = [
        {"place": "exact", "effect": 1e-12, "low": 1e-13, "high": 1e-11, "verdict": "supported"},
        {"place": "diverges", "effect": 0.0, "low": 0.0, "high": 0.0, "verdict": "supported",
         "ended": "MA: 20 of 20 seeds diverged"},
        {"place": "diverges itself", "effect": inf, "low": 2.5, "high": inf, "verdict": "refuted",
         "ended": "CRA-DL: 9 of 20 seeds diverged"},
        {"place": "huge", "effect": 3.3e9, "low": 1.2e9, "high": 8.8e9, "verdict": "refuted"},
        {"place": "wide", "effect": 1.0, "low": 0.0, "high": inf, "verdict": "undecided"},
        {"place": "nothing", "effect": nan, "low": nan, "high": nan, "p_support": nan, "p_refute": nan, "pairs": 0,
         "verdict": "undecided",
         "fragile": "fewer than half of the seeds decide",
         "warning": "the control <b>all</b> passes",
         "unsettled": "MA: 20 of 20 seeds not at plateau", "figure": "", "runs": ""},
        {"place": "no interval", "effect": 0.4, "low": nan, "high": nan, "verdict": "undecided"},
        {"place": f"label = {LONG}", "effect": 0.9, "low": 0.7, "high": 1.1, "verdict": "undecided", "note": LONG},
        {"place": HOSTILE, "effect": 0.7, "low": 0.6, "high": 0.8, "verdict": "supported", "compared": HOSTILE,
         "against": HOSTILE, "note": HOSTILE, "unsettled": HOSTILE, "ended": HOSTILE, "figure": HOSTILE},
    ]  # fmt: skip
    odd = [_row(study="cra-d", claim="odd", says=says, mark="inferred", **case) for case in cases]
    hostile = dict.fromkeys(("says", "source", "statistic", "confirms", "refutes", "unit", "runs"), HOSTILE)
    row = _row(
        study="lad-d", claim="hostile", **{**hostile, "effect": 2.0, "low": 1.5, "high": 3.0, "verdict": "refuted"}
    )
    nothing = dict.fromkeys(("effect", "low", "high", "neutral", "p_support", "p_refute", "pairs", "seeds"), nan)
    silent = dict.fromkeys(("statistic", "compared", "runs", "figure", "confirms", "refutes", "unit"), "")
    untested = _row(
        study="lad-d",
        claim="open",
        test="open",
        mark="unknown",
        verdict="undecided",
        says="Com-LAD learns deep models.",
        note="not tested here: only linear regression is implemented",
        **nothing,
        **silent,
    )
    return [*odd, row, untested]
