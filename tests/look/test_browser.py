"""The look in a real browser: readable for everybody, no wider than the screen, live without a reload, sent once."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import LazySettings
from playwright.sync_api import Browser, Page, Route, expect

from accounts.models import Organization, User
from tests.browser import VIOLATIONS
from tests.cast import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

VISITORS_PAGES = ["/style/", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/no/such/page/"]
MEMBERS_PAGES = ["/style/", "/accounts/2fa/", "/accounts/email/", "/accounts/password/change/"]
SCREENS = [(1280, "light"), (390, "dark")]
NARROWEST = 320  # WCAG 2.2, 1.4.10 Reflow


@pytest.fixture
def style_page(settings: LazySettings) -> None:
    settings.DEMO = True


@pytest.fixture(params=SCREENS, ids=lambda screen: f"{screen[0]}-{screen[1]}")
def screen(request: pytest.FixtureRequest, chromium: Browser, live_server: str) -> Iterator[Page]:
    width, scheme = request.param
    context = chromium.new_context(
        base_url=str(live_server), viewport={"width": width, "height": 844}, color_scheme=scheme, locale="en-US"
    )
    yield context.new_page()
    context.close()


def let_in(page: Page, user: User, address: str) -> None:
    cookie = sign_in(user).cookies["sessionid"]
    page.context.add_cookies([{"name": "sessionid", "value": cookie.value, "url": address}])


def faults_of(page: Page) -> list[str]:
    """Return what axe finds wrong, as sentences with the elements it found it at."""
    found = Axe().run(page, options=VIOLATIONS).response["violations"]
    return [f"{fault['id']}: {node['html'][:120]}" for fault in found for node in fault["nodes"]]


def width_over(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize("path", VISITORS_PAGES)
def test_a_visitors_page_is_readable_for_everybody(screen: Page, style_page: None, path: str) -> None:
    screen.goto(path)
    assert faults_of(screen) == []
    assert width_over(screen) <= 0


@pytest.mark.parametrize("path", MEMBERS_PAGES)
def test_a_members_page_is_readable_for_everybody(
    screen: Page, style_page: None, alice: User, acme: Organization, live_server: str, path: str
) -> None:
    let_in(screen, alice, str(live_server))
    screen.goto(path)
    assert faults_of(screen) == []
    assert width_over(screen) <= 0


def test_the_longest_name_does_not_widen_the_narrowest_screen(
    page: Page, style_page: None, alice: User, acme: Organization, live_server: str
) -> None:
    acme.name = "Vereinigte Dampfschifffahrtsgesellschaftskapitänswitwenkasse KG"
    acme.save()
    let_in(page, alice, str(live_server))
    page.set_viewport_size({"width": NARROWEST, "height": 700})
    page.goto(f"{live_server}/style/")
    assert width_over(page) <= 0


def test_the_chosen_words_do_not_run_under_the_arrow(
    page: Page, style_page: None, alice: User, acme: Organization, live_server: str
) -> None:
    let_in(page, alice, str(live_server))
    page.goto(f"{live_server}/o/{acme.public_id}/members/")
    room = page.locator("select[name=role]").last.evaluate(
        "select => parseFloat(getComputedStyle(select).paddingRight)"
    )
    assert room >= 32


def test_the_first_key_stroke_offers_to_skip_the_navigation(page: Page, live_server: str) -> None:
    page.goto(f"{live_server}/accounts/login/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()


def test_a_form_is_sent_once_however_often_it_is_clicked(page: Page, live_server: str) -> None:
    sent: list[str] = []

    def never_answer(route: Route) -> None:
        if route.request.method == "POST":
            sent.append(route.request.url)
        else:
            route.continue_()

    page.route("**/accounts/password/reset/", never_answer)
    page.goto(f"{live_server}/accounts/password/reset/")
    page.get_by_label("E-mail address").fill("alice@example.com")
    busy = page.evaluate(
        """() => {
            const button = document.querySelector("form.bare button");
            for (let click = 0; click < 5; click += 1) button.click();
            return button.getAttribute("aria-busy");
        }"""
    )
    assert busy == "true"
    page.wait_for_timeout(200)  # the time in which a second request would leave
    assert len(sent) == 1


def test_a_form_that_comes_back_with_a_fault_goes_on_at_the_wrong_field(page: Page, live_server: str) -> None:
    page.goto(f"{live_server}/accounts/signup/")
    for label, value in (("Your name", "Ella"), ("Your organization's name", "Ella & Co"), ("Password", "short")):
        page.get_by_label(label).fill(value)
    page.get_by_label("E-mail address").fill("ella@example.com")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_label("Password")).to_be_focused()
    expect(page.get_by_label("Password")).to_have_attribute("aria-invalid", "true")


BEFORE, AFTER = "Your payment is on its way", "Business is active"


def serve_live_page(page: Page, origin: str) -> dict[str, int]:
    """Serve a page whose state has changed from the second look on; count the looks."""
    looks = {"page": 0}

    def show(route: Route) -> None:
        looks["page"] += 1
        state = BEFORE if looks["page"] == 1 else AFTER
        region = f"""<div data-live-region="thread"><h2 data-live-says="{state}">{state}</h2>
            <details><summary>Earlier</summary><p>Long ago</p></details></div>"""
        body = f"""<!doctype html><html lang="en"><title>Live</title><body data-live-url="/specimen/live/">{region}
            <p id="announcer" role="status"></p><script type="module" src="/static/kessai/app.js"></script>"""
        route.fulfill(body=body, content_type="text/html")

    page.route(f"{origin}/specimen/", show)
    return looks


def test_news_changes_the_page_without_a_reload_and_is_announced(page: Page, live_server: str) -> None:
    serve_live_page(page, str(live_server))
    news = 'retry: 60000\nid: 7\nevent: activity\ndata: {"verb": "subscription:activated"}\n\n'
    page.route("**/specimen/live/**", lambda route: route.fulfill(body=news, content_type="text/event-stream"))
    page.goto(f"{live_server}/specimen/")
    page.evaluate("window.notReloaded = true")
    expect(page.get_by_role("heading")).to_have_text(AFTER)
    expect(page.get_by_role("status")).to_have_text(AFTER)
    assert page.evaluate("window.notReloaded") is True


def test_an_opened_list_stays_open_when_news_comes(page: Page, live_server: str) -> None:
    looks = serve_live_page(page, str(live_server))
    page.route("**/specimen/live/**", lambda route: route.fulfill(status=503))  # no stream: it polls
    page.goto(f"{live_server}/specimen/")
    page.get_by_text("Earlier").click()
    expect(page.get_by_role("heading")).to_have_text(AFTER)
    expect(page.get_by_role("group").get_by_text("Long ago")).to_be_visible()
    assert looks["page"] >= 2


def test_a_page_that_nobody_changed_is_left_alone(page: Page, live_server: str) -> None:
    page.route(
        "**/specimen/",
        lambda route: route.fulfill(
            body="""<!doctype html><html lang="en"><title>Live</title><body data-live-url="/specimen/live/">
            <div data-live-region="thread"><h2>Same</h2></div>
            <script type="module" src="/static/kessai/app.js"></script>""",
            content_type="text/html",
        ),
    )
    news = "retry: 60000\nid: 7\nevent: activity\ndata: {}\n\n"
    page.route("**/specimen/live/**", lambda route: route.fulfill(body=news, content_type="text/event-stream"))
    # A property and no attribute: what is compared is the markup, which must stay the same.
    page.add_init_script("addEventListener('DOMContentLoaded', () => { document.querySelector('h2').mine = 'kept' })")
    with page.expect_response(lambda response: response.request.resource_type == "fetch"):
        page.goto(f"{live_server}/specimen/")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.querySelector('h2').mine") == "kept"
