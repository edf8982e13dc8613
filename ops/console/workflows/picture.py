"""A drawing with what is known of its states: which ran and how, or how many executions wait and failed in each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ops.console.workflows.words import outcome_word, short_resource
from ops.models import StateMachineVersion
from ops.workflows.graph.drawing import (
    LINE,
    PADDING,
    WORD_SIZE,
    Drawing,
    Label,
    Line,
    Node,
    TooLarge,
    draw,
)
from ops.workflows.graph.letters import cut, width_of
from ops.workflows.graph.shape import END, START, Way
from ops.workflows.steps import Outcome

MARGIN = 14.0  # around the drawing, for what stands on its edges


@dataclass(frozen=True)
class Counts:
    """How many executions wait, or run, in a state now, and how many have failed there."""

    waiting: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Text:
    x: str
    y: str
    words: str


@dataclass(frozen=True)
class Badge:
    """A number on the upper edge of a state."""

    kind: str  # "waiting" or "failed"
    x: str
    y: str
    width: str
    icon_x: str
    icon_y: str
    text_x: str
    text_y: str
    number: str


@dataclass(frozen=True)
class Shape:
    """A state, ready to be written: numbers as texts, since templates would write them in the reader's way."""

    node: Node
    x: str
    y: str
    width: str
    height: str
    lines: tuple[Text, ...]
    word: Text | None
    outcome: str
    says: str  # all that the shape shows, in words
    badges: tuple[Badge, ...]
    mark_x: str
    middle_x: str
    middle_y: str

    @property
    def is_end(self) -> bool:
        return self.node.name in (START, END)


@dataclass(frozen=True)
class Stroke:
    line: Line
    taken: bool
    label: Label | None
    label_x: str = ""
    label_y: str = ""
    label_width: str = ""
    text_x: str = ""
    text_y: str = ""


@dataclass(frozen=True)
class Picture:
    width: str
    height: str
    view: str
    boxes: tuple[Shape, ...]
    shapes: tuple[Shape, ...]
    strokes: tuple[Stroke, ...]
    ran: bool  # it shows one execution, not all


Ways = Mapping[tuple[str, str], set[bool]]


@lru_cache(maxsize=64)
def drawing_of(version_id: int) -> Drawing | None:
    """The drawing of a version, which never changes; None where it has too many states."""
    text = StateMachineVersion.objects.values_list("definition", flat=True).get(pk=version_id)
    return drawing_in(text)


def drawing_in(definition: str) -> Drawing | None:
    try:
        return draw(json.loads(definition))
    except TooLarge:
        return None


def plain_picture(drawing: Drawing) -> Picture:
    return picture(drawing)


def counted_picture(drawing: Drawing, counts: Mapping[str, Counts]) -> Picture:
    return picture(drawing, counts=counts)


def ran_picture(
    drawing: Drawing, outcomes: Mapping[str, Outcome], ways: Ways, children: Mapping[str, Counts] | None = None
) -> Picture:
    """How one execution went; `children`: where those of its distributed Maps stand and failed."""
    return picture(drawing, outcomes=outcomes, ways=ways, counts=children)


def picture(
    drawing: Drawing,
    *,
    counts: Mapping[str, Counts] | None = None,
    outcomes: Mapping[str, Outcome] | None = None,
    ways: Ways | None = None,
) -> Picture:
    shapes = [shape_of(node, (counts or {}).get(node.name), (outcomes or {}).get(node.name)) for node in drawing.nodes]
    strokes = [stroke_of(line, ways or {}) for line in drawing.lines]
    width, height = drawing.width + 2 * MARGIN, drawing.height + 2 * MARGIN
    return Picture(
        width=number(width),
        height=number(height),
        view=f"{number(-MARGIN)} {number(-MARGIN)} {number(width)} {number(height)}",
        boxes=tuple(shape for shape in shapes if shape.node.box is not None),
        shapes=tuple(shape for shape in shapes if shape.node.box is None),
        strokes=tuple(sorted(strokes, key=lambda stroke: stroke.taken)),
        ran=outcomes is not None,
    )


def number(value: float) -> str:
    return f"{value:.1f}"


def shape_of(node: Node, counts: Counts | None, outcome: Outcome | None) -> Shape:
    first = node.y + (22.0 if node.box is not None else PADDING + 12)
    x = node.x + (PADDING if node.box is not None else node.width / 2)
    lines = tuple(Text(number(x), number(first + LINE * place), words) for place, words in enumerate(node.lines))
    word = None
    if node.box is None and node.lines:
        kind = f"{node.kind} · {short_resource(node.resource)}" if node.resource else node.kind
        words = cut(kind, node.width - PADDING, size=WORD_SIZE)
        word = Text(number(x), number(first + LINE * len(lines) - 1), words)
    return Shape(
        node=node,
        x=number(node.x),
        y=number(node.y),
        width=number(node.width),
        height=number(node.height),
        lines=lines,
        word=word,
        outcome=outcome.value if outcome else "",
        says=said(node, counts, outcome),
        badges=tuple(badges_of(node, counts)) if counts else (),
        mark_x=number(node.right - 2),
        middle_x=number(node.middle),
        middle_y=number(node.y + node.height / 2),
    )


def said(node: Node, counts: Counts | None, outcome: Outcome | None) -> str:
    """What a shape shows, for who cannot see it."""
    parts = [f"{node.name} ({node.kind})"]
    if outcome:
        parts.append(outcome_word(outcome))
    if counts and counts.waiting:
        n = counts.waiting
        parts.append(ngettext("%(n)d execution stands here now", "%(n)d executions stand here now", n) % {"n": n})
    if counts and counts.failed:
        n = counts.failed
        parts.append(ngettext("%(n)d execution failed here", "%(n)d executions failed here", n) % {"n": n})
    return ", ".join(parts)


def badges_of(node: Node, counts: Counts) -> Sequence[Badge]:
    found = []
    for kind, count in (("waiting", counts.waiting), ("failed", counts.failed)):
        if count:
            words = shortened(count)
            width = width_of(words, size=11) + 26
            x = node.x + 6 if kind == "waiting" else node.right - 6 - width
            found.append(
                Badge(
                    kind=kind,
                    x=number(x),
                    y=number(node.y - 9),
                    width=number(width),
                    icon_x=number(x + 11),
                    icon_y=number(node.y),
                    text_x=number(x + 20),
                    text_y=number(node.y + 4),
                    number=words,
                )
            )
    return found


def shortened(count: int) -> str:
    """A number in few signs: 999, 1.2k, 35k, 1.0M."""
    if count < 1_000:
        return str(count)
    size, letter = (count / 1e6, "M") if count >= 999_500 else (count / 1e3, "k")
    return f"{size:.1f}{letter}" if size < 10 else f"{size:.0f}{letter}"


def stroke_of(line: Line, ways: Ways) -> Stroke:
    by_catcher = line.arrow.way is Way.CATCH
    taken = by_catcher in ways.get((line.arrow.source, line.arrow.target), ())
    label = line.label
    if label is None:
        return Stroke(line, taken, None)
    return Stroke(
        line,
        taken,
        label,
        label_x=number(label.x - label.width / 2),
        label_y=number(label.y),
        label_width=number(label.width),
        text_x=number(label.x),
        text_y=number(label.y + 12),
    )


def ways_in_words(drawing: Drawing) -> list[tuple[str, str, str]]:
    """Every arrow as a row of a list: from where, when, and where to."""
    names = {START: _("Start"), END: _("End")}
    rows = []
    for line in drawing.lines:
        arrow = line.arrow
        when = {Way.NEXT: _("then"), Way.DEFAULT: _("otherwise")}.get(arrow.way, arrow.label)
        if arrow.way is Way.CATCH:
            when = _("on error %(errors)s") % {"errors": arrow.label}
        rows.append((names.get(arrow.source, arrow.source), when, names.get(arrow.target, arrow.target)))
    return rows
