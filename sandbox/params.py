"""Request parameters: from `a[b][0]=c` to values that were checked against a declared shape.

    PARAMS = {"name": Str(required=True), "active": Bool(), "metadata": Metadata(), "recurring": Hash({...})}
    given = check(PARAMS, raw, ctx.ignored)

`given` holds only what was sent. None stands for a value that was unset by sending an empty string. The
wording of each error is Stripe's. `Ignored()` accepts what Stripe knows and the sandbox does not act on; it
is counted and shown at /_sandbox/unsupported.
"""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl

from sandbox.errors import ApiError, missing

Shape = Mapping[str, "Param"]
MAX_INTEGER = 999_999_999_999
MAX_DEPTH = 20
MOST_METADATA = 50


def parse_form(text: str) -> dict[str, Any]:
    """`a[b]=1&c[]=2&c[]=3` → {"a": {"b": "1"}, "c": {"0": "2", "1": "3"}}; what is a list only its shape knows."""
    root: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        path = [name.split("[", 1)[0], *re.findall(r"\[([^\]]*)\]", name)]
        if len(path) > MAX_DEPTH:
            raise ApiError(f"Invalid parameter name: {name[:40]}...")
        _place(root, path, value)
    return root


def parse_json(text: str) -> dict[str, Any]:
    """The body of a call to the second version of the API, in the form that parse_form gives. Null is left out."""
    try:
        body = json.loads(text)
    except ValueError:
        raise ApiError("Invalid request: the body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise ApiError("Invalid request: the body must be a JSON object.")
    return {key: _as_form(value) for key, value in body.items() if value is not None}


def _as_form(value: Any) -> Any:
    if isinstance(value, list):
        return {str(number): _as_form(item) for number, item in enumerate(value)}
    if isinstance(value, dict):
        return {key: _as_form(item) for key, item in value.items() if item is not None}
    return value if isinstance(value, str) else json.dumps(value)


def _place(node: dict[str, Any], path: list[str], value: str) -> None:
    key, rest = path[0], path[1:]
    if key == "":
        key = _open_slot(node, rest)
    if not rest:
        node[key] = value
        return
    child = node.get(key)
    if not isinstance(child, dict):
        child = node[key] = {}
    _place(child, rest, value)


def _open_slot(node: dict[str, Any], rest: list[str]) -> str:
    """The position for `[]`: the last element while it lacks the next key (`a[][x]=1&a[][y]=2`), else a new one."""
    last = str(len(node) - 1)
    if rest and rest[0] and isinstance(node.get(last), dict) and rest[0] not in node[last]:
        return last
    return str(len(node))


def check(shape: Shape, raw: Mapping[str, Any], ignored: list[str] | None = None, *, path: str = "") -> dict[str, Any]:
    """The typed values. Raises ApiError for unknown, missing and malformed parameters."""
    unknown = [name for name in raw if name not in shape]
    if unknown:
        raise _unknown(unknown, shape, path)
    given: dict[str, Any] = {}
    for name, param in shape.items():
        full = f"{path}[{name}]" if path else name
        if name in raw:
            if isinstance(param, Ignored) and ignored is not None:
                ignored.append(full)
            given[name] = param.parse(raw[name], full, ignored)
        elif param.required:
            raise missing(full)
    return given


def _unknown(names: Sequence[str], shape: Shape, path: str) -> ApiError:
    full = [f"{path}[{name}]" if path else name for name in names]
    message = f"Received unknown parameter{'s' if len(full) > 1 else ''}: {', '.join(full)}"
    close = difflib.get_close_matches(names[0], shape, n=1, cutoff=0.75) if len(full) == 1 else []
    if close:
        message += f". Did you mean {f'{path}[{close[0]}]' if path else close[0]}?"
    return ApiError(message, code="parameter_unknown", param=full[0])


class Param:
    """One parameter. `unset` allows an empty string, which then means None."""

    def __init__(self, *, required: bool = False, unset: bool = False) -> None:
        self.required, self.unset = required, unset

    def parse(self, raw: Any, path: str, ignored: list[str] | None) -> Any:
        if raw == "":
            if self.unset:
                return None
            raise ApiError(
                f"You passed an empty string for '{path}'. We assume empty values are an attempt to unset a "
                f"parameter; however '{path}' cannot be unset. You should remove '{path}' from your request or "
                "supply a non-empty value.",
                code="parameter_invalid_empty",
                param=path,
            )
        return self.value(raw, path, ignored)

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> Any:
        raise NotImplementedError


class Str(Param):
    def __init__(self, *, required: bool = False, unset: bool = False, max_length: int = 5000) -> None:
        super().__init__(required=required, unset=unset)
        self.max_length = max_length

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> str:
        if not isinstance(raw, str):
            raise ApiError(f"Invalid string: {_shown(raw)}", param=path)
        if len(raw) > self.max_length:
            raise ApiError(
                f"Invalid string: {raw[:10]}...{raw[-10:]}; must be at most {self.max_length} characters",
                param=path,
            )
        return raw


class Url(Str):
    """An address with its scheme; placeholders in braces may stand in it."""

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> str:
        url = super().value(raw, path, ignored)
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", url):
            message = "Invalid URL: An explicit scheme (such as https) must be provided."
            raise ApiError(message, code="url_invalid", param=path)
        return url


class Int(Param):
    def __init__(
        self, *, required: bool = False, unset: bool = False, min: int | None = None, max: int = MAX_INTEGER
    ) -> None:
        super().__init__(required=required, unset=unset)
        self.min, self.max = min, max

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> int:
        if not isinstance(raw, str) or not re.fullmatch(r"[+-]?\d+", raw):
            raise ApiError(f"Invalid integer: {_shown(raw)}", code="parameter_invalid_integer", param=path)
        number = int(raw)
        if self.min is not None and number < self.min:
            raise ApiError(
                f"This value must be greater than or equal to {self.min}.",
                code="parameter_invalid_integer",
                param=path,
            )
        if number > self.max:
            raise ApiError(
                f"This value must be less than or equal to {self.max}.",
                code="parameter_invalid_integer",
                param=path,
            )
        return number


class Timestamp(Int):
    """Unix seconds; some take the word "now" as well."""

    def __init__(self, *, required: bool = False, unset: bool = False, words: tuple[str, ...] = ()) -> None:
        super().__init__(required=required, unset=unset)
        self.words = words

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> Any:
        if raw in self.words:
            return raw
        if not isinstance(raw, str) or not re.fullmatch(r"\d+", raw):
            raise ApiError(
                f"Invalid timestamp: {_shown(raw)}. Must be an integer Unix timestamp in the seconds since epoch.",
                param=path,
            )
        return int(raw)


class Rfc3339(Param):
    """A time in words, as API v2 has it: 2026-01-31T12:00:00.000Z. Kept as Unix seconds with their parts."""

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> float:
        try:
            moment = datetime.fromisoformat(raw)
        except (TypeError, ValueError):
            raise ApiError(f"Invalid timestamp: {_shown(raw)}. Must be an RFC 3339 time.", param=path) from None
        if moment.tzinfo is None:
            raise ApiError(f"Invalid timestamp: {_shown(raw)}. The offset from UTC is missing.", param=path)
        return moment.timestamp()


class Bool(Param):
    def value(self, raw: Any, path: str, ignored: list[str] | None) -> bool:
        if raw not in ("true", "false", "1", "0", "True", "False"):
            raise ApiError(f"Invalid boolean: {_shown(raw)}", param=path)
        return raw in ("true", "1", "True")


class Dec(Param):
    """A decimal number, kept as Decimal."""

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> Decimal:
        try:
            number = Decimal(raw)
        except (InvalidOperation, TypeError, ValueError):
            raise ApiError(f"Invalid decimal: {_shown(raw)}", code="parameter_invalid_decimal", param=path) from None
        if not number.is_finite():
            raise ApiError(f"Invalid decimal: {raw}", code="parameter_invalid_decimal", param=path)
        return number


class Enum(Param):
    def __init__(self, *options: str, required: bool = False, unset: bool = False) -> None:
        super().__init__(required=required, unset=unset)
        self.options = options

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> str:
        if raw not in self.options:
            raise ApiError(f"Invalid {path}: must be {_one_of(self.options)}", param=path)
        return str(raw)


class Hash(Param):
    def __init__(self, shape: Shape, *, required: bool = False, unset: bool = False) -> None:
        super().__init__(required=required, unset=unset)
        self.shape = shape

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise ApiError("Invalid object", param=path)
        return check(self.shape, raw, ignored, path=path)


class Array(Param):
    def __init__(self, item: Param, *, required: bool = False, unset: bool = False) -> None:
        super().__init__(required=required, unset=unset)
        self.item = item

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> list[Any]:
        if not isinstance(raw, dict) or not all(key.isascii() and key.isdecimal() for key in raw):
            raise ApiError("Invalid array", param=path)
        items = [raw[key] for key in sorted(raw, key=int)]
        return [self.item.parse(item, f"{path}[{number}]", ignored) for number, item in enumerate(items)]


class Map(Param):
    """Free keys, values of one type."""

    def __init__(self, item: Param, *, required: bool = False, unset: bool = False) -> None:
        super().__init__(required=required, unset=unset)
        self.item = item

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise ApiError("Invalid object", param=path)
        return {key: self.item.parse(item, f"{path}[{key}]", ignored) for key, item in raw.items()}


class MethodTypes(Array):
    """Ways to pay by name. Link, which pays by card too, may stand beside cards."""

    BUILT = frozenset(("card", "link", "konbini", "customer_balance", "sepa_debit", "us_bank_account"))

    def __init__(self, *, unset: bool = False) -> None:
        super().__init__(Str(), unset=unset)

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> list[Any]:
        given = super().value(raw, path, ignored)
        for unknown in set(given) - self.BUILT:
            raise ApiError(
                f"The payment method type provided: {unknown} is invalid. Please ensure the provided type is activated "
                "in your dashboard (https://dashboard.stripe.com/account/payments/settings) and your account is "
                "enabled for any preview features that you are trying to use.",
                param=path,
            )
        return given


class Metadata(Param):
    """Up to 50 pairs, keys of up to 40 characters, values of up to 500. Merge with documents.merge_metadata.
    Source: Stripe docs, "Metadata"."""

    def __init__(self) -> None:
        super().__init__(unset=True)

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> dict[str, str]:
        if not isinstance(raw, dict):
            raise ApiError("Invalid object", param=path)
        kept = len([value for value in raw.values() if value != ""])
        if kept > MOST_METADATA:
            raise ApiError(f"Metadata can have up to {MOST_METADATA} keys, but you passed in {kept} keys.", param=path)
        for key, value in raw.items():
            _check_metadata_pair(key, value, path)
        return raw


def _check_metadata_pair(key: str, value: Any, path: str) -> None:
    if not isinstance(value, str):
        raise ApiError("Metadata values must be strings, but you passed in a hash.", param=f"{path}[{key}]")
    if len(key) > 40:
        raise ApiError(
            f"Metadata keys can have up to 40 characters, but you passed in a key with {len(key)} characters. "
            f"Invalid key: {key}",
            param=path,
        )
    if len(value) > 500:
        raise ApiError(
            f"Metadata values can have up to 500 characters, but you passed in a value that is {len(value)} "
            f"characters. Invalid value: {value}",
            param=path,
        )


class OneOf(Param):
    """The first of several types that fits; the error is the last one's."""

    def __init__(self, *options: Param, required: bool = False, unset: bool = False) -> None:
        super().__init__(required=required, unset=unset)
        self.choices = options

    def value(self, raw: Any, path: str, ignored: list[str] | None) -> Any:
        for choice in self.choices[:-1]:
            try:
                return choice.parse(raw, path, ignored)
            except ApiError:
                continue
        return self.choices[-1].parse(raw, path, ignored)


class Ignored(Param):
    """Known to Stripe, without effect here."""

    def parse(self, raw: Any, path: str, ignored: list[str] | None) -> Any:
        return raw


def _one_of(options: Sequence[str]) -> str:
    if len(options) == 1:
        return options[0]
    if len(options) == 2:
        return f"one of {options[0]} or {options[1]}"
    return f"one of {', '.join(options[:-1])}, or {options[-1]}"


def _shown(raw: Any) -> str:
    """A hash is shown in the notation of Stripe's server."""
    return raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, separators=(", ", "=>"))


ADDRESS: Shape = {name: Str(unset=True) for name in ("city", "country", "line1", "line2", "postal_code", "state")}
RANGE = OneOf(Timestamp(), Hash({name: Timestamp() for name in ("gt", "gte", "lt", "lte")}))
