"""What holds whatever people do to each other's memberships, in whatever order."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import members
from accounts.models import Membership, Organization, Role, User
from accounts.permissions import Act, may
from accounts.refusals import Refused

PEOPLE = 4  # the first owns at the beginning; the last is an outsider
who = st.integers(0, PEOPLE - 1)
acts = st.one_of(
    st.tuples(st.just("change_role"), who, who, st.sampled_from(Role)),
    st.tuples(st.just("remove"), who, who),
    st.tuples(st.just("leave"), who),
    st.tuples(st.just("transfer"), who, who),
)


@given(todo=st.lists(acts, max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_there_is_always_one_owner_and_nobody_acts_beyond_their_role(db: None, todo: list[tuple[Any, ...]]) -> None:
    organization, people = populate()
    for act in todo:
        before = roles(organization)
        actor = people[act[1]]
        done = attempt(organization, people, act)
        after = roles(organization)
        assert list(after.values()).count(Role.OWNER) == 1
        assert (after != before) <= done
        if after != before and act[0] in ("change_role", "remove"):
            assert may(before[actor.pk], Act.MANAGE_MEMBERS)
        assert owner_of(before) == owner_of(after) or (act[0] == "transfer" and owner_of(before) == actor.pk)


def populate() -> tuple[Organization, list[User]]:
    organization = Organization.objects.create(name="Any", billing_email="any@example.com")
    known = User.objects.count()
    people = [User.objects.create(email=f"p{known + number}@example.com") for number in range(PEOPLE)]
    for person, role in zip(people, (Role.OWNER, Role.ADMIN, Role.MEMBER), strict=False):
        Membership.objects.create(organization=organization, user=person, role=role)
    return organization, people


def roles(organization: Organization) -> dict[int, str]:
    return dict(organization.memberships.values_list("user_id", "role"))


def owner_of(found: dict[int, str]) -> int:
    return next(user for user, role in found.items() if role == Role.OWNER)


def attempt(organization: Organization, people: list[User], act: tuple[Any, ...]) -> bool:
    """Do the act and tell whether it was done; a refusal is a good answer, any other exception is a fault."""
    verb, actor = act[0], people[act[1]]
    target = id_of(organization, people[act[2]]) if len(act) > 2 else 0
    try:
        if verb == "change_role":
            members.change_role(organization, actor=actor, membership_id=target, role=act[3])
        elif verb == "remove":
            members.remove(organization, actor=actor, membership_id=target)
        elif verb == "leave":
            members.leave(organization, user=actor)
        else:
            members.transfer_ownership(organization, actor=actor, membership_id=target)
    except Refused:
        return False
    return True


def id_of(organization: Organization, user: User) -> int:
    membership = Membership.objects.filter(organization=organization, user=user).first()
    return membership.pk if membership else 0
