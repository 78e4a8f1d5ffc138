"""Pictures of the figures: horizontal bars, as SVG that is readable on a light and on a dark page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

LINE, BAR, LABEL, CHART, NUMBERS, MARGIN, TOP = 24, 14, 470, 300, 180, 16, 52  # in pixels
STYLE = """\
svg { font: 13px system-ui, sans-serif; }
.page { fill: #ffffff; } text { fill: #24292f; } .small { fill: #57606a; } .title { font-size: 16px; font-weight: 600; }
.met { fill: #2a7f9e; } .missed { fill: #c4561c; } .ours { fill: #2a7f9e; } .other { fill: #a3acb5; } .mark { stroke: #24292f; }
@media (prefers-color-scheme: dark) {
.page { fill: #14161b; } text { fill: #dcdfe4; } .small { fill: #9aa4af; }
.met { fill: #56b6d6; } .missed { fill: #f0883e; } .ours { fill: #56b6d6; } .other { fill: #6b7480; } .mark { stroke: #dcdfe4; }
}
"""


@dataclass(frozen=True)
class Bar:
    """One bar: how long it is, what stands before and after it, and the class of its colour; a text alone without a length."""

    label: str
    length: float | None
    text: str
    tone: str


def picture(title: str, below: str, bars: Sequence[Bar], longest: float, mark: float | None = None) -> str:
    """The SVG of some bars.

    Args:
        title: the heading.
        below: a line under it.
        longest: the length at which a bar is cut off, which a break in it shows.
        mark: where a line crosses all bars.
    """
    width, height = 2 * MARGIN + LABEL + CHART + NUMBERS, TOP + LINE * len(bars) + 2 * MARGIN
    left, scale = MARGIN + LABEL + 8, CHART / longest
    line = left + (mark or 0.0) * scale  # no text crosses it
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(title)}">',
        f"<style>\n{STYLE}</style>",
        f'<rect class="page" width="{width}" height="{height}" rx="8"/>',
        f'<text class="title" x="{MARGIN}" y="{MARGIN + 12}">{html.escape(title)}</text>',
        f'<text class="small" x="{MARGIN}" y="{MARGIN + 32}">{html.escape(below)}</text>',
    ]
    for number, bar in enumerate(bars):
        y = TOP + MARGIN + number * LINE
        parts.append(f'<text x="{left - 8}" y="{y + BAR - 3}" text-anchor="end">{html.escape(bar.label)}</text>')
        if bar.length is None:
            parts.append(f'<text class="{bar.tone}" x="{line + 6:.1f}" y="{y + BAR - 3}">{html.escape(bar.text)}</text>')
            continue
        long = max(2.0, min(bar.length, longest) * scale)
        parts.append(f'<rect class="{bar.tone}" x="{left}" y="{y}" width="{long:.1f}" height="{BAR}" rx="2"/>')
        if bar.length > longest:
            x = left + long - 24
            parts.append(f'<path class="page" d="M {x} {y + BAR + 1} l 6 {-BAR - 2} h 5 l -6 {BAR + 2} z"/>')
        parts.append(f'<text class="small" x="{max(left + long, line) + 6:.1f}" y="{y + BAR - 3}">{html.escape(bar.text)}</text>')
    if mark is not None:
        parts.append(f'<line class="mark" stroke-dasharray="3 3" x1="{line}" x2="{line}" y1="{TOP + 8}" y2="{height - MARGIN}"/>')
    return "\n".join([*parts, "</svg>", ""])
