"""The tap as Singer knows it: streams, BATCH and RECORD messages, the SDK."""
