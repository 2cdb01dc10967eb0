"""Reading one stream: all its pages or an error, each key once, as a load of parts or as records."""
