"""Names that are random by design, written in one way: two runs of one package give the same report."""

import hashlib
import ipaddress
import re

_RANDOM: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", "00000000-0000-0000-0000-000000000000"),
        # Python's tempfile: a prefix, then eight of these characters.
        (r"(?<=/tmp/)((?:[A-Za-z.][A-Za-z0-9.]*[-_.])*(?:tmp)?)(?=[a-z0-9_]{8}(?:[^A-Za-z0-9_]|$))"
         r"(?=[a-z0-9_]*[0-9_])[a-z0-9_]{8}", r"\1XXXXXXXX"),
        (r"(?<=/)tmp[a-z0-9_]{8}(?![A-Za-z0-9_])", "tmpXXXXXXXX"),
        # gcc's, mktemp's and mkdtemp's six.
        (r"(?<=/)cc[A-Za-z0-9]{6}(?=\.[a-z]+\b)", "ccXXXXXX"),
        (r"(?<=/tmp/)tmp\.[A-Za-z0-9]{10}\b", "tmp.XXXXXXXXXX"),
        (r"(?<=/tmp/)([A-Za-z][A-Za-z0-9._]*[-.])[A-Za-z0-9]{6}(?=/|$|\s)", r"\1XXXXXX"),
        # Byte code on its way to its name.
        (r"(?<=\.pyc\.)[0-9]+", "0"),
        (r"(?<=/proc/)[0-9]+(?=/|$)", "1"),
        (r"(?<=/proc/1/task/)[0-9]+", "1"),
    )
)  # fmt: skip
_STAND_INS = ipaddress.ip_network("198.18.0.0/15")


def text(value: str) -> str:
    """A path, an argument or a variable."""
    for pattern, replacement in _RANDOM:
        value = pattern.sub(replacement, value)
    return value


def address(value: str, names: tuple[str, ...]) -> str:
    """A stand-in address is handed out in the order of the look-ups; here it depends on the first name alone."""
    try:
        parsed = ipaddress.ip_address(value)
    except ValueError:
        return value
    if not names or parsed not in _STAND_INS:
        return value
    number = int.from_bytes(hashlib.sha256(names[0].encode()).digest()[:4]) % (_STAND_INS.num_addresses - 2)
    return str(_STAND_INS[number + 1])
