"""Who works on a run: a name for each program that does, and whether it still lives."""

from __future__ import annotations

import os
import secrets
import socket

SILENT_AFTER_S = 150.0
"""An owner that has not been heard of for so long is gone, whatever its process id says."""


def new_owner() -> str:
    """A name that no other run of any program on any machine has."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def is_alive(owner: str, silent_s: float) -> bool:
    """Whether the owner, last heard of so many seconds ago, may still be at work."""
    if silent_s > SILENT_AFTER_S:
        return False
    host, pid, _ = owner.rsplit(":", 2)
    if host != socket.gethostname():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
