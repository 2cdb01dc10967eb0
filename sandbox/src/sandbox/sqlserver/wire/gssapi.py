"""Integrated logins: a client's ticket, accepted by the system's Kerberos (RFC 2744; MIT's libgssapi_krb5) with a keytab.

Of that library six functions are needed here; the Python packages that wrap all of it have to be compiled on Linux.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref
from pathlib import Path

_LIBRARY = "libgssapi_krb5.so.2"
_OM = ctypes.c_uint32
_CONTINUE_NEEDED, _ERRORS = 1, 0xFFFF0000  # of a major status (RFC 2744, 3.9.1)
_ACCEPT, _INDEFINITE = 2, 0xFFFFFFFF  # GSS_C_ACCEPT, GSS_C_INDEFINITE
_OF_GSS, _OF_MECHANISM = 1, 2  # whose status is displayed


class NotTrusted(Exception):
    """A token that proves nobody, in the library's words."""


class _Buffer(ctypes.Structure):
    _fields_ = (("length", ctypes.c_size_t), ("value", ctypes.c_void_p))

    def taken(self, library: ctypes.CDLL) -> bytes:
        """The bytes; the library's memory is given back."""
        data = ctypes.string_at(self.value, self.length) if self.length else b""
        library.gss_release_buffer(byref(_OM()), byref(self))
        return data


class _Element(ctypes.Structure):
    _fields_ = (("key", ctypes.c_char_p), ("value", ctypes.c_char_p))


class _Store(ctypes.Structure):
    _fields_ = (("count", _OM), ("elements", POINTER(_Element)))


class Acceptor:
    """A service with its keys, any of the keytab; one for all connections. `replays` is a file that it keeps.

    Raises OSError where the system has no Kerberos, and NotTrusted where the keytab cannot be used.
    """

    def __init__(self, keytab: Path, replays: Path) -> None:
        self._library = ctypes.CDLL(_LIBRARY)
        self._credential = ctypes.c_void_p()
        keys, seen = _Element(b"keytab", f"FILE:{keytab}".encode()), _Element(b"rcache", f"file2:{replays}".encode())
        minor, store = _OM(), _Store(2, (_Element * 2)(keys, seen))
        major = self._library.gss_acquire_cred_from(
            byref(minor), None, _OM(_INDEFINITE), None, _ACCEPT, byref(store), byref(self._credential), None, None
        )
        self._check(major, minor)

    def accept(self, token: bytes) -> tuple[str, bytes]:
        """Whose token it is (name@REALM), and the answer that proves this service to the client. Raises NotTrusted."""
        library, minor, context, name, answer = self._library, _OM(), ctypes.c_void_p(), ctypes.c_void_p(), _Buffer()
        held = ctypes.create_string_buffer(token, len(token))
        given = _Buffer(len(token), ctypes.cast(held, ctypes.c_void_p))
        major = library.gss_accept_sec_context(
            byref(minor), byref(context), self._credential, byref(given), None,
            byref(name), None, byref(answer), None, None, None,
        )  # fmt: skip
        try:
            self._check(major, minor)
            return self._displayed(name), answer.taken(library)
        finally:
            library.gss_release_buffer(byref(_OM()), byref(answer))
            library.gss_release_name(byref(_OM()), byref(name))
            library.gss_delete_sec_context(byref(_OM()), byref(context), None)

    def _check(self, major: int, minor: ctypes.c_uint32) -> None:
        if major & _ERRORS:
            raise NotTrusted("; ".join(filter(None, (self._words(major, _OF_GSS), self._words(minor.value, _OF_MECHANISM)))))
        if major & _CONTINUE_NEEDED:
            raise NotTrusted("the client wants to go on; Kerberos needs one token")

    def _words(self, status: int, of: int) -> str:
        text = _Buffer()
        self._library.gss_display_status(byref(_OM()), _OM(status), of, None, byref(_OM()), byref(text))
        return text.taken(self._library).decode(errors="replace")

    def _displayed(self, name: ctypes.c_void_p) -> str:
        minor, text = _OM(), _Buffer()
        self._check(self._library.gss_display_name(byref(minor), name, byref(text), None), minor)
        return text.taken(self._library).decode()
