"""What the demo company sells: three plans and a server, in yen and in dollars, by the month and by the year."""

from dataclasses import dataclass
from typing import Any

import stripe as stripe_library


@dataclass(frozen=True)
class DemoPlan:
    """A plan; amounts are minor units of their currency: whole yen, cents."""

    key: str
    name: str
    description: str
    features: tuple[str, ...]
    monthly: dict[str, int]
    description_ja: str
    features_ja: tuple[str, ...]
    provision: str = ""  # what is built at AWS for whoever pays: the playbook hosting

    @property
    def product_id(self) -> str:
        return f"prod_demo_{self.key}"


PLANS = (
    DemoPlan(
        "starter",
        "Starter",
        "For one person who wants to see whether it fits.",
        ("1 seat", "1,000 events a month", "Help by e-mail"),
        {"jpy": 1_200, "usd": 900},
        "お一人で試してみたい方に。",
        ("1 シート", "月 1,000 イベントまで", "メールでのサポート"),
    ),
    DemoPlan(
        "team",
        "Team",
        "For a group that works on the same things.",
        ("10 seats", "50,000 events a month", "Roles and permissions", "Help within one working day"),
        {"jpy": 5_000, "usd": 3_900},
        "同じ仕事に取り組むチームに。",
        ("10 シート", "月 50,000 イベントまで", "役割と権限の管理", "1 営業日以内のサポート"),
    ),
    DemoPlan(
        "business",
        "Business",
        "For a company that cannot wait.",
        ("Any number of seats", "1,000,000 events a month", "Audit log", "Single sign-on", "Help within one hour"),
        {"jpy": 20_000, "usd": 14_900},
        "止まることのできない企業に。",
        ("シート数の制限なし", "月 1,000,000 イベントまで", "監査ログ", "シングルサインオン", "1 時間以内のサポート"),
    ),
    DemoPlan(
        "hosting",
        "Hosting",
        "A server of your own, built when you subscribe.",
        ("A server with its own address", "Built within minutes", "Money back if it cannot be built"),
        {"jpy": 3_000, "usd": 2_400},
        "お申し込みと同時に構築される、専用サーバー。",
        ("専用アドレス付きのサーバー", "数分で構築", "構築できない場合は返金"),
        provision="stack",
    ),
)
MONTHS_PAID_A_YEAR = 10  # two months are a gift


def lookup_key(plan: str, interval: str, currency: str) -> str:
    return f"{plan}_{interval}ly_{currency}_v1"


def make_catalogue(stripe: stripe_library.StripeClient) -> None:
    """Make the products and prices that are not there yet."""
    for order, plan in enumerate(PLANS, start=1):
        if not has_product(stripe, plan.product_id):
            make_product(stripe, plan, order)
        wanted = {
            lookup_key(plan.key, interval, currency) for interval in ("month", "year") for currency in plan.monthly
        }
        there = stripe.v1.prices.list(params={"lookup_keys": sorted(wanted), "limit": 100}).data
        for key in sorted(wanted - {price.lookup_key for price in there if price.lookup_key}):
            make_price(stripe, plan, key)


def has_product(stripe: stripe_library.StripeClient, product_id: str) -> bool:
    try:
        stripe.v1.products.retrieve(product_id)
    except stripe_library.InvalidRequestError:
        return False
    return True


def make_product(stripe: stripe_library.StripeClient, plan: DemoPlan, order: int) -> None:
    params: Any = {
        "id": plan.product_id,
        "name": plan.name,
        "description": plan.description,
        "marketing_features": [{"name": feature} for feature in plan.features],
        "metadata": {
            "kessai_plan": plan.key,
            "kessai_order": str(order),
            "kessai_description_ja": plan.description_ja,
            "kessai_features_ja": " | ".join(plan.features_ja),
        },
    }
    stripe.v1.products.create(params)


def make_price(stripe: stripe_library.StripeClient, plan: DemoPlan, key: str) -> None:
    _plan, interval, currency, _version = key.rsplit("_", 3)
    months = MONTHS_PAID_A_YEAR if interval == "yearly" else 1
    params: Any = {
        "product": plan.product_id,
        "lookup_key": key,
        "currency": currency,
        "unit_amount": plan.monthly[currency] * months,
        "recurring": {"interval": "year" if interval == "yearly" else "month"},
        "metadata": {"kessai_provision": plan.provision} if plan.provision else {},
    }
    stripe.v1.prices.create(params)
