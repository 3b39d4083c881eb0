#!/usr/bin/python3
"""What became of the marked reads (marks.py) of each driver's workload.

tally.py check DRIVER RUNS REPORT   the driver's line and, by name, every read that was not compared;
                                    fails unless at least 95% of the reads to cover were compared,
                                    each mark was seen as often as it was run, none differed, and
                                    each read that must be skipped was, for its reason
tally.py table DIRECTORY            the lines of all drivers: DIRECTORY/DRIVER.runs and .report

RUNS is what the workload printed, REPORT is of `pgumbra report --format json`.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

MARK = re.compile(r"\b(?:cov|also|skip)_\w+")
# These carry the text of a read, but do not run it.
NOT_RUN = ("prepare", "deallocate", "declare", "explain")
DIFFERENT = ("mismatch", "unverifiable", "candidate_failed", "ambiguous_order", "nondeterministic",
             "matched_after_change")
LEAST = 0.95


def reasons(outcomes):
    """Why executions were not compared, or not alike: {"skipped writes": 2}."""
    found = Counter()
    for name in ("skipped", "dropped"):
        for reason, number in outcomes.get(name, {}).items():
            found[f"{name} {reason}"] += number
    for name in DIFFERENT:
        found[name] += outcomes.get(name, 0)
    return +found


class Tally:
    def __init__(self, runs, report):
        self.runs = Counter(json.loads(Path(runs).read_text()))
        report = json.loads(Path(report).read_text())
        self.executions, self.compared, self.why = Counter(), Counter(), {}
        for shape in report["shapes"]:
            self.add(shape)
        everything = Counter()
        for books in report["books"].values():
            everything += reasons(books)
        marked = sum(self.why.values(), Counter())
        self.others = everything - marked

    def add(self, shape):
        text = shape["normalized"]
        found = MARK.search(text)
        if not found or text.lower().startswith(NOT_RUN):
            return
        name = found.group()
        self.executions[name] += shape["executions"]
        self.compared[name] += shape["compared"]
        self.why[name] = self.why.get(name, Counter()) + reasons(shape["outcomes"])

    def names(self, kind):
        return [name for name in self.runs if name.startswith(kind)]

    def sum(self, counter, kind):
        return sum(counter[name] for name in self.names(kind))

    def reasons(self, kind):
        return sum((self.why.get(name, Counter()) for name in self.names(kind)), Counter())

    def share(self):
        return self.sum(self.compared, "cov_") / max(1, self.sum(self.runs, "cov_"))

    def problems(self):
        for name, runs in sorted(self.runs.items()):
            why = self.why.get(name, Counter())
            if self.executions[name] != runs:
                yield f"{name}: run {runs} times, seen {self.executions[name]} times"
            for reason in DIFFERENT:
                if why[reason]:
                    yield f"{name}: {why[reason]} {reason}, on an identical candidate"
            if name.startswith("skip_"):
                reason = "skipped " + name.removeprefix("skip_")
                if why != Counter({reason: runs}):
                    yield f"{name}: should be {reason}, was {dict(why)}"
            elif name.startswith("also_") and self.compared[name] != runs:
                yield f"{name}: {self.compared[name]} of {runs} compared"
        if self.share() < LEAST:
            yield f"only {self.share():.1%} of the reads to cover were compared"

    def line(self, driver):
        cells = [f"{driver:<11}", f"{self.sum(self.runs, 'cov_'):>8}",
                 f"{self.sum(self.compared, 'cov_'):>8}", f"{self.share():>8.1%}"]
        return " ".join(cells) + "  " + phrase(self.reasons("cov_"))

    def details(self):
        for name in sorted(self.runs):
            if not name.startswith("skip_") and self.compared[name] < self.runs[name]:
                yield f"{name}: {self.compared[name]} of {self.runs[name]} compared; " \
                      f"{phrase(self.why.get(name, Counter()))}"
        yield f"must be skipped: {phrase(self.reasons('skip_'))}"
        yield f"no marked reads: {phrase(self.others)}"


def phrase(counter):
    return ", ".join(f"{name} {number}" for name, number in sorted(counter.items())) or "-"


HEADING = f"{'driver':<11} {'to cover':>8} {'compared':>8} {'coverage':>8}  not compared"


def check(driver, runs, report):
    tally = Tally(runs, report)
    print(HEADING)
    print(tally.line(driver))
    for detail in tally.details():
        print(f"    {detail}")
    problems = list(tally.problems())
    for problem in problems:
        print(f"problem: {problem}")
    return 1 if problems else 0


def table(directory):
    print(HEADING)
    for runs in sorted(Path(directory).glob("*.runs")):
        tally = Tally(runs, runs.with_suffix(".report"))
        print(tally.line(runs.stem))
        for detail in tally.details():
            print(f"    {detail}")
    return 0


if sys.argv[1:2] == ["check"] and len(sys.argv) == 5:
    sys.exit(check(*sys.argv[2:]))
if sys.argv[1:2] == ["table"] and len(sys.argv) == 3:
    sys.exit(table(sys.argv[2]))
sys.exit(__doc__)
