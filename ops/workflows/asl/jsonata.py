"""JSONata as Step Functions evaluates it: `jsonata-python`, with AWS's functions, and undefined told from null.

Step Functions docs, "Transforming data with JSONata in Step Functions".
"""

import hashlib
import json
import random
import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jsonata
from jsonata.utils import Utils

from ops.workflows.asl import reasons
from ops.workflows.asl.errors import QUERY, StateFailed
from ops.workflows.asl.jsonata_library import is_function, set_right
from ops.workflows.asl.written import type_of, written

Json = Any
NULL = Utils.NULL_VALUE
set_right()
DIGESTS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


class InvalidJsonata(ValueError):
    """This is no expression of JSONata."""


class Jsonata:
    """An expression that was read; it may be evaluated any number of times, by one thread at a time."""

    def __init__(self, source: str) -> None:
        self.source = source
        try:
            self._expression = jsonata.Jsonata(source)
        except (jsonata.JException, RecursionError) as error:
            raise InvalidJsonata(reasons.JSONATA.of(source=source, why=sentence_of(error)))
        self._expression.output_convert_nulls = False
        for name, function in FUNCTIONS.items():
            self._expression.register_lambda(name, function)

    def evaluate(self, variables: Mapping[str, Json], field: str) -> Json:
        """Return what the expression gives. Raises StateFailed (States.QueryEvaluationError)."""
        try:
            value = self._expression.evaluate(None, {name: inward(value) for name, value in variables.items()})
        except StateFailed:
            raise
        except RecursionError:
            raise self.failed(field, "recursed too deeply")
        except Exception as error:  # the library raises whatever Python raises where an expression is odd
            raise self.threw(field, error)
        if value is None:
            raise self.failed(field, "returned nothing (undefined).")
        if is_function(value):
            raise self.failed(field, "returned an unsupported result type.")
        return outward(value)

    def failed(self, field: str, how: str) -> StateFailed:
        return StateFailed(QUERY, f"The JSONata expression '{self.source}' specified for the field '{field}' {how}")

    def threw(self, field: str, error: Exception) -> StateFailed:
        return self.failed(field, f"threw an error during evaluation. {sentence_of(error)}")


def unexpected(source: str, field: str, wanted: str, value: Json) -> StateFailed:
    """Return the failure of an expression whose result has another type than its field takes."""
    return StateFailed(
        QUERY,
        f"The JSONata expression '{source}' specified for the field '{field}' returned an unexpected result type. "
        f"Expected '{wanted}', but was '{type_of(value)}' for value: {written(value)}",
    )


class UndefinedResult(LookupError):
    """The expression gives nothing."""


def evaluate_freely(source: str, given: Json, bindings: Mapping[str, Json], *, undefined: bool = False) -> Json:
    """Evaluate an expression over an input, as JSONata's own suite does. Raises InvalidJsonata, UndefinedResult."""
    try:
        expression = jsonata.Jsonata(source)
        expression.output_convert_nulls = False
        names = {name: inward(value) for name, value in bindings.items()}
        value = expression.evaluate(None if undefined else inward(given), names)
    except Exception as error:  # the library raises whatever Python raises where an expression is odd
        raise InvalidJsonata(sentence_of(error))
    if value is None:
        raise UndefinedResult(source)
    return outward(value)


@lru_cache(maxsize=2048)
def compile_jsonata(source: str) -> Jsonata:
    """Read an expression. Raises InvalidJsonata with what is wrong."""
    return Jsonata(source)


def sentence_of(error: BaseException) -> str:
    text = str(error)
    code = getattr(error, "error", None)
    return f"{code}: {text}" if isinstance(code, str) and code not in text else text


def inward(value: Json) -> Json:
    """JSON for the library, which takes None for undefined."""
    if value is None:
        return NULL
    if isinstance(value, dict):
        return {key: inward(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [inward(inner) for inner in value]
    return value


def outward(value: Json) -> Json:
    """JSON from the library: plain lists, plain numbers, null for its null."""
    if value is NULL or value is None:
        return None
    if isinstance(value, dict):
        return {str(key): outward(inner) for key, inner in value.items() if not is_function(inner)}
    if isinstance(value, list | tuple | range):
        return [outward(inner) for inner in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


# --- what AWS adds ---


def partition(array: Any, size: Any) -> Any:
    if array is None:
        return None
    length = int(size)
    return [array[start : start + length] for start in range(0, len(array), length)]


def span(first: Any, last: Any, stride: Any) -> list[int] | int:
    """A sequence of numbers; a single one stands for itself, as sequences of JSONata do."""
    if stride == 0:
        raise ValueError("The step of $range must not be 0.")
    numbers = range(int(first), int(last) + (1 if stride > 0 else -1), int(stride))
    if len(numbers) > 1000:
        raise ValueError("$range makes at most 1000 numbers.")
    return numbers[0] if len(numbers) == 1 else list(numbers)


def digest(data: Any, algorithm: Any) -> str:
    text = data if isinstance(data, str) else written(outward(data))
    return hashlib.new(DIGESTS[algorithm], text.encode(), usedforsecurity=False).hexdigest()


def chance(seed: Any = None) -> float:
    return (random.Random(seed) if seed is not None else random).random()  # noqa: S311 - no secret


def new_uuid() -> str:
    return str(uuid.uuid4())


def parse(text: Any) -> Any:
    return None if text is None else inward(json.loads(text))


def no_eval(*_: Any) -> Any:
    """Step Functions has $parse in its place."""
    raise jsonata.JException("T1006", -1, "eval")


FUNCTIONS = {
    "eval": no_eval,
    "partition": partition,
    "range": span,
    "hash": digest,
    "random": chance,
    "uuid": new_uuid,
    "parse": parse,
}
