"""Pages of people and organizations."""

from django.urls import include, path

from accounts.views import invitations, members, organizations, profile

app_name = "accounts"

people = [
    path("", members.show_members, name="members"),
    path("invite/", invitations.invite, name="invite"),
    path("invitations/<int:invitation_id>/resend/", invitations.resend, name="invitation_resend"),
    path("invitations/<int:invitation_id>/revoke/", invitations.revoke, name="invitation_revoke"),
    path("leave/", members.leave, name="leave"),
    path("transfer/", members.transfer_ownership, name="transfer"),
    path("<int:membership_id>/role/", members.change_role, name="change_role"),
    path("<int:membership_id>/remove/", members.remove_member, name="remove_member"),
]

urlpatterns = [
    path("o/<str:organization_id>/members/", include(people)),
    path("o/<str:organization_id>/settings/", organizations.organization_settings, name="organization_settings"),
    path("organizations/new/", organizations.new_organization, name="organization_new"),
    path("organizations/<str:organization_id>/switch/", organizations.switch_organization, name="organization_switch"),
    path("invitations/<str:token>/", invitations.show_invitation, name="invitation"),
    path("profile/", profile.profile, name="profile"),
]
