"""A REST API counterpart: basic authentication, offset/limit pages with the server's own cap, the order tables as JSON."""
