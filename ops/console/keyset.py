"""Lists of tables that may hold millions, leafed by where the last row stood: no offset, no total, no row twice.

A page's address holds the values of the row at its edge, so that what comes in meanwhile moves nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.core.paginator import Paginator
from django.db.models import BooleanField, DateTimeField, F, Func, IntegerField, Model, QuerySet, Value
from django.db.models.expressions import Combinable
from django.db.models.lookups import GreaterThan, LessThan
from django.http import HttpRequest
from django.utils.dateparse import parse_datetime
from unfold.views import ChangeList

from billing.numerals import whole_number
from ops.console.many import ManyPaginator

OLDER, NEWER = "older_than", "newer_than"
PLACE = "leaf_{}"  # under which name a row holds its n-th value of the order
Values = tuple[Any, ...]


class LeafPaginator(ManyPaginator):
    """Counts as far as anybody needs, and is drawn as "newer" and "older"."""

    template_name = "ops/components/leaf.html"


class LeafedList(ChangeList):
    """A list in one order, the newest first: `model_admin.leafed_by` names its columns, unique together."""

    newer_url: str | None
    older_url: str | None

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        for name in (OLDER, NEWER, "o", "all"):  # they choose no rows; filters begin at the newest page
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        found: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        return found

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        return [column.desc() for column in self.columns(request)]

    def columns(self, request: HttpRequest) -> list[Any]:
        named: Sequence[Any] = self.model_admin.leafed_by_in(request)
        return [F(column) if isinstance(column, str) else column for column in named]

    def get_results(self, request: HttpRequest) -> None:
        columns = self.columns(request)
        rows = self.queryset.annotate(**{PLACE.format(n): column for n, column in enumerate(columns)})
        page = page_of(rows, columns, request.GET, self.list_per_page)
        self.paginator: Paginator[Any] = LeafPaginator(self.queryset, self.list_per_page)
        self.result_list = page.rows
        self.result_count = self.paginator.count if page.has_newer or page.has_older else len(page.rows)
        self.newer_url = self.get_query_string({NEWER: written(page.rows[0])}) if page.has_newer else None
        self.older_url = self.get_query_string({OLDER: written(page.rows[-1])}) if page.has_older else None
        self.newest_url = self.get_query_string() if page.has_newer else None
        self.full_result_count = None if self.filter_params else self.result_count  # else it offers to show all
        self.show_full_result_count = False
        self.show_admin_actions, self.can_show_all, self.multi_page = True, False, False


class Page:
    """Rows, the newest first, and whether there are others on either side."""

    def __init__(self, rows: list[Any], *, has_newer: bool, has_older: bool) -> None:
        self.rows, self.has_newer, self.has_older = rows, has_newer and bool(rows), has_older


def page_of(rows: QuerySet[Any], columns: Sequence[Any], asked: Any, size: int) -> Page:
    """The page that an address asks for; the newest where it asks for none, or for one that is not to be read."""
    newer, older = read(asked.get(NEWER, ""), rows, len(columns)), read(asked.get(OLDER, ""), rows, len(columns))
    if newer:
        ascending = [column.asc() for column in columns]
        found = list(rows.filter(GreaterThan(row_of(columns), row_of(newer))).order_by(*ascending)[: size + 1])
        if len(found) > size:
            return Page(found[size - 1 :: -1], has_newer=True, has_older=True)
    elif older:
        found = list(rows.filter(LessThan(row_of(columns), row_of(older)))[: size + 1])
        return Page(found[:size], has_newer=True, has_older=len(found) > size)
    found = list(rows[: size + 1])
    return Page(found[:size], has_newer=False, has_older=len(found) > size)


def row_of(values: Sequence[Any]) -> Func:
    """Values side by side, which PostgreSQL compares as an index has them ("Row Constructor Comparison")."""
    parts = [value if isinstance(value, Combinable) else Value(value) for value in values]
    return Func(*parts, function="ROW", output_field=BooleanField())


def written(row: Model) -> str:
    """Where a row stands, as an address holds it."""
    values: list[str] = []
    while (name := PLACE.format(len(values))) in row.__dict__:
        value = row.__dict__[name]
        values.append(value.isoformat() if isinstance(value, datetime) else str(value))
    return "~".join(values)


def read(text: str, rows: QuerySet[Any], length: int) -> Values | None:
    """The values that an address holds; None where it holds none that the columns can have."""
    parts = text.split("~")
    if not text or len(parts) != length:
        return None
    kinds = [rows.query.annotations[PLACE.format(place)].output_field for place in range(length)]
    values = tuple(read_value(part, kind) for part, kind in zip(parts, kinds, strict=True))
    return None if None in values else values


def read_value(part: str, kind: Any) -> Any:
    if isinstance(kind, DateTimeField):
        return read_moment(part)
    if isinstance(kind, IntegerField):
        return whole_number(part)
    return part if part and "\0" not in part else None


def read_moment(part: str) -> datetime | None:
    try:
        moment = parse_datetime(part)
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
