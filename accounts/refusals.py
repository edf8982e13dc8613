"""Acts on people that cannot be done, each with the sentence for who asked."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Refused(Exception):
    """The act was not done; `str()` says why and what to do, in the active language."""

    sentence: str | Promise = ""

    def __str__(self) -> str:
        return str(self.sentence)


class NotAllowed(Refused):
    sentence = _("Your role in this organization no longer allows this. Ask its owner or an admin to do it.")


class NotAMember(Refused):
    sentence = _("This person is no longer a member of the organization, so there is nothing to change.")


class OwnerStays(Refused):
    sentence = _("The owner's role cannot be changed or removed. The owner can transfer ownership to somebody else.")


class OwnerIsMadeByTransfer(Refused):
    sentence = _("An organization has one owner. The present owner can transfer ownership to a member.")


class OwnerCannotLeave(Refused):
    sentence = _("You own this organization, so you cannot leave it yet. Transfer ownership to a member first.")


class AlreadyOwner(Refused):
    sentence = _("You already own this organization. Choose somebody else as its new owner.")


class AlreadyMember(Refused):
    sentence = _("This person is already a member. You can change their role in the list of members.")


class TooManyInvitations(Refused):
    sentence = _("20 invitations are still unanswered. Revoke some of them, or wait until they are accepted.")


class TooManyInvitationsToday(Refused):
    sentence = _("100 people were invited within a day, which is as many as we send mail to. Go on tomorrow.")


class InvitationJustSent(Refused):
    sentence = _("An invitation went to this address less than a minute ago. Give the mail a moment, then try again.")


class InvitationUnknown(Refused):
    sentence = _(
        "This invitation link is not valid. If a newer mail has reached you, use its link; "
        "otherwise ask for a new invitation."
    )


class InvitationExpired(Refused):
    sentence = _("This invitation has expired: links work for seven days. Ask for a new one.")


class InvitationRevoked(Refused):
    sentence = _("This invitation was withdrawn. If you think that is a mistake, ask who invited you.")


class InvitationUsed(Refused):
    sentence = _("This invitation has already been accepted, and a link works only once. Ask for a new one.")


class InvitationIsForAnother(Refused):
    sentence = _(
        "This invitation is for another e-mail address. Sign in with the address to which it was sent, "
        "or ask for an invitation to yours."
    )
