"""The command `tap-mssql`: the SDK's, with errors as messages instead of tracebacks."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Runs the tap; a user's mistake is one message and exit 1."""
    # What is imported stays: collecting it over and over, and once more at the end, is a tenth of a short run.
    gc.disable()
    from singer_arrow.errors import ArrowSingerError
    from singer_arrow.process import tame_memory
    from tap_mssql.errors import TapError
    from tap_mssql.tap import TapMssql

    gc.freeze()
    gc.enable()
    tame_memory()
    try:
        TapMssql.cli()
    except (TapError, ArrowSingerError) as error:
        sys.stderr.write(f"tap-mssql: {error}\n")
        sys.exit(1)
    except OSError as error:
        sys.stderr.write(
            f"tap-mssql: {error.strerror or error}: {error.filename or ''}; nothing of this load is staged; "
            "mend it and run again\n"
        )
        sys.exit(1)
