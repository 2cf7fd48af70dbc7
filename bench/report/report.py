#!/usr/bin/env python3
"""
Compares what bench/results/*.tsv say with bench/goals.tsv.

    bench/report/report.py RESULTS_DIR [--write]

Prints a table: metric, weft, the one compared with (Go unless the title says otherwise), ratio,
limit, goal. --write also puts it into docs/benchmarks.md, docs/models.md
and docs/scaling.md, draws docs/benchmarks/*.svg, and keeps the figures
as bench/reference.tsv. In README.md and docs/design.md it puts a figure before each comment
like <!--echo_100.rtt_p99 epoll /1000-->: metric, by whom, in thousands.
"""
import glob
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import svg  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLOTS = os.path.join(TOP, "docs/benchmarks")

GROUPS = {
    "sched": "Switching, starting, ending",
    "chan": "Channels and select",
    "sync": "Mutex and timers",
    "memory": "Memory",
    "server": "Servers",
    "late": "Lateness, blocking calls, idling",
}


class Figure:
    def __init__(self, cells):
        self.metric, self.by, self.unit = cells[1:4]
        self.median, self.low, self.high = map(float, cells[4:7])
        self.runs, self.others = int(cells[7]), float(cells[8])
        self.ratio = tuple(map(float, cells[9:12])) if len(cells) > 11 and cells[9] else None


class Goal:
    def __init__(self, cells):
        self.metric, self.by, self.op, goal, self.limit, self.group, self.title = cells
        self.goal = float(goal)

    def is_met(self, ratio):
        return ratio <= self.goal if self.op == "<=" else ratio >= self.goal


def read_tables(paths):
    """{comment: programs whose results have it}, and rows of cells."""
    comments, rows = {}, []
    for path in paths:
        program = os.path.splitext(os.path.basename(path))[0]
        for line in open(path):
            line = line.rstrip("\n")
            if line.startswith("#"):
                comments.setdefault(line, []).append(program)
            else:
                rows.append(line.split("\t"))
    return comments, rows


def machine_lines(comments):
    """What is known of the run. Said of some programs only, if others ran at another time."""
    everything = max(map(len, comments.values()))
    for comment, programs in comments.items():
        if "\t" not in comment:
            some = "" if len(programs) == everything else f" ({', '.join(programs)})"
            yield f"- {comment[2:]}{some}"


def read_figures(rows):
    figures = {}
    for cells in rows:
        figures.setdefault(cells[1], {})[cells[2]] = Figure(cells)
    return figures


def limit_of(goal, figures):
    """A sum of products of numbers and limits; "@by" is a peer's value of the same metric."""
    def value(name):
        if re.fullmatch(r"[0-9.]+", name):
            return float(name)
        if name.startswith("@"):
            return figures[goal.metric][name[1:]].median
        return figures[name]["limit"].median

    try:
        total = 0.0
        for term in goal.limit.split("+"):
            product = 1.0
            for factor in term.split("*"):
                product *= value(factor.strip())
            total += product
        return total
    except KeyError:
        return None


def ratio_text(r):
    return " - ".join(f"{v:.3f}" if v < 0.1 else f"{v:.2f}" for v in r)


def lines_of_table(goals, figures):
    """(title, weft, other, ratio, limit, goal, verdict) as text, for those measured."""
    for g in goals:
        by = figures.get(g.metric, {})
        weft, other = by.get("weft"), by.get(g.by)
        if weft is None or other is None or other.ratio is None:
            continue
        limit = limit_of(g, figures)
        yield (g.title, f"{svg.pretty(weft.median)} {weft.unit}", svg.pretty(other.median),
               f"{ratio_text(other.ratio[:1])} ({ratio_text(other.ratio[1:])})",
               "" if limit is None else svg.pretty(limit), f"{g.op} {g.goal:g}",
               "met" if g.is_met(other.ratio[0]) else "missed")


# Without a goal: metric and title.
REPORTED = (
    ("sizes.goroutine", "record of a goroutine"),
    ("sizes.channel", "channel, without its elements"),
    ("sizes.mutex", "mutex"),
    ("sizes.rwmutex", "read-write mutex"),
    ("sizes.waitgroup", "wait group"),
    ("call_goid", "`weft_goid`"),
    ("call_now", "`weft_now`"),
    ("call_syscall_enter_exit", "`weft_syscall_enter` and `_exit`"),
    ("call_try", "`weft_try` of a function that does not panic"),
    ("call_chan_new_unref", "a channel made and freed"),
    ("wake_2p.until_it_runs_p50", "woken on another thread, until it runs, p50"),
    ("wake_2p.until_it_runs_p99", "the same, p99"),
    ("pingpong_foreign_2p", "round trip with a thread that is not weft's"),
)


def reported_table(figures):
    out = ["| | unit | weft | go | threads |", "| --- | --- | ---: | ---: | ---: |"]
    for metric, title in REPORTED:
        by = figures.get(metric, {})
        cells = [svg.pretty(by[b].median) if b in by else "" for b in ("weft", "go", "pthread")]
        if "weft" in by:
            out.append(f"| {title} | {by['weft'].unit} | " + " | ".join(cells) + " |")
    return "\n".join(out)


HEADS = ("metric", "weft", "go", "ratio", "limit", "goal", "")


def print_table(lines):
    rows = [HEADS, *lines]
    widths = [max(len(r[i]) for r in rows) for i in range(len(HEADS))]
    for row in rows:
        print(row[0].ljust(widths[0]),
              *(c.rjust(w) for c, w in zip(row[1:-1], widths[1:-1])), row[-1], sep="  ")
    met = sum(row[-1] == "met" for row in lines)
    print(f"\n{met} of {len(lines)} goals met")


def markdown_table(lines):
    out = ["| metric | weft | go | ratio | limit | goal | |",
           "| --- | ---: | ---: | --- | ---: | --- | --- |"]
    return "\n".join(out + ["| " + " | ".join(
        row[:-1] + ("met" if row[-1] == "met" else "**missed**",)) + " |" for row in lines])


def charts_of(group, goals, figures):
    """One chart for each metric of the group, whatever it is compared with."""
    seen = set()
    for g in goals:
        by = figures.get(g.metric, {})
        if g.group != group or g.metric in seen or "weft" not in by:
            continue
        seen.add(g.metric)
        limit = limit_of(g, figures)
        others = sorted((f for b, f in by.items() if b not in ("weft", "go")),
                        key=lambda f: f.median)
        bars = [(b, by[b].median) for b in ("weft", "go") if b in by]
        bars += [(f.by, f.median) for f in others]
        if limit is not None and not g.limit.startswith("@"):
            bars.append(("limit", limit))
        better = "more is better" if g.op == ">=" else "less is better"
        goal = by["go"].median * g.goal if g.by == "go" and "go" in by else None
        yield {"title": g.title, "note": f"{by['weft'].unit}, {better}", "bars": bars, "goal": goal}


class Page:
    """A page whose parts between <!-- NAME --> and <!-- /NAME --> are generated."""

    def __init__(self, path):
        self.path = path
        with open(path) as f:
            self.text = f.read()

    def replace(self, name, body):
        pattern = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
        if not pattern.search(self.text):
            raise SystemExit(f"{self.path} has no part {name}")
        self.text = pattern.sub(lambda m: m[1] + body + "\n" + m[2], self.text)

    def save(self):
        with open(self.path, "w") as f:
            f.write(self.text)


def draw_plot(name, title, charts):
    with open(os.path.join(PLOTS, name + ".svg"), "w") as f:
        f.write(svg.draw(title, charts))


# Of bench/models.c, in the order of docs/models.md.
MODELS = (
    ("models_count_separate.wall", "count to 100,000 five times, a counter each: time"),
    ("models_count_separate.switches", "the same: switches between threads"),
    ("models_count_shared.wall", "count to 100,000 five times, one counter: time"),
    ("models_count_shared.switches", "the same: switches between threads"),
    ("models_wait.wall", "wait a second five times: time"),
    ("models_wait.switches", "the same: switches between threads"),
    ("models_wait.memory", "the same: memory"),
    ("models_wait.processes", "the same: processes"),
    ("models_wait.threads", "the same: threads, of all processes"),
    ("models_connections.requests", "10,000 connections: answers"),
    ("models_connections.rtt_p50", "the same: an answer takes (median)"),
    ("models_connections.rtt_p99", "the same: 99 of 100 take no longer than"),
    ("models_connections.memory", "the same: memory"),
    ("models_connections.processes", "the same: processes"),
    ("models_connections.threads", "the same: threads, of all processes"),
    ("models_connections.answers", "the same: answers until the end"),
    ("models_connections.switches", "the same: switches between threads until then"),
)


def write_models(figures):
    page = Page(os.path.join(TOP, "docs/models.md"))
    rows = ["| | unit | processes | threads | goroutines |", "| --- | --- | ---: | ---: | ---: |"]
    charts = []
    for metric, title in MODELS:
        by = figures.get(metric, {})
        if not {"process", "thread", "weft"} <= by.keys():
            return
        values = [by[b].median for b in ("process", "thread", "weft")]
        unit = by["weft"].unit
        rows.append(f"| {title} | {unit} | " + " | ".join(map(svg.pretty, values)) + " |")
        names = ("processes", "threads", "goroutines")
        better = "more is better" if unit == "k/s" else "less is better"
        charts.append({"title": title, "note": ", ".join(filter(None, [unit, better])),
                       "bars": list(zip(names, values)), "goal": None})
    page.replace("models", "\n".join(rows))
    page.save()
    draw_plot("models", "Processes, threads and goroutines", charts)


def write_scaling(figures):
    page = Page(os.path.join(TOP, "docs/scaling.md"))
    counts = ("1", "2", "4", "16", "64")
    rows = ["| ns, weft (Go) | " + " | ".join(n + "P" for n in counts) + " |",
            "| --- |" + " ---: |" * len(counts)]
    for name, title in (("round_trip", "a round trip"), ("spawn", "a goroutine, start to end"),
                        ("mutex", "lock and unlock, 64 want it")):
        cells = []
        for n in counts:
            by = figures.get(f"scaling_{name}_{n}p", {})
            if not {"weft", "go"} <= by.keys():
                return
            cells.append(f"{svg.pretty(by['weft'].median)} ({svg.pretty(by['go'].median)})")
        rows.append(f"| {title} | " + " | ".join(cells) + " |")
    page.replace("scaling", "\n".join(rows))
    page.save()


def quote_figures(path, figures):
    """What has not been measured stays as it is."""
    def figure(match):
        metric, by, times, factor = match.groups()
        if by not in figures.get(metric, {}):
            return match[0]
        value = figures[metric][by].median * float(factor or 1) ** (-1 if times == "/" else 1)
        return svg.pretty(float(f"{value:.3g}")) + match[0][match[0].index("<!--"):]

    with open(path) as f:
        text = f.read()
    text = re.sub(r"[\d.,]*\d<!--([\w.]+) ([\w-]+)(?: ([*/])(\d+))?-->", figure, text)
    with open(path, "w") as f:
        f.write(text)


def write_report(results, comments, goals, figures, lines):
    plots = []
    for group, title in GROUPS.items():
        charts = list(charts_of(group, goals, figures))
        if charts:
            draw_plot(group, title, charts)
            plots.append(f"### {title}\n\n![{title}](benchmarks/{group}.svg)\n")
    page = Page(os.path.join(TOP, "docs/benchmarks.md"))
    page.replace("machine", "\n".join(machine_lines(comments)))
    page.replace("table", markdown_table(lines))
    page.replace("reported", reported_table(figures))
    page.replace("plots", "\n".join(plots))
    costs = os.path.join(results, "costs.md")
    if os.path.exists(costs):
        with open(costs) as f:
            page.replace("costs", f.read().strip())
    page.save()


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    results = sys.argv[1]
    comments, rows = read_tables(sorted(glob.glob(os.path.join(results, "*.tsv"))))
    figures = read_figures(rows)
    goals = [Goal(r) for r in read_tables([os.path.join(TOP, "bench/goals.tsv")])[1]]
    lines = list(lines_of_table(goals, figures))
    if lines:
        print_table(lines)
    if "--write" in sys.argv[2:]:
        os.makedirs(PLOTS, exist_ok=True)
        write_report(results, comments, goals, figures, lines)
        write_models(figures)
        write_scaling(figures)
        for page in ("README.md", "docs/design.md"):
            quote_figures(os.path.join(TOP, page), figures)
        with open(os.path.join(TOP, "bench/reference.tsv"), "w") as f:
            heads = [c for c in comments if "\t" in c]
            lines = ["# " + line[2:] for line in machine_lines(comments)] + heads
            f.write("\n".join(lines + ["\t".join(r) for r in rows]) + "\n")


if __name__ == "__main__":
    main()
