"""A browser without a screen: real sign-in, the links in mails, one-time codes."""

import base64
import hashlib
import hmac
import re
import struct
import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.core import mail
from django.http import HttpResponse
from django.test import Client

from tests.cast import PASSWORD


def new_browser(**defaults: Any) -> Client:
    return Client(**defaults)


def log_in(browser: Client, email: str, password: str = PASSWORD, **fields: str) -> HttpResponse:
    return browser.post("/accounts/login/", {"login": email, "password": password, **fields})  # type: ignore[return-value]


def prove_oneself(browser: Client) -> None:
    """Give the password again, which allauth wants before anything about second factors is changed."""
    browser.post("/accounts/reauthenticate/", {"password": PASSWORD})


def is_signed_in(browser: Client) -> bool:
    return "_auth_user_id" in browser.session


def link_in_mail(to: str, containing: str) -> str:
    """Return the path and query of the newest mailed link to this address in which the words stand."""
    for message in reversed(mail.outbox):
        if message.to == [to]:
            urls = [urlsplit(url) for url in re.findall(r"https?://\S+", str(message.body))]
            paths = [urlunsplit(("", "", url.path, url.query, "")) for url in urls]
            found = [path for path in paths if containing in path]
            if found:
                return found[0]
    raise AssertionError(f"No mail to {to} has a link to …{containing}…")


def one_time_code(secret: str) -> str:
    """RFC 6238 with its defaults: SHA-1, six digits, thirty seconds; written apart from the code under test."""
    counter = struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    place = digest[-1] & 15
    number = int.from_bytes(digest[place : place + 4]) & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"
