"""For all tests: hypothesis measures no times, since machines differ."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("lighthouse", deadline=None)
settings.load_profile("lighthouse")
