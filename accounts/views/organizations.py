"""Make an organization, switch between them, say how it is called and where its invoices go."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.forms import OrganizationForm
from accounts.models import Organization
from accounts.onward import wanted_page
from accounts.organizations import create_organization
from accounts.permissions import Act
from accounts.viewer import (
    OrganizationRequest,
    find_membership,
    memberships_of,
    organization_page,
    remember_organization,
)
from accounts.views.members import acting


@require_http_methods(["GET", "POST"])
@login_required
def new_organization(request: HttpRequest) -> HttpResponse:
    """Also where somebody without any organization is led, on the way to a plan for one."""
    onward = wanted_page(request)
    form = OrganizationForm(request.POST or None, initial={"billing_email": acting(request).email})
    if request.method == "POST" and form.is_valid():
        made = create_organization(
            acting(request),
            name=form.cleaned_data["name"],
            billing_email=form.cleaned_data["billing_email"],
            now=timezone.now(),
        )
        return go_to(request, made, onward=onward)
    context = {"form": form, "first": not memberships_of(request).exists(), "onward": onward}
    return render(request, "accounts/new_organization.html", context)


def go_to(request: HttpRequest, organization: Organization, *, onward: str = "") -> HttpResponse:
    remember_organization(request, organization)
    if onward:
        return redirect(onward)
    return redirect("billing:overview", organization_id=organization.public_id)


@require_POST
@login_required
def switch_organization(request: HttpRequest, organization_id: str) -> HttpResponse:
    """Go to another of one's organizations; to others 404, like every page of theirs."""
    membership = find_membership(request, organization_id)
    return go_to(request, membership.organization)


@require_http_methods(["GET", "POST"])
@organization_page(Act.EDIT_ORGANIZATION)
def organization_settings(request: OrganizationRequest) -> HttpResponse:
    form = OrganizationForm(request.POST or None, instance=request.organization)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("The organization's settings are saved."))
        return redirect("accounts:organization_settings", organization_id=request.organization.public_id)
    request.organization.refresh_from_db()  # a form that failed has already written on it
    context = {"form": form, "organization": request.organization, "children": request.organization.children.all()}
    return render(request, "accounts/organization_settings.html", context)
