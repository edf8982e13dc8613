"""What a key may be: each entry of a pattern's array is one alternative, and becomes one question about a value.

The questions take a single JSON value that is no object and no array. To the engine a text carries its quotes:
{"prefix": "ab\\""} is met by the text ab alone. The code below does the same without adding quotes to each value.
"""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from ops.rules.addresses import AddressRange, digits_of
from ops.rules.reading import LARGEST_EXACT_INT, NumberText, comparable

Question = Callable[[Any], bool]
NUMBER_TYPES = frozenset({int, float, Decimal, NumberText})


class Alternative(NamedTuple):
    """One entry of the array of a key: `kind` and `argument` decide, `written` is the entry as it stood."""

    kind: str
    argument: Any
    written: Any


Branch = dict[str, tuple[Alternative, ...]]  # by the full name of the key


class NumberRange(NamedTuple):
    bottom: float
    bottom_included: bool
    top: float
    top_included: bool

    def holds(self, number: float) -> bool:
        above = number >= self.bottom if self.bottom_included else number > self.bottom
        return above and (number <= self.top if self.top_included else number < self.top)


def question_of(alternatives: Iterable[Alternative]) -> Question:
    """Return the question whether a value meets at least one of the alternatives."""
    alternatives = list(alternatives)
    kinds = {alternative.kind for alternative in alternatives}
    if "exists" in kinds:
        return always
    numeric = not kinds.isdisjoint({"number", "numeric"})
    plain = frozenset(a.argument for a in alternatives if a.kind in ("text", "null", "long number"))
    numbers = frozenset(a.argument for a in alternatives if a.kind == "number")
    questions = [is_one_of(plain)] if plain else []
    if numbers or "long number" in kinds:
        questions.append(is_number_of(numbers, plain))
    for alternative in alternatives:
        if alternative.kind in QUESTIONS:
            questions.append(QUESTIONS[alternative.kind](alternative.argument))
        elif alternative.kind == "address":
            questions.append(lies_in(alternative.argument, numbers_too=not numeric))
    return any_of(questions)


def any_of(questions: list[Question]) -> Question:
    if not questions:
        return never
    if len(questions) == 1:
        return questions[0]
    if len(questions) == 2:
        one, two = questions
        return lambda value: one(value) or two(value)

    def question(value: Any) -> bool:
        for one in questions:  # noqa: SIM110 - a generator costs twice as much
            if one(value):
                return True
        return False

    return question


def always(value: Any) -> bool:
    return True


def never(value: Any) -> bool:
    return False


def is_one_of(values: frozenset[Any]) -> Question:
    return values.__contains__


def is_number_of(numbers: frozenset[float], long_ones: frozenset[Any]) -> Question:
    def question(value: Any) -> bool:
        if type(value) not in NUMBER_TYPES:  # True is 1 to Python, not to JSON
            return False
        if type(value) is float or (type(value) is int and -LARGEST_EXACT_INT <= value <= LARGEST_EXACT_INT):
            return value in numbers
        number = number_or_text(value)
        return number in numbers or number in long_ones

    return question


def number_or_text(value: Any) -> float | NumberText:
    return value if isinstance(value, NumberText) else comparable(value)


def is_true(argument: Any) -> Question:
    return lambda value: value is True


def is_false(argument: Any) -> Question:
    return lambda value: value is False


def begins(prefix: str) -> Question:
    if prefix.endswith('"'):
        whole = prefix[:-1]
        return lambda value: isinstance(value, str) and (value.startswith(prefix) or value == whole)
    return lambda value: isinstance(value, str) and value.startswith(prefix)


def ends(suffix: str) -> Question:
    if suffix.startswith('"'):
        whole = suffix[1:]
        return lambda value: isinstance(value, str) and (value.endswith(suffix) or value == whole)
    return lambda value: isinstance(value, str) and value.endswith(suffix)


def is_ignoring_case(text: str) -> Question:
    if text.isascii():
        lowered = text.lower()
        return lambda value: isinstance(value, str) and value.isascii() and value.lower() == lowered
    matched = re.compile(either_case(text)).fullmatch
    return lambda value: isinstance(value, str) and matched(value) is not None


def begins_ignoring_case(prefix: str) -> Question:
    if prefix.isascii() and not prefix.endswith('"'):
        size, lowered = len(prefix), prefix.lower()
        return lambda value: isinstance(value, str) and (start := value[:size]).isascii() and start.lower() == lowered
    matched = re.compile(either_case(prefix)).match
    if prefix.endswith('"'):
        return lambda value: isinstance(value, str) and matched(f'{value}"') is not None
    return lambda value: isinstance(value, str) and matched(value) is not None


def ends_ignoring_case(suffix: str) -> Question:
    if suffix.isascii() and suffix and not suffix.startswith('"'):
        size, lowered = len(suffix), suffix.lower()
        return lambda value: isinstance(value, str) and (end := value[-size:]).isascii() and end.lower() == lowered
    found = re.compile(f"{either_case(suffix)}\\Z").search
    if suffix.startswith('"'):
        return lambda value: isinstance(value, str) and found(f'"{value}') is not None
    return lambda value: isinstance(value, str) and found(value) is not None


def either_case(text: str) -> str:
    """Return an expression for `text` in which each character may be upper or lower: one for one, so ß is also SS.

    The engine looks at UTF-16 units, and of a character outside the basic plane each half is "?" to it.
    """
    return "".join("\\?\\?" if ord(character) > 0xFFFF else both_cases(character) for character in text)


def both_cases(character: str) -> str:
    lower, upper = character.lower(), character.upper()
    return re.escape(lower) if lower == upper else f"(?:{re.escape(lower)}|{re.escape(upper)})"


def matches_wildcard(parts: tuple[str, ...]) -> Question:
    """`parts` are the texts between the stars. Looks at each character of a value a bounded number of times."""
    if len(parts) == 1:
        return is_one_of(frozenset(parts))
    first, *middle, last = parts
    shortest = sum(map(len, parts))

    def question(value: Any) -> bool:
        if not isinstance(value, str) or len(value) < shortest:
            return False
        if not value.startswith(first) or not value.endswith(last):
            return False
        at, end = len(first), len(value) - len(last)
        for part in middle:
            at = value.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True

    return question


def is_none_of_texts(texts: frozenset[str]) -> Question:
    return lambda value: value not in texts


def is_none_of_numbers(numbers: frozenset[float]) -> Question:
    is_one = is_number_of(numbers, frozenset())
    return lambda value: not is_one(value)


def none_of(make: Callable[[Any], Question]) -> Callable[[frozenset[Any]], Question]:
    def question_of_many(arguments: frozenset[Any]) -> Question:
        some = any_of([make(argument) for argument in arguments])
        return lambda value: not some(value)

    return question_of_many


def lies_between(numbers: NumberRange) -> Question:
    holds = numbers.holds

    def question(value: Any) -> bool:
        if type(value) not in NUMBER_TYPES:
            return False
        number = number_or_text(value)
        return not isinstance(number, NumberText) and holds(number)

    return question


def lies_in(addresses: AddressRange, *, numbers_too: bool) -> Question:
    """`numbers_too`: where a key has no numeric alternative, the engine reads the digits of a number as an address.

    So it does, whatever the alternatives, with numbers too long to compare as numbers.
    """

    def question(value: Any) -> bool:
        if isinstance(value, str):
            digits = digits_of(value)
            return digits is not None and addresses.holds(digits)
        if type(value) not in NUMBER_TYPES:
            return False
        return (numbers_too or isinstance(number_or_text(value), NumberText)) and number_lies_in(addresses, str(value))

    return question


def number_lies_in(addresses: AddressRange, text: str) -> bool:
    known = re.match(r"[0-9A-F]*", text)
    digits = known.group() if known else ""
    return bool(digits) and addresses.holds(digits)


QUESTIONS: dict[str, Callable[[Any], Question]] = {
    "true": is_true,
    "false": is_false,
    "prefix": begins,
    "suffix": ends,
    "equals-ignore-case": is_ignoring_case,
    "prefix-ignore-case": begins_ignoring_case,
    "suffix-ignore-case": ends_ignoring_case,
    "wildcard": matches_wildcard,
    "numeric": lies_between,
    "anything-but": is_none_of_texts,
    "anything-but-numbers": is_none_of_numbers,
    "anything-but-prefix": none_of(begins),
    "anything-but-suffix": none_of(ends),
    "anything-but-ignore-case": none_of(is_ignoring_case),
    "anything-but-wildcard": none_of(matches_wildcard),
}
