"""Pages that only show: rows that the pipeline or Stripe writes are not edited by hand."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from unfold.admin import ModelAdmin
from unfold.views import ChangeList as UnfoldList

from billing.numerals import whole_number
from ops.console.keyset import LeafedList
from ops.console.many import ManyPaginator


class PagedList(UnfoldList):
    """A list of few rows, with page numbers; one that nothing narrows does not offer to show all."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.filter_params:
            self.full_result_count = self.result_count


class ReadOnlyAdmin(ModelAdmin):
    """Lists and shows, for operators with the view permission; nobody adds, changes or deletes."""

    show_full_result_count = False  # counting a large table twice a page is dear
    paginator = ManyPaginator
    list_per_page = 50
    compressed_fields = True
    leafed_by: ClassVar[Sequence[Any]] = ()  # columns, the newest first: a list that may grow to millions

    def leafed_by_in(self, request: HttpRequest) -> Sequence[Any]:
        """The columns by which a list is leafed, as it is asked for."""
        return self.leafed_by

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return LeafedList if self.leafed_by else PagedList

    def get_sortable_by(self, request: HttpRequest) -> Any:
        return () if self.leafed_by else super().get_sortable_by(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class PageAdmin(ReadOnlyAdmin):
    """Shows one row on a page of our own: `change_form_template`, filled by `page_context`."""

    fieldsets: ClassVar[Any] = [(None, {"fields": ()})]

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        raise NotImplementedError

    def of_any(self, view: Callable[..., HttpResponseBase], *permissions: str) -> Callable[..., Any]:
        """A page beside the list, for who has these permissions."""

        def guarded(request: HttpRequest, **more: Any) -> HttpResponseBase:
            if not request.user.has_perms(permissions):
                raise PermissionDenied
            return view(request, **more)

        return cast(Callable[..., Any], self.admin_site.admin_view(guarded))

    def of_one(
        self, view: Callable[..., HttpResponseBase], *permissions: str, load: Callable[[int], Any]
    ) -> Callable[..., Any]:
        """A page about one row, which `load` finds by its number, for who has these permissions."""

        def loaded(request: HttpRequest, object_id: str, **more: Any) -> HttpResponseBase:
            number = whole_number(object_id)
            row = None if number is None else load(number)
            if row is None:
                raise Http404
            return view(request, row, **more)

        return self.of_any(loaded, *permissions)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        row = self.get_object(request, object_id or "")
        page = self.page_context(request, row) if row and self.has_view_permission(request, row) else {}
        return super().changeform_view(request, object_id, form_url, {**page, **(extra_context or {})})
