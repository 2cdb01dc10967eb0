"""A REST API stand-in: basic authentication, offset/limit pages with the server's own cap, order tables as JSON."""
