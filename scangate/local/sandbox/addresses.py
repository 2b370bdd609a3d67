"""One spelling for each IP address, whoever names it: the trace, the packets, the sockets."""

import ipaddress


def plain_address(address: str) -> str:
    """An IPv4 address that is written as an IPv6 one, as IPv4; others in their shortest form, without a scope.

    Raises ValueError where it is none.
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)
