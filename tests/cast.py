"""The cast that every reader knows: Alice owns Acme, Bob is a member, Charlie is an outsider; Olga operates."""

import pytest
from django.test import Client

from accounts.models import Membership, Organization, Role, User

PASSWORD = "correct horse battery"


def make_user(name: str, **fields: object) -> User:
    """A user whose e-mail address is confirmed, so that allauth lets them in."""
    from allauth.account.models import EmailAddress

    user = User.objects.create_user(f"{name.lower()}@example.com", PASSWORD, name=name, **fields)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def sign_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def alice(db: None) -> User:
    return make_user("Alice")


@pytest.fixture
def bob(db: None) -> User:
    return make_user("Bob")


@pytest.fixture
def charlie(db: None) -> User:
    """An outsider to Acme, with an organization of his own."""
    charlie = make_user("Charlie")
    other = Organization.objects.create(name="Charlie's Own", billing_email=charlie.email)
    Membership.objects.create(organization=other, user=charlie, role=Role.OWNER)
    return charlie


@pytest.fixture
def olga(db: None) -> User:
    """An operator."""
    return make_user("Olga", is_staff=True, is_superuser=True)


@pytest.fixture
def acme(alice: User, bob: User) -> Organization:
    acme = Organization.objects.create(name="Acme", billing_email=alice.email)
    Membership.objects.create(organization=acme, user=alice, role=Role.OWNER)
    Membership.objects.create(organization=acme, user=bob, role=Role.MEMBER)
    return acme
