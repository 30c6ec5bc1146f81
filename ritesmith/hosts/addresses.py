"""Which IP addresses a host function may connect to: public ones, and those that the project opens. Pure.

Judged by explicit networks (the special-purpose registries of RFC 6890 and its updates), because Python's `is_global`
calls several of them public. An address that carries an IPv4 address is judged by that one too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

CLOSED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), why)
    for network, why in (
        ("0.0.0.0/8", "this machine"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a provider's customers"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud's own service"),
        ("169.254.0.0/16", "link-local, where clouds keep their metadata"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "for protocols"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relays"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarks"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "this machine"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4-compatible"),
        ("::ffff:0:0:0/96", "IPv4-translated"),
        ("64:ff9b:1::/48", "local NAT64"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "for protocols"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
MAPPED, NAT64 = IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96")
UNICAST = IPv6Network("2000::/3")
"""All public IPv6 addresses lie in it."""
CARRIERS: tuple[tuple[IPv6Network, int, int], ...] = (
    (MAPPED, 0, 0),
    (NAT64, 0, 0),
    (IPv6Network("64:ff9b:1::/48"), 0, 0),
    (IPv6Network("::ffff:0:0:0/96"), 0, 0),
    (IPv6Network("2002::/16"), 80, 0),
    (IPv6Network("2001::/32"), 64, 0),
    (IPv6Network("2001::/32"), 0, 0xFFFFFFFF),
)
"""Network whose addresses carry an IPv4 address, how far it is shifted, and what it is exclusive-ored with."""
ISATAP = (0x00005EFE, 0x02005EFE)


def refusal(address: str, opened: Sequence[str] = ()) -> str | None:
    """Why `address` may not be connected to, in a few words; None when it may.

    `opened` are networks ("10.1.0.0/16") that are open although they are not public.

    >>> refusal("93.184.215.14"), refusal("::ffff:10.0.0.1"), refusal("10.0.0.1", ["10.0.0.0/8"])
    (None, 'private (10.0.0.1)', None)
    """
    found = ip_address(address)
    why = _closed(found, [ip_network(network) for network in opened])
    return None if why is None else f"{why[0]}{'' if why[1] == found else f' ({why[1]})'}"


def _closed(address: Address, opened: Sequence[Network]) -> tuple[str, Address] | None:
    for inner in _carried(address):
        why = _closed(inner, opened)
        if why is not None:
            return why
    if any(address in network for network in opened):
        return None
    for network, words in CLOSED:
        if address in network:
            return words, address
    if isinstance(address, IPv6Address) and not any(address in network for network in (UNICAST, MAPPED, NAT64)):
        return "not public", address
    return None


def _carried(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that a packet to an IPv6 address may end at."""
    if not isinstance(address, IPv6Address):
        return
    bits = int(address)
    for network, shift, mask in CARRIERS:
        if address in network:
            yield IPv4Address((bits >> shift & 0xFFFFFFFF) ^ mask)
    if bits >> 32 == 0 and bits > 1:
        yield IPv4Address(bits)
    if bits >> 32 & 0xFFFFFFFF in ISATAP:
        yield IPv4Address(bits & 0xFFFFFFFF)
