"""Organizations: above and below each other, and made once however often one clicks."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.models import Membership, Organization
from accounts.organizations import create_organization
from tests.accounts.races import race


def make(name: str, parent: Organization | None = None) -> Organization:
    return Organization.objects.create(name=name, billing_email="x@example.com", parent=parent)


@pytest.fixture
def chain(db: None) -> list[Organization]:
    """Top, middle and bottom."""
    top = make("Top")
    middle = make("Middle", top)
    return [top, middle, make("Bottom", middle)]


def test_it_knows_who_stands_above_nearest_first(chain) -> None:
    top, middle, bottom = chain
    assert bottom.ancestors() == [middle, top]
    assert top.ancestors() == []


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_none_stands_above_itself_at_any_depth(chain, depth) -> None:
    top = chain[0]
    top.parent = chain[depth]
    with pytest.raises(ValidationError) as refused:
        top.full_clean()
    assert "parent" in refused.value.message_dict


def test_a_circle_that_came_about_anyway_ends(chain) -> None:
    top, middle, bottom = chain
    Organization.objects.filter(pk=top.pk).update(parent=bottom)
    assert Organization.objects.get(pk=bottom.pk).ancestors() == [middle, top, bottom]


def test_moving_below_another_is_fine(chain) -> None:
    bottom = chain[2]
    bottom.parent = make("Elsewhere")
    bottom.full_clean()


@pytest.mark.django_db(transaction=True)
def test_many_clicks_at_once_make_one_organization(bob) -> None:
    now = timezone.now()
    made = race([lambda: create_organization(bob, name="Once", billing_email="x@example.com", now=now)] * 5)
    assert len({organization.pk for organization in made}) == 1
    assert Membership.objects.filter(user=bob).count() == 1


def test_the_same_name_a_while_later_is_meant(bob) -> None:
    now = timezone.now()
    for later in (timedelta(0), timedelta(minutes=2)):
        create_organization(bob, name="Twice", billing_email="x@example.com", now=now + later)
    assert Organization.objects.filter(name="Twice").count() == 2
