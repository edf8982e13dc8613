"""Which addresses a destination may stand at."""

import ipaddress
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.effects.destinations import addresses
from ops.effects.destinations.addresses import LookupTimedOut, NameNotFound, look_up, may_be_called, networks

PUBLIC = ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "2a00:1450:4001:81b::200e"]
# an address, and what it is
REFUSED = [
    ("127.0.0.1", "loopback"),
    ("127.8.8.8", "loopback"),
    ("0.0.0.0", "this host"),
    ("10.0.0.1", "private"),
    ("172.16.0.1", "private"),
    ("192.168.1.1", "private"),
    ("169.254.169.254", "link-local: metadata of clouds"),
    ("100.100.100.200", "shared: metadata of Alibaba's cloud"),
    ("168.63.129.16", "public, and answers every machine in Azure"),
    ("192.0.0.192", "metadata of Oracle's cloud"),
    ("192.0.2.1", "documentation"),
    ("198.18.0.1", "benchmarks"),
    ("224.0.0.1", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local of an interface"),
    ("fc00::1", "unique local"),
    ("fd00:ec2::254", "metadata of AWS"),
    ("fec0::1", "site-local"),
    ("ff02::1", "multicast"),
    ("2001:db8::1", "documentation"),
    ("::ffff:127.0.0.1", "IPv4-mapped loopback"),
    ("::ffff:8.8.8.8", "IPv4-mapped, though public"),
    ("::127.0.0.1", "IPv4-compatible"),
    ("2002:7f00:1::", "6to4 of loopback"),
    ("2002:808:808::", "6to4, though public"),
    ("64:ff9b::7f00:1", "NAT64 of loopback"),
    ("64:ff9b::808:808", "NAT64, though public"),
    ("64:ff9b:1::1", "NAT64 of one's own network"),
    ("2001:0:808:808::1", "Teredo"),
    ("not an address", "nothing"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_called_encrypted_alone(address):
    assert may_be_called(address, allowed=(), encrypted=True)
    assert not may_be_called(address, allowed=(), encrypted=False)


@pytest.mark.parametrize(("address", "_what"), REFUSED)
def test_another_address_may_not(address, _what):
    assert not may_be_called(address, allowed=(), encrypted=True)


def test_an_allowed_network_may_be_called_also_without_encryption():
    allowed = networks(["10.20.0.0/16", "::1"])
    assert may_be_called("10.20.3.4", allowed=allowed, encrypted=False)
    assert may_be_called("::1", allowed=allowed, encrypted=False)
    assert not may_be_called("10.21.3.4", allowed=allowed, encrypted=True)


def test_allowing_a_gateway_does_not_allow_what_is_private_behind_it():
    allowed = networks(["64:ff9b::/96"])
    assert may_be_called("64:ff9b::808:808", allowed=allowed, encrypted=True)
    assert not may_be_called("64:ff9b::7f00:1", allowed=allowed, encrypted=True)


def test_allowing_loopback_does_not_allow_it_in_disguise():
    allowed = networks(["127.0.0.0/8"])
    assert not may_be_called("::ffff:127.0.0.1", allowed=allowed, encrypted=True)
    assert not may_be_called("2002:7f00:1::", allowed=allowed, encrypted=True)


DISGUISES = [
    lambda v4: ipaddress.IPv6Address((0xFFFF << 32) | v4),  # mapped
    lambda v4: ipaddress.IPv6Address(v4),  # compatible
    lambda v4: ipaddress.IPv6Address((0x2002 << 112) | (v4 << 80)),  # 6to4
    lambda v4: ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | v4),  # NAT64
]


@given(v4=st.integers(0, 2**32 - 1), disguise=st.sampled_from(DISGUISES))
def test_no_ipv4_address_may_be_called_in_disguise(v4, disguise):
    assert not may_be_called(str(disguise(v4)), allowed=(), encrypted=True)


@given(address=st.ip_addresses())
def test_what_is_not_global_is_never_called(address):
    if not address.is_global or address.is_multicast:
        assert not may_be_called(str(address), allowed=(), encrypted=True)


def test_a_resolver_that_hangs_is_left_behind(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(addresses, "resolve", lambda host, port: release.wait(20) and [])
    with pytest.raises(LookupTimedOut):
        look_up("slow.example", 443, seconds=0.05)
    release.set()


@pytest.mark.parametrize("host", ["nobody.invalid", "a" * 300, "..", "\udcff"])
def test_a_name_that_does_not_exist_is_said_so(host):
    with pytest.raises(NameNotFound):
        look_up(host, 443, seconds=20)


# how resolvers read numbers that are no addresses at first sight
@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "localhost"])
def test_a_disguised_loopback_is_resolved_before_it_is_judged(host):
    found = look_up(host, 80, seconds=20)
    assert found
    assert not any(may_be_called(address, allowed=(), encrypted=True) for address in found)
