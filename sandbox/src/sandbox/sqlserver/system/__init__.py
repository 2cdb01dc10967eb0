"""The system catalog: which objects there are, sys.* and INFORMATION_SCHEMA, sizes, sessions and server properties."""
