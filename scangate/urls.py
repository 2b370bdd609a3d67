"""URLs from outside: their host, and their text without credentials."""

import re
from urllib.parse import urlsplit

_NO_PORT = re.compile(r":(?![0-9]*\Z)(?!.*\])")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_AMBIGUOUS = re.compile(r"[\\\x00-\x20\x7f]")


def host_of(url: str) -> str | None:
    """The lower-case host of a URL (with its port where it has one); None where there is none.

    Also None where readers differ: a browser or npm takes a backslash as a slash and drops tabs and newlines, so that
    they would ask another host than the one that Python reads.
    """
    if _AMBIGUOUS.search(url):
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host:
        return None
    host = host.rstrip(".")
    return host if port is None else f"{host}:{port}"


def without_credentials(url: str) -> str:
    """The URL without user, password, query and `;parameters`: all three carry tokens in lockfiles in the wild.

    The fragment is kept: lockfiles name the commit or the digest there.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    rest, hash_mark, fragment = rest.partition("#")
    authority, slash, path = rest.partition("?")[0].partition("/")
    if "@" in path and "@" not in authority and _NO_PORT.search(authority):
        # "user:pass/word@host", whose slash should have been encoded: nothing of it is shown.
        return f"{scheme}://***"
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path.partition(';')[0]}{hash_mark}{fragment}"


def exact(url: str) -> str:
    """The URL without user and password, all else as it is: what decides which content comes from there.

    Not to be shown, for a query may carry a token. The user of an SSH URL is kept: a path may begin at that one's home.
    Where readers could differ about what the user is, nothing is taken away.
    """
    if url.partition("://")[0].lower().endswith("ssh"):
        return url
    return re.sub(r"\A([A-Za-z0-9+.-]+://)[^/?#@\\\x00-\x20]*@", r"\1", url, count=1)


def source_id(*places: str, shown: str | None = None) -> str | None:
    """What tells these URLs (or other texts) from all others where they must not be shown: a digest of the exact ones.

    None where there are none, or where what is `shown` says all of it.
    """
    found = [exact(place) for place in places]
    if found in ([], [shown]):
        return None
    import hashlib  # ordinary entries of the public registries never come here

    return hashlib.sha256(repr(found).encode()).hexdigest()


def is_plain(url: str) -> bool:
    """Whether content from this URL comes unprotected over a network: without TLS or SSH, and not from this machine."""
    # By the scheme alone: what clients make of "http:\\host" and "http:host" differs, and none of it is protected.
    scheme, _, rest = url.partition(":")
    if not rest or scheme.lower().rpartition("+")[2] not in ("http", "ftp", "git", "svn"):
        return False
    host = host_of(url) or ""
    return host.rpartition(":")[0].strip("[]") not in _LOOPBACK and host not in _LOOPBACK
