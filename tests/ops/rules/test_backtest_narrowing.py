"""What is left out by SQL never fitted the pattern: the same rows match with narrowing and without it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.models import InboxEvent
from ops.rules import take
from ops.rules.envelopes import forms_of
from ops.rules.narrowing import narrow, types_between
from ops.rules.parts import parts_of, read_parts
from ops.rules.patterns import InvalidPattern, compile_pattern
from ops.rules.tally import MONEY_PATHS
from tests.ops.rows import make_event

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
SINCE, UNTIL = NOW - timedelta(days=1), NOW + timedelta(days=1)


PAID_AND_MORE = {"detail-type": ["invoice.paid"], "detail": {"data": {"object": {"total": [1]}}}}


def narrowed(pattern: Any) -> set[int]:
    """The rows that the condition lets pass."""
    narrowing = narrow(compile_pattern(pattern), types_between(SINCE, UNTIL))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM billing_inboxevent WHERE {narrowing.sql}", narrowing.values)
        return {row[0] for row in cursor.fetchall()}


def fitting(pattern: Any) -> set[int]:
    """The rows that fit, by asking about each."""
    compiled = compile_pattern(pattern)
    rows = take.read(list(InboxEvent.objects.values_list("pk", flat=True)))
    return {row.pk for row in rows if any(compiled.matches(form) for form in forms_of(row))}


def fitting_by_parts(pattern: Any) -> set[int]:
    """The rows that fit, by asking about as much of each as the pattern needs."""
    compiled = compile_pattern(pattern)
    parts = parts_of(compiled, MONEY_PATHS)
    assert parts
    read = read_parts(list(InboxEvent.objects.values_list("pk", flat=True)), parts)
    return {row.pk for row, forms in read if any(compiled.matches(form) for form in forms)}


def stripe(type: str, about: Any, **fields: Any) -> InboxEvent:
    return make_event(NOW, type=type, payload={"type": type, "data": {"object": about}}, **fields)


def detail(demands: Any) -> dict[str, Any]:
    return {"detail": {"data": {"object": demands}}}


# the object of an event that fits although a plain look at the path would not find its value, and the demand
@pytest.mark.parametrize(
    ("about", "demands"),
    [
        ({"a.b": 1}, {"a": {"b": [1]}}),  # a key with a dot
        ({"a": {"b.c": {"d": 1}}}, {"a": {"b": {"c": {"d": [1]}}}}),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": {"b": [2]}}),  # objects in an array
        ({"a": [[{"b": 1}]]}, {"a": {"b": [1]}}),  # in an array in an array
        ({"a": {"b": [[[1]]]}}, {"a": {"b": [1]}}),
        ({"a": 0.1}, {"a": [0.1]}),
        ({"a": 0.1000000000000000055}, {"a": [{"numeric": ["<=", 0.1]}]}),
        ({"a": 5000.0}, {"a": [5000]}),
        ({"a": None}, {"a": [None]}),
        ({"a": 'say "hi"\\ \u2028 決済 🎌'}, {"a": ['say "hi"\\ \u2028 決済 🎌']}),
        ({"a": "ab"}, {"a": [{"prefix": 'ab"'}]}),  # a prefix may end with the quote that the engine sees
        ({"a": "x.y\nz"}, {"a": [{"wildcard": "x.*z"}]}),
        ({"a": 'say "hi'}, {"a": [{"suffix": "hi"}]}),
        ({"a": "hi"}, {"a": [{"suffix": '"hi'}]}),  # and a suffix may begin with it
        ({"a": "(b)"}, {"a": [{"wildcard": "(*)"}]}),
        ({"a": "10.0.0.7"}, {"a": [{"cidr": "10.0.0.0/24"}]}),
        ({"b": 1}, {"a": [{"exists": False}]}),
        ({"a": "x"}, {"$or": [{"a": ["y"]}, {"a": [{"suffix": "x"}]}]}),
        ({"a": {"$x y": {"": True}}}, {"a": {"$x y": {"": [True]}}}),
    ],
)
def test_an_event_that_fits_is_let_pass(db, about, demands):
    event = stripe("invoice.paid", about)
    assert fitting(detail(demands)) == {event.pk}
    assert narrowed(detail(demands)) >= {event.pk}
    assert fitting_by_parts(detail(demands)) == {event.pk}


# a pattern, and how many of three quite different events are still read
@pytest.mark.parametrize(
    ("pattern", "read"),
    [
        ({"source": ["aws.cloudformation"]}, 0),
        ({"source": [{"prefix": "stripe"}]}, 3),
        ({"detail-type": ["invoice.paid"]}, 1),
        ({"detail-type": [{"wildcard": "customer.*.deleted"}]}, 1),
        ({"detail-type": [{"anything-but": "invoice.paid"}]}, 2),
        (detail({"total": [{"numeric": [">=", 5000]}]}), 1),
        (detail({"status": [{"prefix": "cancel"}]}), 1),
        (detail({"status": [{"suffix": "led"}]}), 1),
        (detail({"status": [{"suffix": "Led"}]}), 0),
        (detail({"status": [{"wildcard": "can*d"}]}), 1),
        (detail({"status": [{"wildcard": "an*d"}]}), 0),
        (detail({"status": [{"anything-but": "x"}]}), 1),  # the others have no status
        ({"$or": [{"detail-type": ["invoice.paid"]}, detail({"status": ["canceled"]})]}, 2),
        ({"detail-type": ["invoice.paid"]} | detail({"total": [1]}), 0),
    ],
)
def test_what_cannot_fit_is_not_read(db, pattern, read):
    stripe("invoice.paid", {"total": 5000})
    stripe("customer.subscription.deleted", {"status": "canceled"})
    stripe("customer.created", {"email": "alice@example.com"})
    assert len(narrowed(pattern)) == read


# a pattern that no type there is can fit
@pytest.mark.parametrize("pattern", [{"detail": {"type": ["nothing"]}}, {"detail-type": ["nothing"]}, PAID_AND_MORE])
def test_where_no_type_can_fit_nothing_is_read(db, pattern):
    assert narrowed(pattern) == set()  # the inbox is empty
    stripe("invoice.voided", {"total": 1})
    assert narrowed(pattern) == set()


def test_a_key_of_a_bus_s_envelope_with_a_dot_is_not_overlooked(db):
    event = stripe("invoice.paid", {}, bus_envelope={"source": "x", "detail-type": "y", "detail.type": "nothing"})
    assert fitting({"detail": {"type": ["nothing"]}}) == narrowed({"detail": {"type": ["nothing"]}}) == {event.pk}


def test_what_a_bus_says_of_source_and_type_counts_not_what_the_columns_say(db):
    around = {"source": "aws.partner/stripe.com/ed_1", "detail-type": "invoice.paid", "id": "b"}
    event = stripe("invoice.paid", {"total": 1}, bus_envelope=around)
    plain = stripe("invoice.paid", {"total": 1})
    assert narrowed({"source": [{"prefix": "aws.partner/stripe.com"}]}) == {event.pk}
    assert narrowed({"detail-type": ["invoice.voided"]}) == set()
    assert narrowed({"source": ["stripe.com"]}) == {event.pk, plain.pk}  # it is Stripe's too


def test_an_event_of_another_source_is_found_by_its_own_detail(db):
    payload = {"id": "1", "source": "shop", "detail-type": "order", "detail": {"lines": [{"sku": "a"}, {"sku": "b"}]}}
    event = make_event(NOW, source="shop", type="order", payload=payload)
    assert narrowed({"source": ["shop"], "detail": {"lines": {"sku": ["b"]}}}) == {event.pk}
    assert narrowed({"detail": {"lines": {"sku": ["c"]}}}) == set()


KEYS = st.sampled_from(["a", "b", "a.b", "b.a", "c"])
TYPES = st.sampled_from(["invoice.paid", "invoice.voided", "customer.created"])
LEAVES = st.sampled_from([1, 2, 2.5, 1e300, -1, "x", "xy", "10.0.0.1", "", True, False, None])
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OPERATORS = st.one_of(
    LEAVES,
    st.sampled_from(
        [{"prefix": "x"}, {"prefix": 'x"'}, {"suffix": "y"}, {"anything-but": "x"}, {"anything-but": [1]},
         {"exists": True}, {"exists": False}, {"numeric": [">", 1, "<=", 3]}, {"numeric": ["=", 2.5]},
         {"wildcard": "*y"}, {"wildcard": "x*y*"}, {"suffix": ""}, {"equals-ignore-case": "XY"}, {"cidr": "10.0.0.0/8"}]
    ),
)  # fmt: skip
ALTERNATIVES = st.lists(OPERATORS, min_size=1, max_size=3)
DEMANDS = st.recursive(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), ALTERNATIVES, min_size=1, max_size=2),
    lambda inner: (
        st.dictionaries(st.sampled_from(["a", "b", "c"]), inner | ALTERNATIVES, min_size=1, max_size=2)
        | st.fixed_dictionaries({"$or": st.lists(inner, min_size=2, max_size=2)})
    ),
    max_leaves=4,
)
PATTERNS = st.builds(
    lambda demands, types: detail(demands) | ({"detail-type": types} if types else {}),
    DEMANDS,
    st.none() | st.lists(TYPES | st.just({"prefix": "invoice."}), min_size=1, max_size=2),
)
AROUND = st.none() | st.fixed_dictionaries(
    {"source": st.just("aws.partner/stripe.com/ed_1"), "detail-type": TYPES | st.lists(TYPES, max_size=2)},
    optional={"detail.data": st.just({"object": {"a": 1}})},
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    patterns=st.lists(PATTERNS, min_size=4, max_size=4),
    events=st.lists(
        st.tuples(TYPES, st.dictionaries(KEYS, VALUES, max_size=3), AROUND, st.booleans()), min_size=1, max_size=6
    ),
)
def test_narrowing_loses_no_event_that_fits(transactional_savepoint, patterns, events):
    with transactional_savepoint():
        for type_, about, around, foreign in events:
            if foreign:
                payload = {"source": "shop", "detail-type": type_, "detail": {"data": {"object": about}}}
                make_event(NOW, source="shop", type=type_, payload=payload)
            else:
                stripe(type_, about, bus_envelope=around)
        for pattern in patterns:
            try:
                compile_pattern(pattern)
            except InvalidPattern:
                continue
            assert fitting(pattern) <= narrowed(pattern), json.dumps(pattern)
            assert fitting(pattern) == fitting_by_parts(pattern), json.dumps(pattern)


@pytest.fixture
def transactional_savepoint(db: None) -> Any:
    """What one example stored is gone before the next."""
    from contextlib import contextmanager

    from django.db import transaction

    @contextmanager
    def undone() -> Any:
        with transaction.atomic():
            yield
            transaction.set_rollback(True)

    return undone
