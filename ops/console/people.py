"""Organizations and the people in them. Organizations are shown; what a user may do here is changed, with a reason."""

from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib.admin import register
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db.models import Count, ManyToManyField, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy
from djstripe.models import Subscription
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts.models import CustomerLink, Invitation, Membership, Organization, User
from billing.entitlements.access import Access
from billing.entitlements.resolve import cover_of, covered_by
from billing.models import Activity, CheckoutOrder
from ops.console.audited import AuditedAdmin
from ops.console.columns import mode, shown
from ops.console.display import copyable, id_link
from ops.console.readonly import PageAdmin, ReadOnlyAdmin
from ops.console.site import console
from ops.console.subscriptions import plan_name
from ops.console.workflows.origins import executions_for

ROWS = 50
ORGANIZATION = shown("organization", gettext_lazy("organization"))
ACCOUNT = shown("account", gettext_lazy("account"))
CREATED = shown("created_at", gettext_lazy("created"))
JOINED = shown("date_joined", gettext_lazy("joined"))
LAST_LOGIN = shown("last_login", gettext_lazy("last signed in"))
LINKED = shown("linked_at", gettext_lazy("linked"))
ACTING = (
    "change_inboxevent", "change_user", "change_group", "add_group",  # replay, and hand out rights
    "add_destinationrequest",  # send tests, and make requests once more
    "add_destination", "change_destination", "add_connection", "change_connection",
)  # fmt: skip


@register(Organization, site=console)
class OrganizationAdmin(PageAdmin):
    list_display = ("name", "billing_email", "members_count", "parent", CREATED)
    list_select_related = ("parent",)
    search_fields = ("name", "billing_email", "public_id", "customer_links__customer_id")
    search_help_text = gettext_lazy("Name, billing e-mail address, organization id or customer id")
    ordering = ("-created_at", "-pk")
    change_form_template = "ops/organization.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        found: QuerySet[Organization] = super().get_queryset(request)
        return found.annotate(member_count=Count("memberships"))

    def page_context(self, request: HttpRequest, row: Organization) -> dict[str, Any]:
        return {
            "organization": row,
            "memberships": row.memberships.select_related("user").order_by("created_at")[:ROWS],
            "invitations": row.invitations.order_by("-created_at")[:ROWS],
            "links": row.customer_links.order_by("-created_at"),
            "subscriptions": subscriptions_of(row),
            "cover": cover_from_above(row),
            "covered": covered_by(row),
            "orders": CheckoutOrder.objects.filter(organization=row).order_by("-created_at")[:ROWS],
            "activities": Activity.objects.filter(organization=row).order_by("-id")[:ROWS],
            "executions": executions_for(*row.customer_links.values_list("customer_id", flat=True)),
            "children": row.children.order_by("name")[:ROWS],
        }

    @display(description=gettext_lazy("members"), ordering="member_count")
    def members_count(self, row: Any) -> int:
        return int(row.member_count)


@dataclass(frozen=True)
class CoverFromAbove:
    """The subscription of an organization above that decides what this one is granted."""

    payer: Organization
    access: Access
    subscription: Subscription | None


def cover_from_above(organization: Organization) -> CoverFromAbove | None:
    """Return who pays for an organization; None where it pays for itself, or nobody does."""
    cover = cover_of(organization)
    if cover.payer == organization:
        return None
    found = named(Subscription.objects.filter(id=cover.access.subscription_id))
    return CoverFromAbove(cover.payer, cover.access, found.first())


def subscriptions_of(organization: Organization) -> QuerySet[Subscription]:
    return named(Subscription.objects.filter(customer__subscriber=organization)).order_by("-created")[:ROWS]


def named(subscriptions: QuerySet[Subscription]) -> QuerySet[Subscription]:
    found: QuerySet[Subscription] = subscriptions.annotate(plan_name=plan_name())
    return found


@register(Membership, site=console)
class MembershipAdmin(ReadOnlyAdmin):
    list_display = (shown("user", gettext_lazy("person")), ORGANIZATION, "role", CREATED)
    fields = list_display
    readonly_fields = fields
    list_select_related = ("user", "organization")
    list_filter = (("role", ChoicesDropdownFilter),)
    list_filter_submit = True
    search_fields = ("user__email", "user__name", "organization__name")
    search_help_text = gettext_lazy("Person or organization")


@register(Invitation, site=console)
class InvitationAdmin(ReadOnlyAdmin):
    list_display = (
        "email",
        ORGANIZATION,
        "role",
        CREATED,
        shown("expires_at", gettext_lazy("valid until")),
        shown("accepted_at", gettext_lazy("accepted")),
        shown("revoked_at", gettext_lazy("revoked")),
    )
    fields = list_display
    readonly_fields = fields
    list_select_related = ("organization",)
    list_filter = (("role", ChoicesDropdownFilter),)
    list_filter_submit = True
    search_fields = ("email", "organization__name")
    search_help_text = gettext_lazy("E-mail address or organization")
    ordering = ("-created_at",)


@register(CustomerLink, site=console)
class CustomerLinkAdmin(ReadOnlyAdmin):
    list_display = (ORGANIZATION, "customer", mode, CREATED, LINKED)
    list_select_related = ("organization",)
    list_filter = (("livemode", BooleanRadioFilter),)
    list_filter_submit = True
    search_fields = ("customer_id", "organization__name", "idempotency_key")
    search_help_text = gettext_lazy("Organization, customer id or idempotency key")
    fields = (ORGANIZATION, "customer", "key", (mode, ACCOUNT), (CREATED, LINKED))
    readonly_fields = (ORGANIZATION, "customer", "key", mode, ACCOUNT, CREATED, LINKED)
    ordering = ("-created_at",)

    @display(description=gettext_lazy("customer"), ordering="customer_id")
    def customer(self, link: CustomerLink) -> SafeString:
        return id_link(link.customer_id or "")

    @display(description=gettext_lazy("idempotency key"))
    def key(self, link: CustomerLink) -> SafeString:
        return copyable(link.idempotency_key)


@register(User, site=console)
class UserAdmin(AuditedAdmin):
    """People sign up themselves and own their passwords; here it is said who may operate, and who may not sign in."""

    list_display = ("email", "name", "is_staff", "is_active", JOINED, LAST_LOGIN)
    list_filter = (("is_staff", BooleanRadioFilter), ("is_active", BooleanRadioFilter))
    list_filter_submit = True
    search_fields = ("email", "name")
    search_help_text = gettext_lazy("E-mail address or name")
    ordering = ("-date_joined",)
    fieldsets = (
        (
            None,
            {"fields": ("email", "name", ("language", "time_zone"), (JOINED, LAST_LOGIN), "member_of")},
        ),
        (gettext_lazy("What they may do"), {"fields": (("is_active", "is_staff"), "is_superuser", "groups")}),
        (gettext_lazy("The record"), {"fields": ("reason",)}),
    )
    readonly_fields = ("email", "language", "time_zone", JOINED, LAST_LOGIN, "member_of")
    formfield_overrides: ClassVar[Any] = {ManyToManyField: {"widget": UnfoldAdminCheckboxSelectMultipleWidget}}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may change users may not change one who stands above them."""
        above = obj is not None and obj.is_superuser and not request.user.is_superuser
        return bool(super().has_change_permission(request, obj) and not above)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Only those who have every right hand rights out."""
        powers = () if request.user.is_superuser else ("is_staff", "is_superuser", "groups")
        return (*self.readonly_fields, *powers)

    @display(description=gettext_lazy("organizations"))
    def member_of(self, user: User) -> SafeString | str:
        memberships = user.memberships.select_related("organization").order_by("created_at")
        names = [f"{membership.organization.name} ({membership.get_role_display()})" for membership in memberships]
        return format_html("{}", ", ".join(names) or "–")


@register(Group, site=console)
class GroupAdmin(AuditedAdmin):
    list_display = ("name",)
    search_fields = ("name",)
    fields = ("name", "permissions", "reason")
    formfield_overrides: ClassVar[Any] = {ManyToManyField: {"widget": UnfoldAdminCheckboxSelectMultipleWidget}}

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer only the permissions that mean something in the console."""
        field = super().formfield_for_manytomany(db_field, request, **kwargs)
        if db_field.name == "permissions":
            field.queryset = grantable_permissions()
        return field


def grantable_permissions() -> QuerySet[Permission]:
    """Return the right to view each kind of page, and to do what the console lets one do."""
    content_types = ContentType.objects.get_for_models(*console._registry, for_concrete_models=False).values()
    viewing = Q(content_type__in=list(content_types), codename__startswith="view_")
    permissions = Permission.objects.filter(viewing | Q(codename__in=ACTING)).select_related("content_type")
    return permissions.order_by("content_type__app_label", "codename")
