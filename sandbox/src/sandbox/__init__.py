"""Counterparts of the real services on this machine, for the demo, the tests and the benchmarks; never in the image."""
