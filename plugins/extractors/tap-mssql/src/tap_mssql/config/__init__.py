"""What a person sets: settings, options of streams, patterns of table names."""
