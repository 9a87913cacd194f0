"""Small pictures as inline SVG: no script, no style sheet of their own, colours that follow the text around them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 240, 64
_BEFORE, _NOW, _ALARM = "#8888", "#2a78d6", "#d03b3b"
_TEXT = 12
_DIVIDER = 0.2


def histogram(labels: Sequence[str], before: Sequence[float], now: Sequence[float]) -> str:
    """Draw two distributions over each other: the reference filled, the present as a line.

    Parameters
    ----------
    labels : sequence of str
        What each bar is.
    before, now : sequence of float
        Shares of the same bars.

    Returns
    -------
    str
        An ``svg`` element.

    Examples
    --------
    >>> histogram(["a", "b"], [0.5, 0.5], [0.25, 0.75])[:4]
    '<svg'
    """
    most = max([*before, *now, 1e-9])
    each = WIDTH / max(1, len(before))
    filled = "".join(
        f"M{_n(place * each)} {HEIGHT}V{_n(HEIGHT * (1 - share / most))}h{_n(each * 0.92)}V{HEIGHT}z"
        for place, share in enumerate(before)
        if share
    )
    steps = "".join(f"V{_n(HEIGHT * (1 - share / most))}h{_n(each)}" for share in now)
    title = f"<title>{escape(_ends(labels))}</title>"
    line = f'<path d="M0 {HEIGHT}{steps}V{HEIGHT}" fill="none" stroke="{_NOW}" stroke-width="1.5"/>'
    body = f'{title}<path d="{filled}" fill="{_BEFORE}"/>{line}{_axis(labels, each)}'
    return _svg(body, WIDTH, HEIGHT + _TEXT)


def _axis(labels: Sequence[str], each: float) -> str:
    """Write names below the bars as far as there is room: of each bar, or of the first, the middle and the last."""
    room = int(each / 5.5)
    if not labels or room >= min(8, max(len(label) for label in labels)):
        return "".join(
            _text((place + 0.5) * each, HEIGHT + 10, _cut(label, room), "middle") for place, label in enumerate(labels)
        )
    last = len(labels) - 1
    ends = ((0, 0.0, "start"), (last // 2, (last // 2) * each, "middle"), (last, WIDTH, "end"))
    return "".join(_text(x, HEIGHT + 10, _cut(labels[place], 12), anchor) for place, x, anchor in ends)


def _cut(label: str, room: int) -> str:
    return label if len(label) <= room else f"{label[: max(1, room - 1)]}…"


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}">{escape(words)}</text>' if words else ""


def bars(share: float, *, over: bool) -> str:
    """Draw evidence against its limit, on a logarithmic scale from a thousandth of the limit to a thousand times it.

    Parameters
    ----------
    share : float
        The evidence as a share of the limit.
    over : bool
        Whether it counts as found.

    Returns
    -------
    str
        An ``svg`` element; the upright line is the limit.
    """
    decades = 3.0
    place = 0.0 if share <= 0 else (min(decades, max(-decades, math.log10(share))) + decades) / (2 * decades)
    colour = _ALARM if over else _NOW
    told = f"<title>{share:.3g} times its limit</title>"
    body = f'{told}<rect y="4" width="{_n(80 * place)}" height="6" fill="{colour}"/>'
    return _svg(body + '<path d="M40 0v14" stroke="currentColor"/>', 80, 14)


def course(
    values: Sequence[tuple[float | None, float | None, float | None]],
    *,
    band: tuple[float, float] | None = None,
    level: float | None = None,
    alarms: Sequence[bool] = (),
    begins: int | None = None,
) -> str:
    """Draw a metric window by window, with its intervals; left of the divider is the reference.

    Parameters
    ----------
    values : sequence of (value, low, high)
        Oldest first; None where nothing defines them.
    band : tuple of float, optional
        What is usual on the reference: a grey band, whose ends are thresholds.
    level : float, optional
        The value on the reference: a dashed line, that begins before the divider.
    alarms : sequence of bool
        Which windows are marked.
    begins : int, optional
        The window with which what an alert is about began: an upright line.

    Returns
    -------
    str
        An ``svg`` element.

    Examples
    --------
    >>> "circle" in course([(0.9, 0.85, 0.95), (0.7, 0.6, 0.8)], band=(0.8, 1.0), alarms=[False, True])
    True
    """
    known = [number for triple in values for number in triple if number is not None]
    known += [*(band or ()), *([] if level is None else [level])]
    if not known:
        return ""
    least, most = min(known), max(known)
    span = (most - least) or max(abs(most), 1.0)
    low, high = least - 0.05 * span, most + 0.05 * span
    left = WIDTH * _DIVIDER
    each = (WIDTH - left) / max(1, len(values))

    def x(place: int) -> str:
        return _n(left + (place + 0.5) * each)

    def y(value: float) -> str:
        return _n(HEIGHT * (1 - (value - low) / (high - low)))

    parts = [f'<path d="M{_n(left)} 0V{HEIGHT}" stroke="currentColor" stroke-dasharray="1 2"/>']
    if band is not None:
        top, bottom = float(y(band[1])), float(y(band[0]))
        parts.append(
            f'<rect y="{_n(top)}" width="{WIDTH}" height="{_n(max(1.0, bottom - top))}" fill="{_BEFORE}" opacity=".4"/>'
            f'<path d="M0 {_n(top)}H{WIDTH}M0 {_n(bottom)}H{WIDTH}" stroke="{_BEFORE}"/>'
        )
    if begins is not None:
        parts.append(f'<path d="M{_n(left + begins * each)} 0V{HEIGHT}" stroke="{_ALARM}" stroke-dasharray="3 2"/>')
    if level is not None:
        parts.append(f'<path d="M0 {y(level)}H{WIDTH}" stroke="currentColor" stroke-dasharray="4 3" opacity=".6"/>')
    whiskers = "".join(
        f"M{x(place)} {y(below)}V{y(above)}"
        for place, (_, below, above) in enumerate(values)
        if below is not None and above is not None
    )
    parts.append(f'<path d="{whiskers}" stroke="{_NOW}" opacity=".4"/>')
    line = " ".join(f"{x(place)},{y(value)}" for place, (value, _, _) in enumerate(values) if value is not None)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{_NOW}" stroke-width="1.5"/>')
    parts += [
        f'<circle cx="{x(place)}" cy="{y(value)}" r="2.5" fill="{_ALARM}"/>'
        for place, (value, _, _) in enumerate(values)
        if value is not None and place < len(alarms) and alarms[place]
    ]
    scale = _text(2, 10, f"{most:.3g}", "start") + _text(2, HEIGHT - 2, f"{least:.3g}", "start")
    return _svg("".join(parts) + scale)


def _svg(body: str, width: int = WIDTH, height: int = HEIGHT) -> str:
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'<svg {size} role="img" font-size="9" fill="currentColor">{body}</svg>'


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _ends(labels: Sequence[str]) -> str:
    shown = [label for label in labels if label]
    return ", ".join(shown) if len(shown) <= 5 else f"{shown[0]} … {shown[-1]}"  # noqa: PLR2004 - more do not fit
