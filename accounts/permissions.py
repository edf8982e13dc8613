"""Who may do what in an organization. One table; pages, API and console all ask it."""

from enum import StrEnum

from accounts.models import Role


class Act(StrEnum):
    """An act on an organization that a member may or may not be allowed."""

    SEE_BILLING = "billing:see"  # plan, state, thread
    SEE_INVOICES = "invoices:see"  # amounts and documents
    MANAGE_BILLING = "billing:manage"  # subscribe, change, cancel, payment method
    SEE_MEMBERS = "members:see"  # who belongs to it, and in which role
    MANAGE_MEMBERS = "members:manage"  # invite, change role, remove
    EDIT_ORGANIZATION = "organization:edit"  # name, billing address
    TRANSFER_OWNERSHIP = "ownership:transfer"


ALLOWED: dict[Role, frozenset[Act]] = {
    Role.OWNER: frozenset(Act),
    Role.ADMIN: frozenset(Act) - {Act.TRANSFER_OWNERSHIP},
    Role.BILLING: frozenset({Act.SEE_BILLING, Act.SEE_INVOICES, Act.MANAGE_BILLING, Act.SEE_MEMBERS}),
    Role.MEMBER: frozenset({Act.SEE_BILLING, Act.SEE_MEMBERS}),
}


def may(role: Role | str, act: Act) -> bool:
    return act in ALLOWED[Role(role)]
