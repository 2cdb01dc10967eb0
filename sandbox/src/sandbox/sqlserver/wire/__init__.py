"""Bytes on the network: TLS, packets, requests in, tokens and rows out. Knows types and errors, but no SQL."""
