"""Charts of the report as inline SVG: they take their colours from the page, so they fit its light and dark themes."""

import math

import numpy as np
from markupsafe import Markup

WIDTH, HEIGHT = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 68, 14, 12, 46  # of the plotting area, in the units of the picture
ROW = 24  # height of a row of intervals()
BINS = 24


def ticks(low, high, count=6):
    """Round numbers between two bounds, about so many."""
    span = max(high - low, 1e-9)
    step = 10 ** math.floor(math.log10(span / count))
    step = next(step * k for k in (1, 2, 5, 10) if span / (step * k) <= count)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value, digits=None):
    """A number with a true minus sign; as few digits as it needs, or so many."""
    value = value if digits is None else round(value, digits) + 0.0  # no -0.00
    text = f"{value:.10g}" if digits is None else f"{value:.{digits}f}"
    return text.replace("-", "\u2212")


class _Chart:
    """A picture with axes from (low, high) pairs; ``parts`` collects its elements."""

    def __init__(self, x, y, title, width=WIDTH, height=HEIGHT, left=LEFT, bottom=BOTTOM):
        self.x_range, self.y_range, self.width, self.height = x, y, width, height
        self.left, self.bottom, self.title, self.parts = left, bottom, title, []

    def x(self, value):
        low, high = self.x_range
        return round(self.left + (value - low) / (high - low) * (self.width - self.left - RIGHT), 1)

    def y(self, value):
        low, high = self.y_range
        return round(self.height - self.bottom - (value - low) / (high - low) * (self.height - self.bottom - TOP), 1)

    def add(self, template, *args, **kwargs):
        """One element; what is filled in is escaped."""
        self.parts.append(Markup(template).format(*args, **kwargs))

    def line(self, kind, x1, y1, x2, y2):
        self.add('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>', kind, x1, y1, x2, y2)

    def x_axis(self, label, grid=False):
        foot = self.height - self.bottom
        for value in ticks(*self.x_range):
            if grid:
                self.line("grid", self.x(value), TOP, self.x(value), foot)
            self.add('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>', self.x(value), foot + 17,
                     number(value))
        self.line("axis", self.left, foot, self.width - RIGHT, foot)
        self.add('<text class="label" x="{}" y="{}" text-anchor="middle">{}</text>',
                 (self.left + self.width - RIGHT) / 2, self.height - 6, label)

    def y_axis(self, label, whole=False):
        for value in ticks(*self.y_range):
            if whole and value != round(value):
                continue
            self.line("grid", self.left, self.y(value), self.width - RIGHT, self.y(value))
            self.add('<text class="tick" x="{}" y="{}" text-anchor="end">{}</text>', self.left - 7, self.y(value) + 4,
                     number(value))
        middle = (TOP + self.height - self.bottom) / 2
        self.add('<text class="label" x="15" y="{0}" text-anchor="middle" transform="rotate(-90 15 {0})">{1}</text>',
                 middle, label)

    def svg(self):
        return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
            self.width, self.height, self.title, Markup("").join(self.parts))


def _range(*groups, zero=False):
    values = np.concatenate([np.asarray(group, np.float64).ravel() for group in groups] + [np.zeros(int(zero))])
    low, high = float(values.min()), float(values.max())
    margin = max((high - low) * 0.06, 1e-3)
    return low - margin, high + margin


def histogram(values, label, mean, digits=2):
    """How often which value occurs, with the mean and its interval.

    Args:
        values: float [N], none of them NaN.
        label (str): of the values, with their unit.
        mean (src.evaluation.confidence.Mean): of them.
    """
    values = np.asarray(values, np.float64)
    low, high = values.min(), values.max()
    near_zero = low <= high - low and high >= low - high  # then 0 is shown too
    bounds = ticks(*_range(values, zero=near_zero), count=BINS)
    step = bounds[1] - bounds[0] if len(bounds) > 1 else 1.0
    first, last = math.floor(low / step + 1e-9), math.floor(high / step + 1e-9) + 1
    edges = np.arange(min(first, 0) if near_zero else first, (max(last, 0) if near_zero else last) + 1) * step
    counts, _ = np.histogram(values, edges)
    chart = _Chart((edges[0] - step / 2, edges[-1] + step / 2), (0, max(counts.max() * 1.08, 1)),
                   f"histogram of {label}")
    chart.y_axis("utterances", whole=True)
    if mean.half is not None:
        start, end = chart.x(mean.value - mean.half), chart.x(mean.value + mean.half)
        chart.add('<rect class="band" x="{}" y="{}" width="{}" height="{}"/>', start, TOP, round(end - start, 1),
                  HEIGHT - BOTTOM - TOP)
    for count, start, end in zip(counts, edges, edges[1:]):
        if count:
            what = f"{count} utterance" + ("s" if count > 1 else "")
            chart.add('<rect class="{}" x="{}" y="{}" width="{}" height="{}">'
                      '<title>{} from {} to {}: {}</title></rect>',
                      "bar worse" if end <= 1e-9 else "bar", chart.x(start) + 0.7, chart.y(count),
                      round(chart.x(end) - chart.x(start) - 1.4, 1), round(chart.y(0) - chart.y(count), 1),
                      label, number(start), number(end), what)
    at = chart.x(mean.value)
    chart.line("mean", at, TOP, at, HEIGHT - BOTTOM)
    side = "start" if at < WIDTH * 0.7 else "end"
    chart.add('<text class="note" x="{}" y="{}" text-anchor="{}">mean {}</text>', at + (6 if side == "start" else -6),
              TOP + 11, side, number(mean.value, digits))
    chart.x_axis(label)
    return chart.svg()


def scatter(x, y, names, x_label, y_label, above, digits=2):
    """Points with the diagonal on which both are equal.

    Args:
        x, y: float [N], none of them NaN.
        names (list[str]): of the points.
        above (str): what it means to be above the diagonal.
    """
    chart = _Chart(_range(x), _range(y), f"{y_label} against {x_label}")
    chart.y_axis(y_label)
    chart.x_axis(x_label, grid=True)
    low = max(chart.x_range[0], chart.y_range[0])
    high = min(chart.x_range[1], chart.y_range[1])
    if low < high:
        chart.line("diagonal", chart.x(low), chart.y(low), chart.x(high), chart.y(high))
    radius = 4 if len(names) <= 500 else 2.5
    for name, before, after in zip(names, x, y):
        chart.add('<circle class="{}" cx="{}" cy="{}" r="{}"><title>{}: {} to {}</title></circle>',
                  "point" if after >= before else "point worse", chart.x(before), chart.y(after), radius, name,
                  number(before, digits), number(after, digits))
    chart.add('<text class="note" x="{}" y="{}">{}</text>', LEFT + 8, TOP + 11, above)
    return chart.svg()


def intervals(rows, label, digits=2):
    """Means of groups, one below the other, with their intervals.

    Args:
        rows (list): of (name, src.evaluation.confidence.Mean).
        label (str): of the values, with their unit.
    """
    ends = [value for _, mean in rows for value in (mean.value - (mean.half or 0), mean.value + (mean.half or 0))]
    # a group of two has an interval as wide as the whole chart: it is cut off where it leaves the means far behind
    means = np.array([mean.value for _, mean in rows] + [0.0])
    reach = max(np.ptp(means), 1e-3)
    low, high = _range(np.clip(ends, means.min() - reach, means.max() + reach), zero=True)
    left = 24 + 9 * min(max(len(name) for name, _ in rows), 26)
    chart = _Chart((low, high), (0, 1), f"{label} by group", height=TOP + BOTTOM + ROW * len(rows), left=left)
    chart.x_axis(label, grid=True)
    chart.line("zero", chart.x(0), TOP, chart.x(0), chart.height - BOTTOM)
    for i, (name, mean) in enumerate(rows):
        y = TOP + ROW * (i + 0.5)
        short = name if len(name) <= 26 else name[:25] + "…"
        chart.add('<text class="name" x="{}" y="{}" text-anchor="end">{}</text>', left - 10, y + 4, short)
        if mean.half is not None:
            ends = np.clip([mean.value - mean.half, mean.value + mean.half], low, high)
            chart.line("whisker", chart.x(ends[0]), y, chart.x(ends[1]), y)
        half = "" if mean.half is None else f" ± {mean.half:.{digits}f}"
        chart.add('<circle class="point solid" cx="{}" cy="{}" r="5"><title>{}: {}{}</title></circle>',
                  chart.x(mean.value), y, name, number(mean.value, digits), half)
    return chart.svg()
