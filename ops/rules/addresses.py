"""IP addresses and ranges of them, as hexadecimal digits, compared as EventBridge's engine compares them.

The engine walks an address digit by digit and decides as soon as it can. So an IPv6 address lies in an IPv4 range when
its first eight digits do, and an IPv4 address lies in an IPv6 range when eight digits are enough to tell.
"""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple

V4 = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
V6 = re.compile(r"[0-9a-fA-F:]*:[0-9a-fA-F:]*")
LONGEST_V4 = 15


class AddressRange(NamedTuple):
    """Both ends included, as upper-case digits: 8 for IPv4, 32 for IPv6."""

    bottom: str
    top: str

    def holds(self, digits: str) -> bool:
        size = len(self.bottom)
        if len(digits) < size:
            return self.bottom[: len(digits)] < digits < self.top[: len(digits)]
        return self.bottom <= digits[:size] <= self.top


@lru_cache(maxsize=4096)
def digits_of(address: str) -> str | None:
    """Return the digits of an address, or None when the text is none. An IPv4 address mapped into IPv6 is IPv4."""
    if V4.fullmatch(address):
        return v4_digits(address)
    if V6.fullmatch(address):
        return v6_digits(address)
    return None


def v4_digits(address: str) -> str | None:
    parts = [int(part) for part in address.split(".")] if len(address) <= LONGEST_V4 else []
    return "".join(f"{part:02X}" for part in parts) if parts and max(parts) < 256 else None


def v6_digits(address: str) -> str | None:
    groups = [group.lstrip("0") or group[:1] for group in address.split(":")]  # 00001 is a group to the engine
    try:
        parsed = IPv6Address(":".join(groups))
    except AddressValueError:
        return None
    mapped = parsed.ipv4_mapped
    return f"{int(mapped):08X}" if mapped is not None else f"{int(parsed):032X}"


def range_around(digits: str, bits: int) -> AddressRange:
    """Return the range of addresses that share their first `bits` bits with the address."""
    free = (1 << (len(digits) * 4 - bits)) - 1
    number = int(digits, 16)
    return AddressRange(f"{number & ~free:0{len(digits)}X}", f"{number | free:0{len(digits)}X}")
