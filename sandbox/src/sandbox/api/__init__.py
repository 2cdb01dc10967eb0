"""A REST API counterpart: basic authentication, offset/limit pages with the server's own cap, order tables as JSON."""
