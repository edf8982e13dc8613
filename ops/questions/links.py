"""Links that answer: signed, unguessable, and told only by the mail itself.

A token is a keyed hash of its row's number and 256 random bits; rows hold its SHA-256 alone. So neither the database
nor the outbox, whose texts hold a mark in the token's place, lets anybody answer for a customer.
"""

import base64
import hashlib
import hmac
import re
import secrets

from django.conf import settings
from django.urls import reverse

from ops.questions.models import QuestionLink

PURPOSE = b"kessai:question-link:"
MARK = re.compile(r"link-(\d+)-to-be-signed")


def new_salt() -> str:
    return secrets.token_hex(32)


def token_of(link: QuestionLink) -> str:
    """The token of a link: the same whenever its mail is sent again."""
    place = f"{link.pk}:{link.salt}".encode()
    mark = hmac.digest(settings.SECRET_KEY.encode(), PURPOSE + place, "sha256")
    return base64.urlsafe_b64encode(mark).decode().rstrip("=")


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def url_to_be_signed(link: QuestionLink) -> str:
    """The link's address as the outbox holds it, without its token."""
    return str(settings.SITE_URL) + reverse("ops:question", kwargs={"token": f"link-{link.pk}-to-be-signed"})


def signed(to: str, organization: int, *texts: str) -> list[str]:
    """Texts of one mail with the tokens of its reader's own links in place.

    A mark may stand in anything that a customer wrote (a name, a note): another's link is never signed by it.
    """
    numbers = {int(number[:18]) for text in texts for number in MARK.findall(text)}
    own = QuestionLink.objects.filter(pk__in=numbers, email=to, question__organization_id=organization)
    tokens = {link.pk: token_of(link) for link in own} if numbers else {}
    return [MARK.sub(lambda found: tokens.get(int(found[1][:18]), found[0]), text) for text in texts]
