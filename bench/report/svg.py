"""
Horizontal bars as SVG: one small chart per metric, one bar per participant, drawn to scale from
zero. Bars that would leave the others unreadable are cut, with a gap to say so. Readable on a
light and on a dark page.
"""
from xml.sax.saxutils import escape

WIDTH, LABEL, VALUE, LINE, GAP, HEAD = 760, 118, 92, 17, 20, 22
BAR = WIDTH - LABEL - VALUE

KINDS = {"weft": "weft", "goroutines": "weft", "go": "go", "limit": "limit"}

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .title { font-weight: 600; }
  .note, .value { fill: #57606a; }
  .by { text-anchor: end; }
  .weft { fill: #0a6ed1; } .go { fill: #00a29c; } .other { fill: #b3bac2; }
  .limit { fill: none; stroke: #57606a; stroke-dasharray: 3 2; }
  .goal { stroke: #c93c37; stroke-width: 2; }
  .cut { stroke: #ffffff; stroke-width: 3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .note, .value { fill: #9198a1; }
    .weft { fill: #4da3ff; } .go { fill: #2bc4be; } .other { fill: #59616b; }
    .limit { stroke: #9198a1; } .goal { stroke: #ff7b72; } .cut { stroke: #0d1117; }
  }
"""


def pretty(v):
    """Three digits that mean something."""
    size = abs(v)
    if size >= 100:
        return f"{v:,.0f}"
    return f"{v:.1f}" if size >= 10 else f"{v:.2f}"


def scale_of(chart):
    """What the full width stands for: weft and Go in full, the others if they are not far more."""
    near = [v for by, v in chart["bars"] if by in ("weft", "go")] or [v for _, v in chart["bars"]]
    near = max([*near, chart["goal"] or 0])
    fitting = [v for _, v in chart["bars"] if v <= 1.6 * near]
    return max(fitting + [near]) or 1


def bar(by, v, full, y):
    kind = KINDS.get(by, "other")
    length = max(min(v / full, 1) * BAR, 1)
    parts = [f'<text class="by" x="{LABEL - 8}" y="{y + 12}">{escape(by)}</text>',
             f'<rect class="{kind}" x="{LABEL}" y="{y + 2}" width="{length:.1f}" '
             f'height="{LINE - 4}" rx="1"/>']
    if v > full:
        x = LABEL + BAR - 24
        parts.append(f'<path class="cut" d="M{x} {y + LINE} l8 -{LINE} m-14 {LINE} l8 -{LINE}"/>')
    parts.append(f'<text class="value" x="{LABEL + length + 6:.1f}" y="{y + 12}">{pretty(v)}</text>')
    return parts


def chart_parts(chart, y):
    """One metric. Returns its elements and the height that they take."""
    full = scale_of(chart)
    parts = [f'<text y="{y + 13}"><tspan class="title">{escape(chart["title"])}</tspan>'
             f'<tspan class="note" dx="8">{escape(chart["note"])}</tspan></text>']
    top = y + HEAD
    for i, (by, v) in enumerate(chart["bars"]):
        parts += bar(by, v, full, top + i * LINE)
    height = len(chart["bars"]) * LINE
    if chart["goal"]:
        x = LABEL + min(chart["goal"] / full, 1) * BAR
        parts.append(f'<line class="goal" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{top + LINE}"/>')
    return parts, HEAD + height + GAP


def draw(title, charts):
    """
    charts: dicts with title, note, bars [(by, value)...] in order, goal (a value, or None). The
    goal is the red line across weft's bar, which is the first.
    """
    parts, y = [], 8
    for chart in charts:
        more, height = chart_parts(chart, y)
        parts += more
        y += height
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" '
        f'height="{y}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>", *parts, "</svg>", ""])
