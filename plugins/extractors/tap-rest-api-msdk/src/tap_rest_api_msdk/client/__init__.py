"""HTTP: one answer at a time, within its limits, with patience for what may pass."""
