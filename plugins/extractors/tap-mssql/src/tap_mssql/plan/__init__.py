"""What a load reads and how: pure text and decisions, from the catalog, the settings and the state."""
