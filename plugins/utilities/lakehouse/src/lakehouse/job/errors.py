"""Why a load is not applied."""

from __future__ import annotations


class Refused(Exception):
    """A load that must not be applied; the message goes into the published document."""
