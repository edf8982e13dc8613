"""A resync's work, cut into parts that can be walked side by side, as far as what the mirror holds tells where.

It is planned in stages, because some parts come from what others have brought: the payment methods of each customer
can be asked for when the customers are there.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import stripe
from django.db import connection
from djstripe.models import ActiveEntitlement, Charge, ProductFeature

from billing.mirror.columns import CHILDREN, layout_for
from billing.mirror.fetch import list_pages
from billing.mirror.history import ResyncPart, ResyncRun
from billing.mirror.kinds import RAW, Kind, Under, kind_for
from billing.mirror.layout import OWNER, Column
from billing.mirror.listing import BY_CHARGE, BY_CLOCK, BY_CUSTOMER, by_created
from billing.mirror.owner import owner_id
from billing.stripe_accounts import StripeAccount

# Planned parts have so many rows or parents at least and at most; between them, so many that there are about `PARTS`.
ROWS_IN_A_PART = (200, 5000)
PARENTS_IN_A_PART = (1, 500)
PARTS = 48
# Stages: what can be asked for at once; what test clocks have, once Stripe has said which there are; what their
# customers have, and the children of new parents; children of these; and at last those parents of whom it may be enough
# what other lists bring along.
FIRST, OF_CLOCKS, OF_CLOCKED, LAST = 0, 1, 2, 9
LEFT_OUT = """
    AND (stripe_data ->> 'test_clock' IS NOT NULL OR id IN ({with_others}) OR id NOT IN (
        SELECT parent FROM billing_listedparent
        WHERE owner = %(name)s AND kind = %(child)s AND listed_at >= %(since)s))
"""
PLAN = 4  # the way in which runs are planned: one that was planned in another way is not gone on with

EVERY_SO_MANY = "number %% greatest(%(least)s, least(%(most)s, whole / %(parts)s)) = 0"


# The kinds whose lists bring such objects along, and are waited for before the last stage. (Invoices do so too: they
# are read late, and have hardly one that no payment has.)
BRINGERS = {"payment_method": ("customer", "setup_intent", "payment_intent")}
# The parents one of whose children will hardly come along, because no mirrored object of those kinds names it.
WITH_OTHERS = {
    "payment_method": """
        SELECT customer_id FROM djstripe_paymentmethod AS child
        WHERE customer_id IS NOT NULL AND NOT stripe_data @> '{"deleted": true}'
          AND NOT EXISTS (SELECT 1 FROM djstripe_customer WHERE default_payment_method_id = child.id)
          AND NOT EXISTS (SELECT 1 FROM djstripe_setupintent WHERE payment_method_id = child.id)
          AND NOT EXISTS (SELECT 1 FROM djstripe_paymentintent WHERE payment_method_id = child.id)
    """
}
ENTITLEMENTS = "entitlements.active_entitlement"
NONE: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class Wanted:
    """What a resync was asked for. Times are Unix seconds."""

    kinds: tuple[str, ...]
    accounts: tuple[str, ...]
    since: int | None = None
    customer: str = ""
    check: bool = False
    thorough: bool = False  # no parent is spared

    def as_json(self) -> dict[str, Any]:
        return {
            "kinds": list(self.kinds),
            "accounts": list(self.accounts),
            "since": self.since,
            "customer": self.customer,
            "check": self.check,
            "thorough": self.thorough,
            "plan": PLAN,
        }


def stages_of(
    wanted: Wanted, accounts: Sequence[StripeAccount], *, last: Collection[tuple[str, str]] = ()
) -> dict[int, set[tuple[str, str]]]:
    """Stage → the (account's name, kind) that are given parts in it; `last` are those that the last one is for."""
    found: dict[int, set[tuple[str, str]]] = {LAST: set(last)} if last else {}
    for account in accounts:
        for name in wanted.kinds:
            for stage in own_stages(name, wanted) | clocks_stages(name, wanted, account):
                found.setdefault(stage, set()).add((account.name, name))
    return dict(sorted(found.items()))


@cache
def planned_in(name: str) -> int:
    """The stage in which a kind's parts are planned."""
    under = kind_for(name).under
    after = {under.kind} if under else set()
    if name == ENTITLEMENTS:
        after.add("product_feature")
    return OF_CLOCKED + max(map(planned_in, after)) if after else FIRST


def stage_of(name: str, wanted: Wanted) -> int:
    """One customer's refunds are asked for by the charges, when these are there."""
    return planned_in(name) + (bool(wanted.customer) and name in BY_CHARGE)


def own_stages(name: str, wanted: Wanted) -> set[int]:
    """The parents that the mirror has already are asked about from the beginning, the others when they are there."""
    early = {FIRST} if kind_for(name).under and not wanted.customer else set()
    return early | {stage_of(name, wanted)}


def clocks_stages(name: str, wanted: Wanted, account: StripeAccount) -> set[int]:
    """What lives by test clocks is listed by clock, or by the customers who do."""
    if account.livemode or wanted.customer:
        return set()
    return {OF_CLOCKS} if name in BY_CLOCK else {OF_CLOCKED} if name in BY_CUSTOMER else set()


def looked_into(stage: int, wanted: Wanted) -> set[str]:
    """The kinds that must be in the mirror before a stage is planned: its parts are made from them."""
    if stage == OF_CLOCKS and not wanted.customer:
        return set()
    if stage == LAST:
        return {bringer for name in wanted.kinds for bringer in BRINGERS.get(name, ())} & set(wanted.kinds)
    unders = [kind_for(name).under for name in wanted.kinds]
    kinds = {under.kind for under in unders if under} | {"customer", "product_feature"}
    if wanted.customer and set(BY_CHARGE) & set(wanted.kinds):
        kinds.add("charge")
    return {name for name in kinds if planned_in(name) < stage}


def plan(
    run: ResyncRun, wanted: Wanted, account: StripeAccount, stage: int, *, left_out: Mapping[str, int] = NONE
) -> list[ResyncPart]:
    """The parts of a stage but the last, unsaved: all that Stripe lists, or what one customer has.

    Of the kinds `left_out` those parents are left to the last stage whose children were listed since (Unix seconds),
    and will come along with other objects.
    """
    kinds = [kind_for(name) for name in wanted.kinds]
    parts = [
        part
        for kind in kinds
        if stage in own_stages(kind.name, wanted)
        for part in parts_of(run, kind, wanted, account, listed_since=left_out.get(kind.name))
    ]
    if not account.livemode and not wanted.customer:
        parts += list(parts_of_clocks(kinds, account)) if stage == OF_CLOCKS else []
        parts += list(parts_of_clocked_customers(kinds, account)) if stage == OF_CLOCKED else []
    for part in parts:
        part.run, part.stage, part.owner = run, stage, account.name
    return parts


def parts_of(
    run: ResyncRun, kind: Kind, wanted: Wanted, account: StripeAccount, *, listed_since: int | None
) -> Iterator[ResyncPart]:
    if wanted.customer:
        if kind.name in BY_CUSTOMER:
            yield ResyncPart(kind=kind.name, params={"customer": wanted.customer}, since=wanted.since)
        elif kind.name in BY_CHARGE:
            for charge in charges_of(wanted.customer):
                yield ResyncPart(kind=kind.name, params={"charge": charge}, since=wanted.since)
        elif kind.under and kind.under.kind == "customer":
            yield ResyncPart(kind=kind.name, params={"parents": [wanted.customer]})
    elif kind.under:
        if not needless(kind, wanted):
            yield from parts_of_parents(kind, parents_left(run, kind, kind.under, account, listed_since=listed_since))
    elif by_created(kind):
        cuts = [cut for cut in cuts_of(kind, account) if wanted.since is None or cut > wanted.since]
        untils = [None, *cuts]
        sinces = [*cuts, wanted.since]
        for since, until in zip(sinces, untils, strict=True):
            yield ResyncPart(kind=kind.name, since=since, until=until)
    else:
        yield ResyncPart(kind=kind.name)


def charges_of(customer: str) -> list[str]:
    return list(Charge.objects.filter(customer_id=customer).order_by("id").values_list("id", flat=True))


def needless(kind: Kind, wanted: Wanted) -> bool:
    """Whether asking customer by customer would tell nothing new: their list has brought it, or nobody can have it."""
    if kind.name == "tax_id":
        return "customer" in wanted.kinds and wanted.since is None
    if kind.name == ENTITLEMENTS:
        none = not ProductFeature.objects.exists() and not ActiveEntitlement.objects.exists()
        return "product_feature" in wanted.kinds and none
    return False


def cuts_of(kind: Kind, account: StripeAccount) -> list[int]:
    """Times (Unix seconds, newest first) that cut what the mirror holds of a kind into parts of equal size."""
    rows, params = rows_of(kind, account)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT DISTINCT extract(epoch FROM created)::bigint AS cut
            FROM (SELECT created, row_number() OVER (ORDER BY created DESC) AS number, count(*) OVER () AS whole
                  FROM {rows} AND created IS NOT NULL) AS numbered
            WHERE {EVERY_SO_MANY} ORDER BY cut DESC
            """,  # noqa: S608
            {**params, **sizes(ROWS_IN_A_PART)},
        )
        return [cut for (cut,) in cursor.fetchall()]


def sizes(bounds: tuple[int, int]) -> dict[str, int]:
    return {"least": bounds[0], "most": bounds[1], "parts": PARTS}


def rows_of(kind: Kind, account: StripeAccount) -> tuple[str, dict[str, Any]]:
    """The rows of a kind that are this account's, as `table WHERE condition`, and the condition's parameters."""
    layout = layout_for(kind)
    conditions = ["true"]
    if kind.model is None:
        conditions.append("kind = %(kind)s")
    if "livemode" in layout.names:
        conditions.append("coalesce(livemode = %(livemode)s, true)")
    if OWNER in layout.names:
        conditions.append(f"coalesce({OWNER} = %(owner)s, true)")
    params = {"kind": kind.name, "livemode": account.livemode, "owner": owner_id(account)}
    return f'"{layout.table}" WHERE {" AND ".join(conditions)}', params


def parts_of_parents(kind: Kind, parents: Sequence[str]) -> Iterator[ResyncPart]:
    """A kind that Stripe lists parent by parent."""
    least, most = PARENTS_IN_A_PART
    size = max(least, min(most, len(parents) // PARTS))
    for start in range(0, len(parents), size):
        yield ResyncPart(kind=kind.name, params={"parents": list(parents[start : start + size])})


def parents_left(
    run: ResyncRun, kind: Kind, under: Under, account: StripeAccount, *, listed_since: int | None = None
) -> list[str]:
    """The ids of those parents, in order, that no part of the run has yet. Those that are gone have nothing at Stripe;
    they are among them where the mirror has something of theirs.

    So parents that were there before are asked about at once, and new ones when their own lists are through. Without
    those whose children were listed since that second and will come along, but for the customers of test clocks: their
    events are dated by the clock.
    """
    rows, params = rows_of(kind_for(under.kind), account)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id FROM {rows} AND (NOT stripe_data @> '{{"deleted": true}}' {having_children(kind)}) AND id NOT IN (
                SELECT jsonb_array_elements_text(params -> 'parents') FROM billing_resyncpart
                WHERE run_id = %(run)s AND owner = %(name)s AND kind = %(child)s AND params ? 'parents')
            {"" if listed_since is None else LEFT_OUT.format(with_others=WITH_OTHERS[kind.name])}
            ORDER BY id COLLATE "C"
            """,  # noqa: S608
            {
                **params,
                "run": run.pk,
                "name": account.name,
                "child": kind.name,
                "since": listed_since,
                "summaries": [summary.name for summary in summaries_of(kind)],
            },
        )
        return [object_id for (object_id,) in cursor.fetchall()]


def having_children(kind: Kind) -> str:
    """The SQL condition that the mirror has living children of a parent."""
    parent = parent_column(kind)
    if parent is not None:
        return f"OR id IN ({living_rows(kind, parent.name)} AND {parent.name} IS NOT NULL)"
    # The table does not tell whose they are: earlier lists do, and summaries.
    return f"""
        OR id IN (SELECT parent FROM billing_listedparent, unnest(children) AS child
                  WHERE owner = %(name)s AND kind = %(child)s AND child IN ({living_rows(kind, "id")}))
        OR id IN (SELECT raw.id FROM billing_rawobject AS raw,
                      jsonb_path_query(raw.stripe_data, '$.*.data[*].id') AS child
                  WHERE raw.kind = ANY(%(summaries)s) AND child #>> '{{}}' IN ({living_rows(kind, "id")}))
    """  # noqa: S608 - our own names


def living_rows(kind: Kind, column: str) -> str:
    """The SQL of one column of what the mirror takes to be there."""
    there = "NOT stripe_data @> '{\"deleted\": true}'"
    return f'SELECT {column} FROM "{layout_for(kind).table}" WHERE {there}'  # noqa: S608 - our own names


def summaries_of(kind: Kind) -> list[Kind]:
    """The kinds that are a list of what one parent has of this kind (a customer's entitlements)."""
    return [other for other in RAW.values() if other.gathered and CHILDREN[other.name].kind == kind.name]


def parent_column(kind: Kind) -> Column | None:
    """The column of a kind's table that holds its parent's id."""
    name = "product_id" if kind.under and kind.under.kind == "product" else "customer_id"
    columns = {column.name: column for column in layout_for(kind).columns}
    return columns.get(name)


def parents_of(part: ResyncPart) -> list[str]:
    """The ids of the parents that a part has still to look at, in order."""
    parents: list[str] = part.params["parents"]
    return parents[parents.index(part.cursor) + 1 :] if part.cursor else parents


def parts_of_clocks(kinds: Sequence[Kind], account: StripeAccount) -> Iterator[ResyncPart]:
    """What lives by test clocks: Stripe lists it only by clock, or by customer (API reference, `test_clock`).

    Of a clock that is gone Stripe has nothing any more, and the mirror may.
    """
    by_clock = [kind for kind in kinds if kind.name in BY_CLOCK]
    for clock in dict.fromkeys([*clocks_of(account), *clocks_mirrored(account)]) if by_clock else []:
        for kind in by_clock:
            yield ResyncPart(kind=kind.name, params={"test_clock": clock})


def parts_of_clocked_customers(kinds: Sequence[Kind], account: StripeAccount) -> Iterator[ResyncPart]:
    by_customer = [kind for kind in kinds if kind.name in BY_CUSTOMER and kind.name not in BY_CLOCK]
    for customer in customers_of_clocks(account) if by_customer else []:
        for kind in by_customer:
            yield ResyncPart(kind=kind.name, params={"customer": customer})


def clocks_of(account: StripeAccount) -> list[str]:
    try:
        pages = list(list_pages("/v1/test_helpers/test_clocks", {}, account=account))
    except (stripe.InvalidRequestError, stripe.PermissionError):
        return []
    return [clock["id"] for page in pages for clock in page.objects]


def clocks_mirrored(account: StripeAccount) -> list[str]:
    """The clocks by which customers of the mirror live. Reads JSON: only ever in test mode."""
    rows, params = rows_of(kind_for("customer"), account)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT stripe_data ->> 'test_clock' AS clock FROM {rows}"  # noqa: S608 - our own names
            " AND stripe_data ->> 'test_clock' IS NOT NULL AND NOT stripe_data @> '{\"deleted\": true}' ORDER BY clock",
            params,
        )
        return [clock for (clock,) in cursor.fetchall()]


def customers_of_clocks(account: StripeAccount) -> list[str]:
    """Customers of the mirror that live by a test clock. Reads JSON: only ever in test mode."""
    if account.livemode:
        return []
    rows, params = rows_of(kind_for("customer"), account)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM {rows} AND stripe_data ->> 'test_clock' IS NOT NULL ORDER BY id", params)  # noqa: S608
        return [object_id for (object_id,) in cursor.fetchall()]
