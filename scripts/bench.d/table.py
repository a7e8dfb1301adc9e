"""What scripts/bench found: rows, the targets that they are held against, and the table of both."""

import json
import math
import statistics
from dataclasses import dataclass, field


@dataclass
class Row:
    """One thing that was measured in each round, or why it could not be."""

    section: str
    what: str
    n: int | None  # idle processes present; none where they do not matter
    unit: str = ""
    against: str = ""  # the row of the same section and N that the ratios are to
    values: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    besides: dict[str, list[float]] = field(default_factory=dict)
    why: str = ""  # there is no value


@dataclass(frozen=True)
class Target:
    """One of the limits that the agent is built to, by its number in their list: for a row's median, for
    its ratio, or for a figure beside it."""

    number: int
    text: str
    section: str
    what: str
    n: int | None
    figure: str  # "value", "ratio", or a name of `besides`
    limit: float
    at_least: bool = False


PASSES, REST, SMALL, LEDGER, REACTION = "a pass", "at rest", "start and size", "ledger", "reaction"
AGENT = "prunellad, default policy"
FORKS, FORK, HOOKED = "prunellad, forks", "fork and wait", "fork and wait, hook tied"
TARGETS = [
    Target(1, "process table by BPF to open/read/close", PASSES, "process table, bpf", 10_000, "ratio", 0.03),
    Target(1, "… of a thread, µs", PASSES, "thread, bpf", 10_000, "value", 0.2),
    Target(2, "process table by taskstats to the same", PASSES, "process table, taskstats", 10_000, "ratio", 0.25),
    Target(2, "process table by procfs to the same", PASSES, "process table, procfs", 10_000, "ratio", 1.10),
    Target(3, "agent at rest, % of a core", REST, AGENT, 2_000, "value", 0.06),
    Target(3, "agent at rest, % of a core", REST, AGENT, 10_000, "value", 0.1),
    Target(3, "netdata to agent", REST, "netdata, 1 s", 2_000, "ratio", 100, at_least=True),
    Target(3, "monit, 1 s, to agent", REST, "monit, 10 checks, 1 s", 2_000, "ratio", 100, at_least=True),
    Target(3, "earlyoom to agent", REST, "earlyoom", 2_000, "ratio", 0.1, at_least=True),
    Target(4, "agent's PSS, MiB", REST, AGENT, 2_000, "PSS MiB", 8),
    Target(4, "agent's PSS, MiB", REST, AGENT, 10_000, "PSS MiB", 12),
    Target(4, "size of the binary, MiB", SMALL, "binary prunellad", None, "value", 8),
    Target(4, "start to first sample, ms", SMALL, "start to first sample", None, "value", 50),
    Target(5, "agent's wake-ups a second", REST, AGENT, 2_000, "wake-ups/s", 2),
    Target(6, "exit known, p50 in ms", REACTION, "direct manager", None, "value", 0.5),
    Target(6, "exit known, p99 in ms", REACTION, "direct manager", None, "p99 ms", 2),
    Target(7, "memory, threshold to decision, p95 in ms", REACTION, "memory tripwire", None, "p95 ms", 25),
    Target(7, "pressure told to decision, ms", REACTION, "pressure trigger", None, "ms after a bare poll", 10),
    Target(7, "pressure begun to decision, × window", REACTION, "pressure trigger", None, "× the window, p99", 1.2),
    Target(8, "20,000 forks a minute seen, % of a core", REST, FORKS, 2_000, "value", 2),
    Target(8, "forks, with the agent to without", REST, FORKS, 2_000, "ratio", 1.05),
    Target(8, "their count's error, %", REST, FORKS, 2_000, "count error %", 1),
    Target(8, "forks, while it looks who makes them", REST, HOOKED, 2_000, "ratio", 1.05),
    Target(9, "synced records a second", LEDGER, "synced records", None, "value", 300, at_least=True),
    Target(9, "unsynced records a second", LEDGER, "unsynced records", None, "value", 5_000, at_least=True),
]


class Results:
    """All rows, in the order in which they came up."""

    def __init__(self, profile: str) -> None:
        self.profile = profile  # what was built with
        self.rows: dict[tuple[str, str, int | None], Row] = {}

    def note(self, section: str, what: str, n: int | None, value: float, unit: str, **besides: float) -> None:
        row = self.row(section, what, n)
        row.unit = unit
        row.values.append(value)
        for name, figure in besides.items():
            row.besides.setdefault(name.replace("_", " "), []).append(figure)

    def compare(self, section: str, what: str, n: int | None, ratio: float, against: str) -> None:
        row = self.row(section, what, n)
        row.against = against
        row.ratios.append(ratio)

    def lack(self, section: str, what: str, n: int | None, why: str) -> None:
        self.row(section, what, n).why = why

    def row(self, section: str, what: str, n: int | None) -> Row:
        return self.rows.setdefault((section, what, n), Row(section, what, n))

    def judge(self, target: Target) -> tuple[str, float | None, str]:
        """`met`, `missed` or `not measured`, with the figure or the reason."""
        if self.profile == "dev":
            return "not measured", None, "this build is not optimised"
        row = self.rows.get((target.section, target.what, target.n))
        if row is None:
            return "not measured", None, "there is no such row in this run"
        figures = {"value": row.values, "ratio": row.ratios}.get(target.figure) or row.besides.get(target.figure, [])
        if not figures:
            return "not measured", None, row.why or "there is no such figure"
        figure = statistics.median(figures)
        good = figure >= target.limit if target.at_least else figure <= target.limit
        return "met" if good else "missed", figure, ""

    def broken(self, expected: dict[str, list[str]]) -> list[str]:
        """Rows that are missing, and figures that can't be."""
        there = {(row.section, row.what) for row in self.rows.values()}
        found = [f"there is no row {what!r}" for section, names in expected.items() for what in names
                 if (section, what) not in there]
        for row in self.rows.values():
            if not row.values and not row.why:
                found.append(f"{row.what}: nothing, and no reason")
            if any(not math.isfinite(figure) or figure <= 0 for figure in row.values + row.ratios):
                found.append(f"{row.what}: {row.values}, ratios {row.ratios}")
        return found

    def json(self, about: dict) -> str:
        judged = [(target, *self.judge(target)) for target in TARGETS]
        return json.dumps({
            "about": about,
            "rows": [vars(row) for row in self.rows.values()],
            "targets": [{**vars(target), "verdict": verdict, "figure_seen": figure, "why": why}
                        for target, verdict, figure, why in judged],
        }, indent=1)

    def table(self) -> str:
        lines = []
        for section in dict.fromkeys(row.section for row in self.rows.values()):
            lines.append(f"\n{section:38}{'N':>7}  {'min':>9}{'median':>9}{'max':>9} {'unit':8}"
                         f"{'ratio':>8}  {'(min to max)':22}to")
            lines += [line(row) for row in self.rows.values() if row.section == section]
        lines.append(f"\n{'target':50}{'N':>7}  {'limit':>9}{'seen':>9}")
        lines += [self.target_line(target) for target in TARGETS]
        return "\n".join(lines)

    def target_line(self, target: Target) -> str:
        verdict, figure, why = self.judge(target)
        limit = f"{'≥' if target.at_least else '≤'} {short(target.limit)}"
        seen = "–" if figure is None else short(figure)
        name = f"{target.number}. {target.text}"
        return f"{name:50}{count(target.n):>7}  {limit:>9}{seen:>9}  {verdict}{': ' + why if why else ''}"


def line(row: Row) -> str:
    head = f"{row.what:38}{count(row.n):>7}  "
    if not row.values:
        return f"{head}not available: {row.why}"
    low, middle, high = spread(row.values)
    text = f"{head}{short(low):>9}{short(middle):>9}{short(high):>9} {row.unit:8}"
    if row.ratios:
        least, usual, most = spread(row.ratios)
        text += f"{short(usual):>8}  {f'({short(least)} to {short(most)})':22}{row.against}"
    beside = ", ".join(f"{short(statistics.median(figures))} {name}" for name, figures in row.besides.items())
    text = text.rstrip() + (f"  [{beside}]" if beside else "")
    return f"{text}  (not in every round: {row.why})" if row.why else text


def spread(figures: list[float]) -> tuple[float, float, float]:
    return min(figures), statistics.median(figures), max(figures)


def count(n: int | None) -> str:
    return "" if n is None else f"{n:,}"


def short(figure: float) -> str:
    """Three digits that tell something."""
    if figure == int(figure) or not math.isfinite(figure):
        return f"{figure:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(figure))))
    return f"{figure:,.{digits}f}"
