"""What a target is given: the event, a part of it, a constant, or what a template makes of it. Pure.

AWS docs: "Amazon EventBridge input transformation" and the API's "InputTransformer". Where they are silent, what AWS
answered in LocalStack's recorded tests decides: a value that is missing is an empty text; an object or array inside
quotes loses its own quotes where the template is a text, and spoils a template that is an object;
`<aws.events.event>` has `detailType`. In one thing this differs: EventBridge puts a text inside quotes as it is, so
that a quote in it breaks the JSON and the call is lost; here it is escaped, as everybody expects.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from ops.rules.paths import MISSING, InvalidPath, Path, compile_path
from ops.rules.refusals import gettext_noop

LONGEST_TEMPLATE = 8192
LONGEST_INPUT = 8192
MOST_PATHS = 100
NAME = re.compile(r"[A-Za-z0-9_\-]{1,256}")
PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.\-]+)>")
SPACE = re.compile(r"[ \t\r\n]+")
QUOTES = re.compile(r'\\.|"')  # in JSON: each escape whole, so that the quote of \\" is told from that of \"

RULE_ARN, RULE_NAME = "aws.events.rule-arn", "aws.events.rule-name"
TIME = "aws.events.event.ingestion-time"
EVENT, EVENT_JSON = "aws.events.event", "aws.events.event.json"
RESERVED = frozenset({RULE_ARN, RULE_NAME, TIME, EVENT, EVENT_JSON})
OBJECTS = frozenset({EVENT, EVENT_JSON})


@dataclass(frozen=True)
class Flaw:
    """One thing that is wrong with a transformer: where, and why. Whoever shows it translates `sentence`."""

    path: str
    sentence: str
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        return self.sentence % self.values


class NoInput(ValueError):
    """This event gives no input by these rules: the target would get no JSON. The sentence says why."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What predefined variables tell: the rule, and when the event reached us (ISO 8601)."""

    rule_arn: str
    rule_name: str
    received_at: str


InputOf = Callable[[dict[str, Any], Setting], str]


def flaws_of(
    *,
    constant: str = "",
    input_path: str = "",
    paths: Mapping[str, Any] | None = None,
    template: str = "",
) -> list[Flaw]:
    """Return everything that is wrong; paths are those of EventBridge's target (`Input`, `InputTransformer`…)."""
    given = [bool(constant), bool(input_path), bool(paths or template)]
    if sum(given) > 1:
        return [Flaw("", gettext_noop("Only one of Input, InputPath and InputTransformer may be given."))]
    if constant:
        return flaws_of_constant(constant)
    if input_path:
        return flaws_of_path("InputPath", input_path)
    return flaws_of_transformer(paths or {}, template) if paths or template else []


def flaws_of_constant(constant: str) -> list[Flaw]:
    if len(constant) > LONGEST_INPUT:
        return [Flaw("Input", gettext_noop("It is longer than %(limit)d characters."), {"limit": LONGEST_INPUT})]
    return [] if is_json(constant) else [Flaw("Input", gettext_noop("It is not JSON."))]


def flaws_of_path(where: str, path: Any) -> list[Flaw]:
    try:
        compile_path(path if isinstance(path, str) else "")
    except InvalidPath as error:
        sentence = gettext_noop("“%(path)s” is no path that EventBridge knows; right is: %(example)s")
        return [Flaw(where, sentence, {"path": error.text, "example": "$.detail.data.object.id"})]
    return []


def flaws_of_transformer(paths: Mapping[str, Any], template: str) -> list[Flaw]:
    flaws = []
    if len(paths) > MOST_PATHS:
        sentence = gettext_noop("EventBridge takes at most %(limit)d paths.")
        flaws.append(Flaw("InputTransformer.InputPathsMap", sentence, {"limit": MOST_PATHS}))
    for name, path in paths.items():
        where = f"InputTransformer.InputPathsMap.{name}"
        if not NAME.fullmatch(name) or name.upper().startswith("AWS"):
            sentence = gettext_noop("Names are letters, digits, hyphens and underscores, and do not begin with AWS.")
            flaws.append(Flaw(where, sentence))
        flaws += flaws_of_path(where, path)
    return [*flaws, *flaws_of_template(template, frozenset(paths))]


def flaws_of_template(template: str, names: frozenset[str]) -> list[Flaw]:
    where = "InputTransformer.InputTemplate"
    if not template.strip():
        return [Flaw(where, gettext_noop("It is empty: say what the target is to be given."))]
    if len(template) > LONGEST_TEMPLATE:
        return [Flaw(where, gettext_noop("It is longer than %(limit)d characters."), {"limit": LONGEST_TEMPLATE})]
    pieces = pieces_of(template)
    holes = [piece for piece in pieces if isinstance(piece, Hole)]
    unknown = [hole.name for hole in holes if hole.name not in names and hole.name not in RESERVED]
    if unknown:
        sentence = gettext_noop("There is no path for the placeholder <%(name)s>.")
        return [Flaw(where, sentence, {"name": name}) for name in dict.fromkeys(unknown)]
    structured = is_structured(template)
    if structured and any(hole.quoted and hole.name in OBJECTS for hole in holes):
        sentence = gettext_noop(
            "<aws.events.event> and <aws.events.event.json> stand without quotes: they are objects."
        )
        return [Flaw(where, sentence)]
    if not gives_json(pieces, structured=structured):
        sentence = gettext_noop(
            "It gives no JSON. Write an object, %(object)s, or a text in quotes, %(text)s; several texts stand on "
            "lines of their own."
        )
        examples = {"object": '{"id": <id>}', "text": '"Invoice <id> is paid."'}
        return [Flaw(where, sentence, examples)]
    if structured and keys_with_holes(pieces):
        return [Flaw(where, gettext_noop("A placeholder cannot be the key of an object."))]
    return []


def is_json(text: str) -> bool:
    try:
        orjson.loads(text)
        return True
    except ValueError:
        pass  # it may be: orjson reads no integers beyond 64 bits and no lone surrogates
    try:
        json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return False
    return True


def refuse_constant(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity are Python's alone


def is_structured(template: str) -> bool:
    """Whether the template is an object or a list, rather than a text or lines of texts."""
    return template.lstrip()[:1] in ("{", "[")


@dataclass(frozen=True, slots=True)
class Hole:
    """A placeholder: its name, and whether it stands inside quotes."""

    name: str
    quoted: bool


def pieces_of(template: str) -> list[str | Hole]:
    """Part a template at its placeholders; space between the parts of an object is left out, as AWS does."""
    structured = is_structured(template)
    pieces: list[str | Hole] = []
    quoted, at = False, 0
    for found in [*PLACEHOLDER.finditer(template), None]:
        text = template[at : found.start() if found else len(template)]
        literal, quoted = tightened(text, quoted, keep_space=not structured)
        if literal:
            pieces.append(literal)
        if found:
            pieces.append(Hole(found[1], quoted))
            at = found.end()
    return pieces


def tightened(text: str, quoted: bool, *, keep_space: bool) -> tuple[str, bool]:
    """Return the text without space outside of quotes, and whether it ends inside of quotes."""
    parts = []
    for number, part in enumerate(re.split(r'((?<!\\)(?:\\\\)*")', text)):
        if number % 2:
            quoted = not quoted
            parts.append(part)
        else:
            parts.append(part if quoted or keep_space else SPACE.sub("", part))
    return "".join(parts), quoted


def gives_json(pieces: list[str | Hole], *, structured: bool) -> bool:
    """Whether it is JSON with any text for each placeholder; lines of texts are one JSON text each."""
    sample = "".join(piece if isinstance(piece, str) else "x" if piece.quoted else '"x"' for piece in pieces)
    if is_json(sample):
        return True
    lines = [line for line in sample.split("\n") if line.strip()]
    return not structured and all(is_json(line) for line in lines)


def keys_with_holes(pieces: list[str | Hole]) -> bool:
    mark = "\ufdd0"
    sample = "".join(piece if isinstance(piece, str) else mark if piece.quoted else f'"{mark}"' for piece in pieces)
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        found.extend(key for key, _ in pairs if mark in key)

    json.loads(sample, object_pairs_hook=look)
    return bool(found)


def compile_input(
    *,
    constant: str = "",
    input_path: str = "",
    paths: Mapping[str, str] | None = None,
    template: str = "",
) -> InputOf:
    """Return what makes a target's input, as JSON text, of an event; it raises NoInput. Given what has no flaws."""
    if constant:
        return lambda _event, _setting: constant
    if input_path:
        path = compile_path(input_path)
        return lambda event, _setting: part_of(event, path)
    if template:
        compiled = Template(paths or {}, template)
        return compiled.fill
    return lambda event, _setting: written(event)


def part_of(event: dict[str, Any], path: Path) -> str:
    value = path.of(event)
    if value is MISSING:
        raise NoInput("InputPath: the path selects nothing in this event.")
    return written(value)


def written(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # integers beyond 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Template:
    """An InputTemplate with its paths. It never changes, and threads may share it."""

    def __init__(self, paths: Mapping[str, str], template: str) -> None:
        self.structured = is_structured(template)
        self.pieces = pieces_of(template)
        used = {piece.name for piece in self.pieces if isinstance(piece, Hole)}
        self.paths = {name: compile_path(path) for name, path in paths.items() if name in used}
        self.reserved = used - self.paths.keys()

    def fill(self, event: dict[str, Any], setting: Setting) -> str:
        values = {name: path.of(event) for name, path in self.paths.items()}
        for name in self.reserved:
            values[name] = predefined(name, event, setting)
        text = "".join(
            piece if isinstance(piece, str) else self.put(piece, values[piece.name]) for piece in self.pieces
        )
        if self.structured and not is_json(text):
            raise NoInput("InputTemplate: with this event's values it gives no JSON.")
        return text

    def put(self, hole: Hole, value: Any) -> str:
        if not hole.quoted:
            return '""' if value is MISSING else written(value)
        if value is MISSING:
            return ""
        if isinstance(value, str):
            return written(value)[1:-1]
        if not isinstance(value, dict | list):
            return written(value)
        if self.structured:
            raise NoInput(f"InputTemplate: <{hole.name}> is an object or a list, and cannot stand inside quotes.")
        return QUOTES.sub(unquoted, written(value))


def unquoted(found: re.Match[str]) -> str:
    return "" if found[0] in ('"', '\\"') else found[0]


def predefined(name: str, event: dict[str, Any], setting: Setting) -> Any:
    if name == RULE_ARN:
        return setting.rule_arn
    if name == RULE_NAME:
        return setting.rule_name
    if name == TIME:
        return setting.received_at
    if name == EVENT_JSON:
        return event
    renamed = {"detail-type": "detailType"}
    return {renamed.get(key, key): value for key, value in event.items() if key != "detail"}
