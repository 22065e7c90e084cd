"""The results as a table, as JSON and as a picture."""

import statistics
from dataclasses import dataclass
from html import escape
from math import log10

from figures import LABELS, Ratio, Target, number


@dataclass(frozen=True)
class Row:
    """A figure of one case: the rounds of the first contender beside those of another."""

    case: str
    figure: str
    us: str
    them: str
    ours: list
    theirs: list
    targets: tuple[Target, ...]

    @property
    def ratio(self):
        return Ratio.of(self.ours, self.theirs)

    @property
    def verdict(self):
        ratio, said = self.ratio, []
        if ratio:
            said.append(ratio.winner(self.figure, self.us, self.them) or "no winner: the rounds overlap")
        values = [(target, self.judged(target)) for target in self.targets]
        said += ["met" if target.is_met(value) else "MISSED" for target, value in values if value is not None]
        return "; ".join(said)

    @property
    def target(self):
        """In the order of the verdict."""
        return "; ".join(map(str, self.targets))

    def judged(self, target):
        """The value that the target is about; None when it was not measured."""
        if target.against is None:
            return statistics.median(self.ours) if self.ours else None
        return self.ratio and self.ratio.median


def rows(case, results):
    """The rows of one case. `results` is {contender: [figures of a round]}; the first contender is the one that has targets."""
    us, *others = results
    named = {figure: None for rounds in results.values() for found in rounds for figure in found}
    made = []
    for figure in named:
        column = {name: [found[figure] for found in rounds if found.get(figure) is not None] for name, rounds in results.items()}
        for them in others or [None]:
            meant = tuple(target for target in case.targets if target.figure == figure and target.against in (them, None))
            if column[us] or column.get(them):
                made.append(Row(case.title, figure, us, them or "", column[us], column.get(them, []), meant))
    return made


def table(made):
    """Markdown."""
    lines = ["| | | first | beside | ratio (lowest to highest) | target | |", "|---|---|---:|---:|---|---|---|"]
    case = None
    for row in made:
        first, beside = (number(statistics.median(values)) if values else "" for values in (row.ours, row.theirs))
        cells = [
            "" if row.case == case else row.case, LABELS.get(row.figure, row.figure), first, f"{row.them} {beside}".strip() if beside else "",
            str(row.ratio or ""), row.target, row.verdict,
        ]
        lines.append(f"| {' | '.join(cells)} |")
        case = row.case
    return "\n".join(lines) + "\n"


def document(made, about):
    """What `--json` writes: every round of every figure, so that nothing has to be believed."""
    described = [
        {
            "case": row.case, "figure": row.figure, "contender": row.us, "beside": row.them, "rounds": row.ours, "rounds_beside": row.theirs,
            "ratio": row.ratio and {"median": row.ratio.median, "low": row.ratio.low, "high": row.ratio.high},
            "target": row.target or None, "verdict": row.verdict,
        }
        for row in made
    ]
    return {"about": about, "rows": described}


WIDTH, LEFT, RIGHT, STEP, TOP = 1000, 430, 40, 22, 56
DECADES = (-2, 2)


def picture(made, title):
    """SVG: each ratio on a logarithmic scale with its spread; a mark where the target is. Ratios where less is better are green on the left."""
    shown = [row for row in made if row.ratio and (row.targets or row.figure in ("records_per_second", "p99_ms"))]
    height = TOP + STEP * len(shown) + 24

    def x(ratio):
        low, high = DECADES
        share = (min(max(log10(ratio), low), high) - low) / (high - low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/><text x="12" y="22" font-size="16">{escape(title)}</text>',
    ]
    for power in range(DECADES[0], DECADES[1] + 1):
        at = x(10**power)
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 8}" y2="{height - 20}" stroke="{"#444" if power == 0 else "#ddd"}"/>')
        parts.append(f'<text x="{at:.1f}" y="{TOP - 14}" text-anchor="middle" fill="#555">{10.0**power:g}×</text>')
    for index, row in enumerate(shown):
        y = TOP + STEP * index + STEP / 2
        colour = {row.us: "#1b7f4d", row.them: "#b3372f"}.get(row.ratio.winner(row.figure, row.us, row.them), "#888")
        label = escape(f"{row.case}: {LABELS.get(row.figure, row.figure)} / {row.them}")
        parts += [
            f'<text x="{LEFT - 10}" y="{y + 4:.1f}" text-anchor="end">{label}</text>',
            f'<line x1="{x(row.ratio.low):.1f}" x2="{x(row.ratio.high):.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-width="2"/>',
            f'<circle cx="{x(row.ratio.median):.1f}" cy="{y:.1f}" r="5" fill="{colour}"><title>{escape(str(row.ratio))}</title></circle>',
        ]
        for target in row.targets:
            if target.against:
                at = x(target.bound)
                parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y - 8:.1f}" y2="{y + 8:.1f}" stroke="#2255aa" stroke-width="3"/>')
    parts.append(f'<text x="{LEFT}" y="{height - 6}" fill="#555">blue: the target; grey: the rounds overlap, nobody wins</text></svg>')
    return "\n".join(parts) + "\n"
