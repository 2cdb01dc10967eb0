"""Reading loads in ranges, side by side, within limits, proven before they are complete."""
