"""The commands, one module each: settings and command line on the way in, lines and exit codes on the way out."""
