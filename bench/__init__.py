"""Measurements beside peers: scripts/bench NAME."""
