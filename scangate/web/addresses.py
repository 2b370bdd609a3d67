"""URLs and IP addresses that the client may go to: pure rules, no look-up and no connection.

An address from outside (a report URL, an upload URL) must not lead into the user's own network: what a name says
is checked here, and the transport checks again, by `is_public`, every address that the name resolves to.
"""

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

MAX_URL_CHARACTERS = 8192

IpAddress = IPv4Address | IPv6Address
AddressRule = Callable[[IpAddress], bool]
"""Whether a connection to this address is allowed."""

_URL = re.compile(
    r"(?P<scheme>https?)://(?:(?P<name>[a-z0-9._-]+)|\[(?P<ipv6>[0-9a-f:.]+)\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>(?:[/?](?:(?![\\#\"<>])[!-~])*)?)",
    re.IGNORECASE | re.ASCII,
)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")
_NUMBER = re.compile(r"[0-9]+\Z|0x[0-9a-f]*\Z")

_NOT_PUBLIC_IPV4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's metadata and DNS service, in the midst of public space
        "169.254.0.0/16",  # link-local, the metadata services of most clouds among it
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_PUBLIC_IPV6 = IPv6Network("2000::/3")
_NOT_PUBLIC_IPV6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "3fff::/20",
    )
)
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

_INNER_DOMAINS = frozenset({"localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp"})
"""Last labels that never lead to a public host. They matter where a proxy resolves, so that we see no address."""


class Endpoint(NamedTuple):
    """An http or https URL in its parts: `host` is lower case, an IPv6 address without brackets.

    `address` is set where the host is an IP address; `rest` is path and query, "" or from "/" or "?" on.
    """

    scheme: str
    host: str
    address: IpAddress | None
    port: int | None
    rest: str

    def __repr__(self) -> str:
        """Without `rest`: it may hold a signature, which stays out of output and logs."""
        return f"Endpoint({self.origin!r})"

    @property
    def origin(self) -> str:
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return f"{self.scheme}://{host}" if self.port is None else f"{self.scheme}://{host}:{self.port}"

    @property
    def url(self) -> str:
        return self.origin + self.rest

    @property
    def is_loopback(self) -> bool:
        """By what is written: 127.0.0.0/8, ::1 or localhost. The transport checks where localhost leads."""
        return is_loopback(self.address) if self.address else self.host == "localhost"


def read_url(text: str) -> Endpoint:
    """An absolute http or https URL in plain ASCII, without user, password and fragment.

    Raises ValueError; its text says what is wrong, and holds nothing of the URL (which may carry a signature).
    """
    if len(text) > MAX_URL_CHARACTERS:
        raise ValueError(f"is longer than {MAX_URL_CHARACTERS} characters")
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError("is not an absolute http or https URL in plain ASCII, without user, password and fragment")
    port = None if match["port"] is None else int(match["port"])
    if port is not None and not 0 < port < 65536:
        raise ValueError("has a port that is none")
    if match["ipv6"]:
        address: IpAddress | None = _ipv6(match["ipv6"])
        host = str(address)
    else:
        host = match["name"].lower().removesuffix(".")
        address = _ipv4(host)
    return Endpoint(scheme=match["scheme"].lower(), host=host, address=address, port=port, rest=match["rest"])


def _ipv6(text: str) -> IPv6Address:
    try:
        return IPv6Address(text)
    except ValueError:
        raise ValueError("has a host that is no IPv6 address") from None


def _ipv4(host: str) -> IPv4Address | None:
    """The host as an IPv4 address; None where it is a name. Decimal, octal and short forms are errors.

    A host whose last label is a number is an address to every resolver (WHATWG URL, "ends in a number"): so
    `2130706433`, `0177.0.0.1`, `0x7f.1` and `127.1` all mean 127.0.0.1.
    """
    labels = host.split(".")
    if not all(_LABEL.match(label) for label in labels) or len(host) > 253:
        raise ValueError("has a host that is no host name")
    if not _NUMBER.match(labels[-1]):
        return None
    try:
        return IPv4Address(host)
    except ValueError:
        raise ValueError("has a host that is neither a name nor a plain IPv4 address") from None


def parse_address(text: str) -> IpAddress:
    """An address as the resolver gives it."""
    return ip_address(text)


def is_loopback(address: IpAddress) -> bool:
    """127.0.0.0/8 and ::1. An IPv4-mapped address is not: nobody needs that spelling."""
    return any(address in network for network in _LOOPBACK)


def is_public(address: IpAddress) -> bool:
    """Whether an address is on the public Internet (IANA's special-purpose registries; metadata services).

    Ours rather than `is_global`, whose answers differ between Python's patch releases. An IPv6 address that
    carries an IPv4 one (mapped, NAT64, 6to4, Teredo) is not public, whatever it carries.
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_IPV4)
    return address in _PUBLIC_IPV6 and not any(address in network for network in _NOT_PUBLIC_IPV6)


def is_public_or_loopback(address: IpAddress) -> bool:
    return is_public(address) or is_loopback(address)


def any_address(_: IpAddress) -> bool:
    """The rule for an https address that the user configured: it may well be in the own network."""
    return True


def inner_name(endpoint: Endpoint) -> bool:
    """Whether a host is a name of an inner network: one label only, or a domain that never is public."""
    if endpoint.address is not None:
        return False
    *parents, last = endpoint.host.split(".")
    return not parents or last in _INNER_DOMAINS or endpoint.host.endswith(".home.arpa")


def foreign_url(text: str, *, loopback: bool) -> Endpoint:
    """A URL that the service gave for a report or an upload: https to a public host.

    `loopback`: the service itself is on loopback, so loopback is allowed too, by http and https, at any port.
    Raises ValueError as `read_url` does. The addresses of a name are still to be checked when it is resolved.
    """
    endpoint = read_url(text)
    if endpoint.is_loopback:
        if not loopback:
            raise ValueError("leads to this machine's own loopback")
        return endpoint
    if endpoint.scheme != "https":
        raise ValueError("is not https")
    if inner_name(endpoint) or (endpoint.address is not None and not is_public(endpoint.address)):
        raise ValueError("leads to an address that is not public")
    return endpoint
