"""The commands, one module each: settings and command line on the way in, lines and exit codes on the way out."""

from __future__ import annotations

from singer_arrow.exits import Exit

CODES = {  # in the order of a run, and what a command ends with when the workspace gives it no usable answer
    "lease": Exit.CONVERT,
    "finish": Exit.CONVERT,
    "upload": Exit.UPLOAD,
    "convert": Exit.CONVERT,
    "verify": Exit.VERIFY,
    "bookmarks": Exit.CONVERT,
    "report": Exit.VERIFY,
    "prune": Exit.CONVERT,
    "loads": Exit.CONVERT,
    "drop": Exit.CONVERT,
    "reconcile": Exit.VERIFY,
    "doctor": Exit.EXTRACT,
    "status": Exit.CONVERT,
    "accept": Exit.CONVERT,
    "alert": Exit.CONVERT,
    "telemetry": Exit.CONVERT,
}
