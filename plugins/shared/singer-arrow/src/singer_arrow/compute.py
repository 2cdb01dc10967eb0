"""`pyarrow.compute` without its import, which makes hundreds of wrappers and takes as long as reading a small table.

The kernels that every load uses are called by name (`pyarrow.compute.call_function`, from the module that defines it); the
others come from `pyarrow.compute`, imported when one is first asked for.

Gain: 0.05 of 0.17 CPU seconds of each start (median of 13, in tap-mssql's environment).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pyarrow as pa

_BY_NAME = {
    **{name: name for name in ("sum", "min_max", "binary_length", "count_distinct", "is_nan", "shift_right", "bit_wise_and")},
    **{name: name for name in ("abs", "any", "equal", "greater", "if_else", "is_inf", "less", "not_equal")},
    **{"and_": "and", "or_": "or"},
}
# Arrow looks for the type of a value that has none among all it knows, and imports dateutil for that: 0.014 CPU seconds.
_SCALARS = {int: pa.int64(), float: pa.float64(), str: pa.string()}


def cast(values: Any, arrow: pa.DataType) -> Any:
    """The values in another type. Raises pa.ArrowInvalid for one that does not fit."""
    from pyarrow._compute import CastOptions, call_function

    return call_function("cast", [values], CastOptions.safe(arrow))


def split(texts: Any, separator: str) -> Any:
    """Each text cut at a separator, as lists."""
    from pyarrow._compute import SplitPatternOptions, call_function

    return call_function("split_pattern", [texts], SplitPatternOptions(pattern=separator))


def __getattr__(name: str) -> Any:
    if name in _BY_NAME:
        found: Any = partial(call, _BY_NAME[name])
    else:
        import pyarrow.compute

        found = getattr(pyarrow.compute, name)
    globals()[name] = found
    return found


def call(name: str, *arguments: Any) -> Any:
    """What a kernel makes of its arguments, by the kernel's own name and with its own defaults."""
    from pyarrow._compute import call_function

    return call_function(name, [pa.scalar(each, _SCALARS[type(each)]) if type(each) in _SCALARS else each for each in arguments])
