"""Everything that is wrong with a rule, at once: where it stands and what is right there, in the reader's language.

The console and files are checked by this alone (`problems_of`). What AWS would refuse is refused, so that a rule can
move there; what could only fail here is refused too.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from django.utils.translation import gettext as _

from billing.stripe_accounts import configured
from billing.unusual_json import storable
from ops.effects.destinations.models import Destination
from ops.effects.known import EFFECTS
from ops.rules import transform
from ops.rules.documents import KEYS, STATES, TARGET_KEYS, Document
from ops.rules.models import NAME, Mode, Target
from ops.rules.paths import InvalidPath, compile_path
from ops.rules.patterns import InvalidPattern, compile_pattern
from ops.rules.resources import EFFECT, Resource, read_arn
from ops.workflows.models import StateMachine

MOST_TARGETS = 5  # AWS docs, "EventBridge quotas": targets per rule
LONGEST_DESCRIPTION = 512
LEAST_AGE = 60


@dataclass(frozen=True)
class Problem:
    """`path` is where in the document, `Targets[0].InputPath`; `example` what is right there, where one helps."""

    path: str
    sentence: str
    example: str = ""

    def __str__(self) -> str:
        said = f"{self.path}: {self.sentence}" if self.path else self.sentence
        return f"{said} ({self.example})" if self.example else said


def problems_of(document: Any, *, machines: Collection[str] = ()) -> list[Problem]:
    """Return everything that is wrong with a rule's document; none: it can be saved.

    `machines` are state machines that are not here yet and will be, before the rule is.
    """
    if not isinstance(document, Mapping):
        return [Problem("", _("A rule is a JSON object with Name, EventPattern and Targets."))]
    if not is_storable(document):
        return [Problem("", _("It holds characters that cannot be kept: NUL, or half of a pair of surrogates."))]
    return [
        *unknown_keys("", document, KEYS),
        *of_name(document.get("Name")),
        *of_description(document.get("Description", "")),
        *of_scope(document),
        *of_pattern(document.get("EventPattern")),
        *of_targets(document.get("Targets", []), machines),
    ]


def is_storable(document: Any) -> bool:
    """Whether PostgreSQL can keep every text in it; what is nested too deeply for that is said of the pattern."""
    try:
        return bool(storable(document) == document)
    except RecursionError:
        return True


def unknown_keys(where: str, given: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[Problem]:
    for key in given:
        if key not in known:
            yield Problem(
                f"{where}{key}", _("This is not known here. Known are: %(keys)s.") % {"keys": ", ".join(known)}
            )


def of_name(name: Any) -> Iterator[Problem]:
    if not is_name(name):
        yield Problem("Name", _("Use at most 64 letters, digits, dots, hyphens and underscores."), "large-invoice")


def is_name(name: Any) -> bool:
    return isinstance(name, str) and re.search(NAME.regex, name) is not None


def of_description(text: Any) -> Iterator[Problem]:
    if not isinstance(text, str) or len(text) > LONGEST_DESCRIPTION:
        yield Problem("Description", _("A text of at most %(limit)d characters.") % {"limit": LONGEST_DESCRIPTION})


def of_scope(document: Mapping[str, Any]) -> Iterator[Problem]:
    if document.get("State", "DISABLED") not in list(STATES):  # a list: what is brought need not be hashable
        yield Problem("State", _("One of %(words)s.") % {"words": ", ".join(STATES)})
    if document.get("Mode", "any") not in Mode.values:
        yield Problem("Mode", _("One of %(words)s.") % {"words": ", ".join(Mode.values)})
    account = document.get("Account")
    if account is not None and account not in [each.name for each in configured()]:
        sentence = _(
            "No Stripe account is configured under this name (STRIPE_ACCOUNTS). Leave it out for all accounts."
        )
        yield Problem("Account", sentence)


def of_pattern(pattern: Any) -> Iterator[Problem]:
    try:
        compile_pattern(pattern if isinstance(pattern, str | dict) else "")
    except InvalidPattern as error:
        path = f"EventPattern.{error.path}" if error.path else "EventPattern"
        yield Problem(path, _(error.sentence) % error.values, error.example)


def of_targets(targets: Any, machines: Collection[str]) -> Iterator[Problem]:
    if not isinstance(targets, list):
        yield Problem("Targets", _("A list of targets."))
        return
    if len(targets) > MOST_TARGETS:
        sentence = _("EventBridge takes at most %(limit)d targets a rule; make a second rule with the same pattern.")
        yield Problem("Targets", sentence % {"limit": MOST_TARGETS})
    names: set[Any] = set()
    for number, given in enumerate(targets):
        where = f"Targets[{number}]"
        if not isinstance(given, Mapping):
            yield Problem(where, _("A target is an object with Id and Arn."))
            continue
        yield from of_target(f"{where}.", given, machines)
        name = given.get("Id")
        if isinstance(name, str) and name in names:
            yield Problem(f"{where}.Id", _("Another target of this rule has this Id."))
        names.add(name if isinstance(name, str) else number)


def of_target(where: str, given: Mapping[str, Any], machines: Collection[str]) -> Iterator[Problem]:
    yield from unknown_keys(where, given, TARGET_KEYS)
    if not is_name(given.get("Id")):
        yield Problem(f"{where}Id", _("Use at most 64 letters, digits, dots, hyphens and underscores."), "tell-finance")
    resource = read_arn(given["Arn"]) if isinstance(given.get("Arn"), str) else None
    flaws = list(of_input(where, given))
    yield from flaws
    if resource is None:
        yield Problem(f"{where}Arn", _("This names nothing that a rule can call."), f"{EFFECT}open-finding")
    else:
        yield from of_resource(where, resource, given, machines)
        yield from of_parameters(where, resource, given)
        if not flaws and resource.kind in ("effect", "activity", "finding"):
            yield from of_effect_input(where, resource.name, given)
    yield from of_retries(where, given.get("RetryPolicy", {}))
    yield from of_dead_letters(where, given.get("DeadLetterConfig", {}))


def of_input(where: str, given: Mapping[str, Any]) -> Iterator[Problem]:
    transformer = given.get("InputTransformer", {})
    if not isinstance(transformer, Mapping):
        yield Problem(f"{where}InputTransformer", _("An object with InputPathsMap and InputTemplate."))
        return
    yield from unknown_keys(f"{where}InputTransformer.", transformer, ("InputPathsMap", "InputTemplate"))
    parts = transform_parts(given)
    if not isinstance(parts["paths"], Mapping) or not all(
        isinstance(parts[key], str) for key in parts if key != "paths"
    ):
        yield Problem(f"{where}Input", _("Input, InputPath and InputTemplate are texts, InputPathsMap is an object."))
        return
    for flaw in transform.flaws_of(**parts):
        yield Problem(where + flaw.path if flaw.path else where.rstrip("."), _(flaw.sentence) % flaw.values)


def transform_parts(given: Mapping[str, Any]) -> dict[str, Any]:
    """What `ops.rules.transform` takes, out of a target's document."""
    transformer = given.get("InputTransformer") or {}
    return {
        "constant": given.get("Input", ""),
        "input_path": given.get("InputPath", ""),
        "paths": transformer.get("InputPathsMap", {}),
        "template": transformer.get("InputTemplate", ""),
    }


def of_resource(
    where: str, resource: Resource, given: Mapping[str, Any], machines: Collection[str]
) -> Iterator[Problem]:
    if resource.kind == "state-machine" and resource.is_local:
        if resource.name not in machines and not StateMachine.objects.filter(name=resource.name).exists():
            yield Problem(f"{where}Arn", _("There is no state machine “%(name)s”.") % {"name": resource.name})
    elif resource.kind in ("effect", "activity", "finding"):
        if not resource.is_local or resource.name not in EFFECTS:
            sentence = _("No effect is registered under this name. There are: %(names)s.")
            yield Problem(f"{where}Arn", sentence % {"names": ", ".join(sorted(EFFECTS))}, f"{EFFECT}open-finding")
    elif resource.kind == "destination":
        if not Destination.objects.filter(name=resource.name).exists():
            yield Problem(f"{where}Arn", _("There is no API destination “%(name)s”.") % {"name": resource.name})
    elif resource.is_local:
        yield Problem(f"{where}Arn", _("This is a resource of AWS: name its region and account."))


def of_effect_input(where: str, name: str, given: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what an effect would refuse whatever the event: the wrong fields, none, or a constant of the wrong form."""
    effect = EFFECTS.get(name)
    if effect is None:
        return
    parts = transform_parts(given)
    if parts["constant"]:
        error, place = effect.why_not(parts["constant"]), "Input"
    elif parts["template"]:
        sample = "".join(
            piece if isinstance(piece, str) else "x" if piece.quoted else '"x"'
            for piece in transform.pieces_of(parts["template"])
        )
        error, place = effect.why_not(sample), "InputTransformer.InputTemplate"
        if error and not re.search(r"unknown field|missing required field|Expected `object`, got `str`$", error):
            error = None  # what a placeholder will hold is not known yet
    elif parts["input_path"]:
        return
    else:
        error, place = _("It is given the whole event"), "InputTransformer"
    if error:
        fields = ", ".join(field.encode_name for field in fields_of(effect.takes))
        sentence = _("The effect would refuse this: %(error)s. It takes an object with: %(fields)s.")
        yield Problem(where + place, sentence % {"error": error.rstrip("."), "fields": fields})


def fields_of(struct: Any) -> Any:
    return msgspec.structs.fields(struct)


def of_parameters(where: str, resource: Resource, given: Mapping[str, Any]) -> Iterator[Problem]:
    yield from of_execution(f"{where}StateMachineParameters", resource, given.get("StateMachineParameters"))
    http, sqs = given.get("HttpParameters"), given.get("SqsParameters")
    if http and resource.kind != "destination":
        yield Problem(f"{where}HttpParameters", _("Only an API destination takes these."))
    elif http:
        yield from of_http(f"{where}HttpParameters", http)
    group = sqs.get("MessageGroupId") if isinstance(sqs, Mapping) else None
    if sqs is not None and not (isinstance(group, str) and 0 < len(group) <= 128 and len(sqs) == 1):
        yield Problem(f"{where}SqsParameters", _("An object with MessageGroupId, a text of at most 128 characters."))
    elif sqs is not None and not (resource.kind == "queue" and resource.is_fifo):
        yield Problem(f"{where}SqsParameters", _("Only a FIFO queue takes these."))
    elif sqs is None and resource.kind == "queue" and resource.is_fifo:
        sentence = _("A FIFO queue needs a message group.")
        yield Problem(f"{where}SqsParameters", sentence, '{"MessageGroupId": "billing"}')


def of_execution(where: str, resource: Resource, given: Any) -> Iterator[Problem]:
    if given is None:
        return
    name = given.get("ExecutionName") if isinstance(given, Mapping) and len(given) == 1 else None
    if not isinstance(name, str) or not name.startswith("$.") or not is_path(name):
        sentence = _("An object with ExecutionName, a path into the event.")
        yield Problem(where, sentence, '{"ExecutionName": "$.detail.data.object.id"}')
    elif resource.kind != "state-machine":
        yield Problem(where, _("Only a state machine takes these."))


def of_http(where: str, http: Any) -> Iterator[Problem]:
    known = ("PathParameterValues", "QueryStringParameters", "HeaderParameters")
    if not isinstance(http, Mapping):
        yield Problem(where, _("An object with: %(keys)s.") % {"keys": ", ".join(known)})
        return
    yield from unknown_keys(f"{where}.", http, known)
    for key in known:
        values = http.get(key, [] if key == known[0] else {})
        if not isinstance(values, list if key == known[0] else Mapping):
            yield Problem(f"{where}.{key}", _("A list of texts.") if key == known[0] else _("Names with texts."))
            continue
        named = enumerate(values) if isinstance(values, list) else values.items()
        for name, value in named:
            if not isinstance(value, str):
                yield Problem(f"{where}.{key}.{name}", _("This must be a text in quotes."))
            elif value.startswith("$.") and not is_path(value):
                yield Problem(f"{where}.{key}.{name}", _("This is no path that EventBridge knows."), "$.detail.id")


def is_path(text: str) -> bool:
    try:
        compile_path(text)
    except InvalidPath:
        return False
    return True


def of_retries(where: str, retries: Any) -> Iterator[Problem]:
    limits = {
        "MaximumEventAgeInSeconds": (LEAST_AGE, int(Target.LONGEST_AGE.total_seconds())),
        "MaximumRetryAttempts": (0, Target.MOST_RETRIES),
    }
    if not isinstance(retries, Mapping):
        yield Problem(f"{where}RetryPolicy", _("An object with: %(keys)s.") % {"keys": ", ".join(limits)})
        return
    yield from unknown_keys(f"{where}RetryPolicy.", retries, tuple(limits))
    for key, (least, most) in limits.items():
        value = retries.get(key, most)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            sentence = _("A whole number from %(least)d to %(most)d.") % {"least": least, "most": most}
            yield Problem(f"{where}RetryPolicy.{key}", sentence)


def of_dead_letters(where: str, config: Any) -> Iterator[Problem]:
    arn = config.get("Arn") if isinstance(config, Mapping) else ""
    resource = read_arn(arn) if isinstance(arn, str) else None
    if config and (resource is None or resource.kind != "queue" or len(config) != 1):
        example = '{"Arn": "arn:aws:sqs:eu-west-1:123456789012:dead"}'
        yield Problem(f"{where}DeadLetterConfig", _("An object with the Arn of an SQS queue."), example)


def checked(document: Any) -> Document:
    """Return the document; raises InvalidRule with everything that is wrong with it."""
    if problems := problems_of(document):
        raise InvalidRule(problems)
    return dict(document)


class InvalidRule(ValueError):
    """The rule was not saved. `problems` says everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems
