"""The effect that sends a letter of a playbook to who hears of an organization's money."""

from datetime import timedelta
from typing import Annotated, Any

import msgspec

from accounts.customers import organization_of
from ops.effects.mail.facts import NoSuchInvoice, readers_of, topic_of
from ops.effects.mail.letters import NAME, BadLetter
from ops.effects.mail.outbox import CLAIM, Sent, keep_for_nobody, mails_of, send_due, write_mails
from ops.effects.outcome import Done, Outcome, Refused, Retry
from ops.effects.registry import Call, effect

Id = Annotated[str, msgspec.Meta(max_length=255)]


class SendEmail(msgspec.Struct, forbid_unknown_fields=True):
    """`template`: `playbook/name`. `customer`: the event's own if it is not given.

    `invoice`: what the letter speaks of as `invoice`. `data`: what it speaks of as `data`. `step` tells the letters of
    a state that is entered more than once apart.
    """

    template: Annotated[str, msgspec.Meta(pattern=f"^{NAME.pattern}$", max_length=128)]
    customer: Id = ""
    invoice: Id = ""
    data: dict[str, Any] = {}
    step: Annotated[str, msgspec.Meta(max_length=64)] = ""


ERRORS = {  # of every effect that sends a letter to an organization
    "NoOrganization": "The customer belongs to no organization here.",
    "Email.NoReader": "The organization has neither owner nor billing address.",
    "Email.NoSuchInvoice": "The invoice is not mirrored, or is another customer's.",
    "Email.Letter": "There is no such letter, or it names a value that does not exist.",
    "Email.Refused": "The mail server refused every address for good.",
    "Email.Unreachable": "The mail server did not take it, however often it was tried.",
}


@effect("send-email", takes=SendEmail, errors=ERRORS)
def send_email(given: SendEmail, call: Call) -> Outcome:
    """Send a letter to the owner, the members who see to billing, and the billing address, each in their language.

    Each gets it once for one execution and state, however often that is tried. Once written it does not change.
    """
    customer = given.customer or call.customer_id
    key = f"{call.step or call.key}:{customer}:{given.step}"[:512]
    mails = mails_of(key)
    if not mails:
        organization = organization_of(customer)
        if organization is None:
            return Refused(f"NoOrganization: the customer “{customer}” belongs to no organization here.")
        readers = readers_of(organization)
        try:
            topic = topic_of(organization, customer, invoice_id=given.invoice, data=given.data, now=call.now)
            if not readers:
                keep_for_nobody(key, given.template, topic, customer_id=customer, now=call.now)
                return Refused(f"Email.NoReader: nobody reads the mail of {organization.public_id}.")
            mails = write_mails(key, readers, given.template, topic, customer_id=customer, now=call.now)
        except NoSuchInvoice as error:
            return Refused(f"Email.NoSuchInvoice: {error}")
        except BadLetter as error:
            return Refused(f"Email.Letter: {error}")
    return outcome_of_mails(send_due(mails))


def outcome_of_mails(sent: Sent) -> Outcome:
    if sent.waiting:
        after = CLAIM if "Another worker" in sent.error else timedelta()
        return Retry(f"Email.Unreachable: {sent.error}", after=after)
    if not sent.sent:
        return Refused("Email.Refused: the mail server refused every address.")
    return Done({"sent": sent.sent, "refused": sent.refused})
