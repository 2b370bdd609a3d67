"""The few calls of the C library that Python does not have. Linux only: import it where it is used."""

import ctypes
import os
import signal

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1

NOSUID, NODEV, BIND, RECURSIVE = 2, 4, 4096, 16384  # MS_*


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """mount(2). Raises OSError."""
    answer = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode()
    )
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def die_with_parent() -> None:
    """Be killed when the parent dies. Asked for anew after each change of the user, which forgets it."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
