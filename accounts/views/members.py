"""The people of an organization: see them, change their roles, let them go, leave, hand over ownership."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Case, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import members
from accounts.forms import InvitationForm, RoleForm, TransferForm
from accounts.invitations import pending_invitations
from accounts.models import Membership, Organization, Role, User
from accounts.permissions import Act
from accounts.refusals import NotAMember, OwnerStays, Refused
from accounts.viewer import OrganizationRequest, organization_page

PAGE_SIZE = 50


@require_safe
@organization_page(Act.SEE_MEMBERS)
def show_members(request: OrganizationRequest) -> HttpResponse:
    return render_members(request, InvitationForm())


def render_members(request: OrganizationRequest, invitation_form: InvitationForm, *, status: int = 200) -> HttpResponse:
    page = Paginator(people_of(request.organization), PAGE_SIZE).get_page(request.GET.get("page"))
    context: dict[str, Any] = {
        "organization": request.organization,
        "membership": request.membership,
        "page": page,
        "invitations": pending_invitations(request.organization).select_related("invited_by"),
        "invitation_form": invitation_form,
        "roles": [(role.value, role.label) for role in Role if role != Role.OWNER],
        "now": timezone.now(),
    }
    return render(request, "accounts/members.html", context, status=status)


def people_of(organization: Organization) -> QuerySet[Membership]:
    """Return the memberships, the owner first, then by name."""
    owner_first = Case(When(role=Role.OWNER, then=Value(0)), default=Value(1))
    return organization.memberships.select_related("user").order_by(owner_first, "user__name", "user__email")


@require_POST
@organization_page(Act.MANAGE_MEMBERS)
def change_role(request: OrganizationRequest, membership_id: int) -> HttpResponse:
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose one of the roles in the list. Nothing was changed."))
        return to_members(request)
    try:
        changed = members.change_role(
            request.organization,
            actor=acting(request),
            membership_id=membership_id,
            role=Role(form.cleaned_data["role"]),
        )
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        role = changed.get_role_display()
        messages.success(request, _("%(person)s now has the role “%(role)s”.") % {"person": changed.user, "role": role})
    return to_members(request)


def acting(request: HttpRequest) -> User:
    """The signed-in user; `organization_page` let nobody else through."""
    assert isinstance(request.user, User)  # noqa: S101 - tells the type checker
    return request.user


def to_members(request: OrganizationRequest) -> HttpResponse:
    return redirect("accounts:members", organization_id=request.organization.public_id)


@require_http_methods(["GET", "POST"])
@organization_page(Act.MANAGE_MEMBERS)
def remove_member(request: OrganizationRequest, membership_id: int) -> HttpResponse:
    """GET tells the consequence, POST does it."""
    try:
        if request.method == "POST":
            gone = members.remove(request.organization, actor=acting(request), membership_id=membership_id)
            messages.success(request, _("%(person)s is no longer a member.") % {"person": gone})
            return to_members(request)
        membership = removable(request.organization, membership_id)
    except Refused as refusal:
        messages.error(request, str(refusal))
        return to_members(request)
    return render(request, "accounts/remove_member.html", {"organization": request.organization, "leaving": membership})


def removable(organization: Organization, membership_id: int) -> Membership:
    membership = organization.memberships.select_related("user").filter(pk=membership_id).first()
    if membership is None:
        raise NotAMember
    if membership.role == Role.OWNER:
        raise OwnerStays
    return membership


@require_http_methods(["GET", "POST"])
@organization_page(Act.SEE_MEMBERS)
def leave(request: OrganizationRequest) -> HttpResponse:
    """GET tells the consequence, to the owner also what must come first; POST leaves."""
    if request.method == "GET":
        context = {"organization": request.organization, "owns": request.membership.role == Role.OWNER}
        return render(request, "accounts/leave.html", context)
    try:
        members.leave(request.organization, user=acting(request))
    except Refused as refusal:
        messages.error(request, str(refusal))
        return to_members(request)
    messages.success(request, _("You have left %(organization)s.") % {"organization": request.organization})
    return redirect("/")


@require_http_methods(["GET", "POST"])
@organization_page(Act.TRANSFER_OWNERSHIP)
def transfer_ownership(request: OrganizationRequest) -> HttpResponse:
    form = TransferForm(request.organization, request.POST or None)
    if request.method == "POST" and form.is_valid():
        return hand_over(request, form.cleaned_data["member"])
    return render(request, "accounts/transfer.html", {"organization": request.organization, "form": form})


def hand_over(request: OrganizationRequest, successor: Membership) -> HttpResponse:
    try:
        members.transfer_ownership(request.organization, actor=acting(request), membership_id=successor.pk)
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        told = _("%(person)s now owns %(organization)s. You are an admin.")
        messages.success(request, told % {"person": successor.user, "organization": request.organization})
    return to_members(request)
