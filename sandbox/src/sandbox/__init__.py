"""Local stand-ins for the real services, for the demo, the tests and the benchmarks; never in the image."""
