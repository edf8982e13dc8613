"""Of an address that comes in, only what names a plan goes on."""

import pytest

from accounts.onward import plan_page


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("/begin/?plan=team&interval=year&currency=jpy", "/begin/?plan=team&interval=year&currency=jpy"),
        ("/begin/?currency=usd&plan=team", "/begin/?plan=team&currency=usd"),  # always in one order
        ("/begin/?plan=team&next=https://evil.example/", "/begin/?plan=team"),
        ("/begin/?plan=a%26next%3D%2F%2Fevil", "/begin/?plan=a%26next%3D%2F%2Fevil"),  # still one value
        ("/begin/?plan=%00", "/begin/?plan=%00"),
        ("/begin/", "/begin/"),
        ("/begin/?plan=" + "x" * 200, ""),  # no place for it
        ("https://evil.example/begin/?plan=team", ""),
        ("//evil.example/begin/?plan=team", ""),
        ("/\\evil.example/begin/?plan=team", ""),
        ("javascript:/begin/?plan=team", ""),
        ("/begin/../admin/?plan=team", ""),
        ("/accounts/logout/?plan=team", ""),
        ("//[", ""),
        ("", ""),
    ],
)
def test_an_address_is_a_plans_page_or_nothing(address: str, page: str) -> None:
    assert plan_page(address) == page
