"""Which addresses may be called: public ones, and those that the settings allow. Pure, but for `look_up`."""

import ipaddress
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What Python calls global and is none of a destination's business: the special-purpose registries of IANA, and
# services of clouds that answer every machine in them.
SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in (
        "100.64.0.0/10",  # shared by carriers; clouds keep metadata there
        "168.63.129.16/32",  # Azure's host
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.88.99.0/24",  # relays of 6to4
        "64:ff9b::/96",  # NAT64: an IPv4 address inside
        "64:ff9b:1::/48",  # NAT64 of one's own network
        "2001::/23",  # Teredo and other protocol assignments
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fec0::/10",  # site-local
    )
)
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
MOST_LOOKUPS = 32  # at once, in one process: a resolver that hangs holds a thread each


class NameNotFound(Exception):
    """The host's name is not known to the resolver."""


class LookupTimedOut(Exception):
    """The resolver did not answer in time."""


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Read "10.20.0.0/16", "::1"; ValueError says which is none."""
    return tuple(ipaddress.ip_network(text.strip(), strict=False) for text in texts)


def is_public(address: Address) -> bool:
    """Whether everybody may call this address and it stands for no other."""
    return (
        address.is_global
        and not (address.is_multicast or address.is_reserved or address.is_loopback or address.is_link_local)
        and not any(address in network for network in SPECIAL if network.version == address.version)
        and next(inside(address), None) is None
    )


def inside(address: Address) -> Iterator[ipaddress.IPv4Address]:
    """Yield the IPv4 addresses that an IPv6 address carries inside: where a gateway would send what is sent to it."""
    if isinstance(address, ipaddress.IPv4Address):
        return
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if address in NAT64 or 1 < int(address) < 1 << 32:  # the second form is old, and :: and ::1 are not of it
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether the settings allow this address, and each address inside it is allowed or public."""
    named = any(address in network for network in allowed if network.version == address.version)
    return named and all(is_public(other) or is_allowed(other, allowed) for other in inside(address))


def may_be_called(text: str, *, allowed: Sequence[Network], encrypted: bool) -> bool:
    """Whether a destination may stand at this IP address. Without encryption only what the settings allow."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return is_allowed(address, allowed) or (encrypted and is_public(address))


def resolve(host: str, port: int) -> list[str]:
    """Ask the system for the IP addresses of a host, in the order in which they should be tried."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass
class Lookup:
    addresses: list[str] = field(default_factory=list)
    error: Exception | None = None


_free_lookups = threading.BoundedSemaphore(MOST_LOOKUPS)


def look_up(host: str, port: int, *, seconds: float) -> list[str]:
    """Resolve a host within `seconds`. Raises NameNotFound, LookupTimedOut.

    The system's resolver knows no time-out, so that it is asked in a thread, which is left behind if it hangs.
    """
    if not _free_lookups.acquire(timeout=max(seconds, 0)):
        raise LookupTimedOut
    found = Lookup()

    def ask() -> None:
        try:
            found.addresses = resolve(host, port)
        except (OSError, UnicodeError) as error:
            found.error = error
        finally:
            _free_lookups.release()

    thread = threading.Thread(target=ask, name=f"look-up-{host[:40]}", daemon=True)
    thread.start()
    thread.join(max(seconds, 0))
    if thread.is_alive():
        raise LookupTimedOut
    if found.error or not found.addresses:
        raise NameNotFound from found.error
    return found.addresses
