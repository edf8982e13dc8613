"""Pages that only show: rows that the pipeline or Stripe writes are not edited by hand."""

from typing import Any, ClassVar

from django.http import HttpRequest
from unfold.admin import ModelAdmin

from ops.console.many import ManyPaginator


class ReadOnlyAdmin(ModelAdmin):
    """Lists and shows, for operators with the view permission; nobody adds, changes or deletes."""

    show_full_result_count = False  # counting a large table twice a page is dear
    paginator = ManyPaginator
    list_per_page = 50
    compressed_fields = True

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
