"""What a person does in the portal, in the words of its pages."""

import re
import secrets
from dataclasses import dataclass, field

from playwright.sync_api import Locator, Page, expect

from tests.journeys.conftest import Portal

GOOD_CARD = "4242424242424242"
WAIT_MS = 60_000  # how long a page may take to turn by itself on a busy machine


@dataclass
class Person:
    """Somebody at a browser who has an e-mail address of their own."""

    page: Page
    portal: Portal
    name: str
    password: str = "a long and private word"
    email: str = field(default="")

    def __post_init__(self) -> None:
        self.email = self.email or f"{self.name.lower()}-{secrets.token_hex(4)}@example.com"

    def sign_up(self, organization: str) -> None:
        self.page.goto(f"{self.portal.url}/accounts/signup/")
        self.fill_sign_up(organization)
        self.confirm_address()

    def fill_sign_up(self, organization: str) -> None:
        self.page.get_by_label("Your name").fill(self.name)
        self.page.get_by_label("Your organization's name").fill(organization)
        self.page.get_by_label("E-mail address").fill(self.email)
        self.page.get_by_label("Password").fill(self.password)
        self.page.get_by_role("button", name="Create account").click()
        self.page.wait_for_url(re.compile("/accounts/confirm-email/"))

    def confirm_address(self) -> None:
        self.page.wait_for_url(re.compile("/accounts/confirm-email/"))
        self.open_link_from_mail("/accounts/confirm-email/")
        self.page.get_by_role("button", name=re.compile("Confirm")).click()
        self.page.wait_for_url(re.compile("/o/"))

    def open_link_from_mail(self, part: str) -> None:
        """Open the newest mail to this person in the demo's mail reader and follow its link."""
        self.page.goto(f"{self.portal.url}/mail/")
        self.page.get_by_role("row").filter(has_text=self.email).first.get_by_role("link").click()
        self.page.frame_locator("iframe").locator(f'a[href*="{part}"]').first.click()
        self.page.wait_for_url(lambda url: "/mail/" not in url)

    def sign_in(self) -> None:
        self.page.goto(f"{self.portal.url}/accounts/login/")
        self.fill_sign_in()

    def fill_sign_in(self) -> None:
        self.page.get_by_label("E-mail address").fill(self.email)
        self.page.get_by_label("Password").fill(self.password)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.wait_for_url(lambda url: "/accounts/login/" not in url)

    def choose_plan(self, plan: str) -> None:
        """From any page of the organization to Stripe's payment page."""
        self.page.get_by_role("link", name="Plans").first.click()
        self.page.get_by_role("button", name=re.compile(f"Subscribe to {plan}")).click()
        self.page.wait_for_url(re.compile(r"/c/pay/"))

    def fill_card(self, number: str) -> None:
        self.page.get_by_label("Card number").fill(number)
        self.page.get_by_label("Expiry").fill("12 / 34")
        self.page.get_by_label("Security code").fill("123")
        self.page.get_by_label("Name on card").fill(self.name)

    def press_pay(self) -> None:
        self.page.get_by_role("button", name=re.compile(r"^(Subscribe|Pay) ·?")).click()

    def pay(self, number: str = GOOD_CARD) -> None:
        self.fill_card(number)
        self.press_pay()

    def subscribe(self, plan: str) -> None:
        self.choose_plan(plan)
        self.pay()
        expect(self.now).to_contain_text("active", timeout=WAIT_MS)

    # While a region crosses over, the old one stands behind the new: the first is the one that counts.
    @property
    def now(self) -> Locator:
        """The middle of the thread: what is so now."""
        return self.page.locator(".thread-now").first

    @property
    def next(self) -> Locator:
        """The end of the thread: what happens next, and when."""
        return self.page.locator(".thread-next").first

    @property
    def home(self) -> str:
        """The address of the organization that the page is about."""
        found = re.search(r"/o/[^/]+/", self.page.url)
        assert found, self.page.url
        return f"{self.portal.url}{found.group()}"
