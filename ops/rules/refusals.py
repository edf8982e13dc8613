"""Why a pattern is refused: the sentences, each with an example of what is right. A console translates `sentence`."""

from dataclasses import dataclass
from typing import Any


def gettext_noop(sentence: str) -> str:
    """Mark a sentence for translators; this room is pure and translates nothing itself."""
    return sentence


@dataclass(frozen=True, slots=True)
class Refusal:
    sentence: str
    example: str = ""


class InvalidPattern(ValueError):
    """A pattern that EventBridge refuses.

    `path` says where, e.g. `detail.status[0].prefix` (empty: the pattern as a whole); `reason` says why, in a
    sentence; `example` shows what is right there. `sentence` and `values` are the reason before they were put
    together, for who wants to translate it.
    """

    def __init__(self, path: str, refusal: Refusal, **values: Any) -> None:
        self.path = path
        self.refusal = refusal
        self.sentence = refusal.sentence
        self.values = values
        self.example = refusal.example % values
        self.reason = refusal.sentence % values
        super().__init__(f"{path}: {self.reason}" if path else self.reason)


NOT_JSON = Refusal(
    gettext_noop("This is not JSON (line %(line)d, column %(column)d)."), '{"detail": {"status": ["past_due"]}}'
)
NOT_AN_OBJECT = Refusal(gettext_noop("A pattern is a JSON object."), '{"source": ["stripe.com"]}')
TOO_DEEP = Refusal(gettext_noop("Objects are nested too deeply: at most %(limit)d levels."))
TOO_LONG = Refusal(gettext_noop("The pattern is %(length)d characters long; EventBridge takes at most %(limit)d."))
EMPTY_OBJECT = Refusal(gettext_noop("An object here names at least one key."), '{"status": ["past_due"]}')
EMPTY_ARRAY = Refusal(gettext_noop("An array here holds at least one value."), '["past_due"]')
NOT_ARRAY_OR_OBJECT = Refusal(gettext_noop("“%(key)s” must be an array of values or an object."), '["past_due"]')
NOT_A_VALUE = Refusal(
    gettext_noop("Values here are text, numbers, true, false, null, or an object with one operator."),
    '["past_due", {"prefix": "un"}]',
)
ONE_OPERATOR = Refusal(gettext_noop("An object here holds exactly one operator."), '[{"prefix": "sub_"}]')
UNKNOWN_OPERATOR = Refusal(gettext_noop("There is no operator “%(operator)s”."), '[{"prefix": "sub_"}]')
MUST_BE_TEXT = Refusal(gettext_noop("“%(operator)s” takes a text in quotes."), '{"%(operator)s": "text"}')
ONLY_IGNORE_CASE = Refusal(
    gettext_noop("“%(operator)s” can be combined with “equals-ignore-case” and nothing else."),
    '{"prefix": {"equals-ignore-case": "text"}}',
)
EXISTS_TAKES_BOOLEAN = Refusal(gettext_noop("“exists” takes true or false."), '{"exists": false}')
WILDCARDS_SIDE_BY_SIDE = Refusal(gettext_noop("Two * side by side mean no more than one."), '{"wildcard": "in_*"}')
BAD_ESCAPE = Refusal(
    gettext_noop("A backslash in a wildcard stands only before * or another backslash."), r'{"wildcard": "a\\*b"}'
)
TOO_COMPLEX = Refusal(
    gettext_noop("The wildcards are too complex for EventBridge: use fewer *, or fewer repeated characters after a *."),
    '{"wildcard": "arn:*:event-bus/*"}',
)
ANYTHING_BUT_TAKES = Refusal(
    gettext_noop("“anything-but” takes a text, a number, a list of either, or one of its own operators."),
    '{"anything-but": ["active", "trialing"]}',
)
ANYTHING_BUT_MIXED = Refusal(
    gettext_noop("A list in “anything-but” holds texts only or numbers only, and at least one."),
    '{"anything-but": ["active", "trialing"]}',
)
ANYTHING_BUT_OPERATOR = Refusal(
    gettext_noop(
        "“anything-but” can be combined with prefix, suffix, wildcard and equals-ignore-case, not with “%(operator)s”."
    ),
    '{"anything-but": {"prefix": "sub_"}}',
)
EMPTY_AFFIX = Refusal(
    gettext_noop("“%(operator)s” in “anything-but” needs a text: every text begins and ends with nothing."),
    '{"anything-but": {"prefix": "sub_"}}',
)
NUMERIC_TAKES_ARRAY = Refusal(
    gettext_noop("“numeric” takes an array of comparisons."), '{"numeric": [">", 0, "<=", 5]}'
)
NUMERIC_OPERATOR = Refusal(
    gettext_noop("“numeric” knows =, <, <=, > and >=, not %(operator)s."), '{"numeric": [">", 0, "<=", 5]}'
)
NUMERIC_TAKES_NUMBER = Refusal(gettext_noop("%(operator)s takes a number without quotes."), '{"numeric": [">", 0]}')
NUMERIC_TOO_MANY = Refusal(
    gettext_noop("A range is at most > or >= with a number, then < or <= with a number."),
    '{"numeric": [">", 0, "<=", 5]}',
)
NUMERIC_UPPER = Refusal(
    gettext_noop("The second comparison of a range is < or <=, not %(operator)s."), '{"numeric": [">", 0, "<=", 5]}'
)
NUMERIC_ORDER = Refusal(
    gettext_noop("The lower end of a range must be less than its upper end."), '{"numeric": [">", 0, "<=", 5]}'
)
NOT_COMPARABLE = Refusal(gettext_noop("The number %(number)s cannot be compared exactly: it has too many digits."))
CIDR_SHAPE = Refusal(gettext_noop("“cidr” takes an address, one / and a number of bits."), '{"cidr": "10.0.0.0/24"}')
CIDR_ADDRESS = Refusal(gettext_noop("“%(address)s” is no IP address."), '{"cidr": "10.0.0.0/24"}')
CIDR_BITS = Refusal(
    gettext_noop("The bits of an IPv%(version)d range are at most %(limit)d."), '{"cidr": "10.0.0.0/24"}'
)
OR_TAKES_OBJECTS = Refusal(
    gettext_noop("“$or” takes an array of at least two objects."),
    '{"$or": [{"status": ["past_due"]}, {"attempt_count": [{"numeric": [">", 3]}]}]}',
)
OR_RESERVED = Refusal(
    gettext_noop("Inside “$or” no key may be called “%(key)s”: it is the name of an operator."),
    '{"$or": [{"status": [{"prefix": "past"}]}, {"paid": [false]}]}',
)
OR_TOO_MANY = Refusal(
    gettext_noop("“$or” makes more than %(limit)d combinations; EventBridge takes no more."),
)
