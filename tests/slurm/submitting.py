"""A small project whose trainings go to SLURM, and what can be done to a training from outside."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dag.project import STUDIES, TINY, Project
from patience import wait_for

#: Where the plugin is: apart, because it slows each start of Snakemake where it is installed.
PLUGIN = Path(sys.prefix) / "slurm"

#: How often the machine may be found idle before what SLURM or Snakemake is to do: both sleep between two steps.
LOOKS = 3000

#: Quicker than on a real cluster; the profile is the shipped one.
QUICK = ("--latency-wait", "5", "--slurm-init-seconds-before-status-checks", "2")

#: In each training, before it begins. Files beside this one say what happens to it.
HOOK = """
import json, os, sys, time

words = [os.path.basename(word) for word in sys.orig_argv]
if words[1:3] == ["byzcode", "train"]:
    here = os.path.dirname(__file__)
    said = {"words": sys.orig_argv, "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"), "pid": os.getpid()}
    with open(os.path.join(here, "begun.jsonl"), "a") as file:
        file.write(json.dumps(said) + "\\n")
    hog = os.path.join(here, "megabytes")
    if os.path.exists(hog):
        taken = bytearray(os.urandom(1 << 20)) * int(open(hog).read())
        time.sleep(5)
        del taken
    if os.path.exists(os.path.join(here, "speak")):
        print("begun", file=sys.stderr, flush=True)
    while os.path.exists(os.path.join(here, "held")):
        time.sleep(0.1)
"""


def study(runs: int) -> dict[str, Any]:
    """So many runs of one allocation, and a figure of them."""
    return {
        "study": "many",
        "title": "Many runs",
        "base": {**TINY["lines"]["base"], "redundancy": 4},
        "curves": [
            {"label": "CRA-DL", "method": "cra_dl", "grid": {"problem.sigma_h": [run / 10 for run in range(runs)]}}
        ],
        "plots": {"plateau": {"kind": "sweep", "x": "problem.sigma_h", "caption": "The plateau."}},
    }


def jobs_in(output: str) -> set[str]:
    """The jobs that Snakemake says it runs, each as it says what it is."""
    return set(re.findall(r"^Job \d+: (.+)$", output, re.MULTILINE))


@dataclass(frozen=True)
class Submitting(Project):
    """A project on a cluster."""

    @property
    def environment(self) -> dict[str, str]:
        """As of a project that trains here, with the plugin and the hook on the path of Python."""
        settings = super().environment
        return {**settings, "PYTHONPATH": os.pathsep.join([str(self.hooks), settings["PYTHONPATH"], str(PLUGIN)])}

    @property
    def hooks(self) -> Path:
        return self.root / "hooks"

    @property
    def trajectories(self) -> list[Path]:
        return self.files("trajectories/*.nc")

    def ask_for(self, runs: int) -> None:
        """Let the project have a study of so many runs."""
        self.write(f"{STUDIES}/many.yaml", study(runs))
        self.hooks.mkdir(exist_ok=True)
        (self.hooks / "sitecustomize.py").write_text(HOOK, encoding="utf-8")

    def take_studies(self, source: Path, *names: str) -> None:
        """Let the project have studies of another one."""
        for name in names:
            path = f"{STUDIES}/{name}.yaml"
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes((source / f"{name}.yaml").read_bytes())

    def begun(self) -> list[Mapping[str, Any]]:
        """The trainings that have begun: their command line, their GPUs, their process."""
        file = self.hooks / "begun.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def hold(self) -> Path:
        """Let trainings wait from now on until the file returned is removed."""
        held = self.hooks / "held"
        held.touch()
        return held

    def submit(self, *arguments: str, profile: str = "slurm") -> subprocess.CompletedProcess[str]:
        """Run Snakemake with a profile, to its end."""
        words = ("--profile", f"profiles/{profile}", *QUICK, *arguments)
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *words],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    @contextmanager
    def submitting(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Snakemake at work, with the profile. It does not outlive the block."""
        process = self.start("--profile", "profiles/slurm", *QUICK, *arguments)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def wait_for_trainings(self, number: int) -> None:
        """Wait until so many trainings have begun."""
        wait_for(lambda: len(self.begun()) >= number, "no training begins", looks=LOOKS)

    def wait_for_words(self, words: str) -> None:
        """Wait until Snakemake has said something."""
        wait_for(
            lambda: words in self.output() or "Elapsed time" in self.output(), f"{words!r} was not said", looks=LOOKS
        )
        assert words in self.output(), self.output()

    def ended(self, process: subprocess.Popen[str]) -> str:
        """What Snakemake has said, once it has ended well."""
        status = process.wait()
        assert status == 0, self.output()
        return self.output()

    def data(self) -> dict[str, dict[str, bytes]]:
        """All variables of all trajectories, to the bit."""
        from byzcode.storage import trajectories

        values = {}
        for path in self.trajectories:
            variables = trajectories.open(path).variables.items()
            values[path.name] = {str(name): array.to_numpy().tobytes() for name, array in variables}
        return values
