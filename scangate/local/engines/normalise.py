"""Names that are random by design, written in one way: two runs of one package give the same report."""

import hashlib
import ipaddress
import re

_RANDOM: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", "00000000-0000-0000-0000-000000000000"),
        # Python's tempfile: a prefix, then eight characters. Behind other prefixes a word could look like them.
        (r"(?<=/)(\.?tmp[-._]?)[a-z0-9_]{8}(?![A-Za-z0-9_])", r"\1XXXXXXXX"),
        (r"(?<=/tmp/)([A-Za-z][\w.-]{0,64}[-_.])(?=[a-z_]{0,7}[0-9])[a-z0-9_]{8}(?![A-Za-z0-9_])", r"\1XXXXXXXX"),
        # gcc's, mktemp's and mkdtemp's (node: fs.mkdtemp).
        (r"(?<=/)cc[A-Za-z0-9]{6}(?=\.[a-z]+\b)", "ccXXXXXX"),
        (r"(?<=/tmp/)tmp\.[A-Za-z0-9]{10}\b", "tmp.XXXXXXXXXX"),
        (r"(?<=/tmp/)([A-Za-z][\w.-]{0,64}[-.])(?=[A-Za-z]{0,5}[A-Z0-9])[A-Za-z0-9]{6}(?![\w.-])", r"\1XXXXXX"),
        # Byte code on its way to its name.
        (r"(?<=\.pyc\.)[0-9]+", "0"),
        (r"(?<=/proc/)[0-9]+(?=/|$)", "1"),
        (r"(?<=/proc/1/task/)[0-9]+", "1"),
    )
)
_TRIAL_PLACE = "/tmp/"  # noqa: S108  (in the sandbox)
_TRIAL = re.compile(_TRIAL_PLACE + "[a-z0-9_]{8}")
_STAND_INS = ipaddress.ip_network("198.18.0.0/15")


def text(value: str) -> str:
    """A path, an argument or a variable."""
    for pattern, replacement in _RANDOM:
        value = pattern.sub(replacement, value)
    return value


def path(value: str, *, passing: bool) -> str:
    """A file's path. `passing`: it was made and removed again.

    Python's tempfile tries a directory out with such a file, whose whole name is eight random characters.
    """
    return f"{_TRIAL_PLACE}XXXXXXXX" if passing and _TRIAL.fullmatch(value) else text(value)


def output(content: bytes) -> bytes:
    """What a program printed, in whatever encoding."""
    return text(content.decode("latin-1")).encode("latin-1")


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
