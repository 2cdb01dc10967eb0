"""For every test: the Microsoft driver finds its system libraries also where scripts/setup had to download them."""

from __future__ import annotations

from tap_mssql.server.libraries import load_libraries

load_libraries()
