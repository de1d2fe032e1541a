"""Own what tells this machine, and the kernel that runs on it now, from all others."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

_MACHINE_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")
_UUID_SIZE = 37


@lru_cache
def machine_id() -> str:
    """Return what stays the same over reboots (machine-id(5)); empty where nothing says it."""
    if sys.platform == "darwin":
        return _mac_machine()
    return next(filter(None, map(_read, _MACHINE_FILES)), "")


@lru_cache
def boot_id() -> str:
    """Return what each boot of a kernel has of its own; empty where nothing says it."""
    if sys.platform == "darwin":
        return _mac_boot()
    return _read("/proc/sys/kernel/random/boot_id")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _mac_machine() -> str:
    import ctypes
    import uuid

    class _Timespec(ctypes.Structure):
        _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))

    buffer = ctypes.create_string_buffer(16)
    failed: int = _libc().gethostuuid(buffer, ctypes.byref(_Timespec(5, 0)))
    return "" if failed else str(uuid.UUID(bytes=buffer.raw))


def _mac_boot() -> str:
    import ctypes

    buffer = ctypes.create_string_buffer(_UUID_SIZE)
    size = ctypes.c_size_t(_UUID_SIZE)
    failed: int = _libc().sysctlbyname(
        b"kern.bootsessionuuid", buffer, ctypes.byref(size), None, ctypes.c_size_t(0)
    )
    return "" if failed else buffer.value.decode()


def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)
