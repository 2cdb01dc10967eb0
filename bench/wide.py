"""A wide table of mixed types, drawn from a fixed seed: 16 columns, an int key with gaps, NULLs, Portuguese text and emoji.

Doubles have few digits, since the published target refuses any that is finer than 1e-17.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

BATCH_ROWS = 100_000
_SEED = 20261124
_MICROSECONDS_OF_2020 = 1_577_836_800_000_000
_SIX_YEARS = 6 * 365 * 86_400_000_000
_HEX = np.frombuffer(b"".join(b"%02X" % n for n in range(256)), dtype="S2")

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int32(), False),
        pa.field("customer_id", pa.int64(), False),
        pa.field("quantity", pa.int32()),
        pa.field("price", pa.decimal128(19, 4), False),
        pa.field("discount", pa.decimal128(9, 6)),
        pa.field("weight", pa.float64()),
        pa.field("score", pa.float64(), False),
        pa.field("created_at", pa.timestamp("us"), False),
        pa.field("shipped_at", pa.timestamp("us")),
        pa.field("due_on", pa.date32(), False),
        pa.field("active", pa.bool_(), False),
        pa.field("customer", pa.string(), False),
        pa.field("city", pa.string()),
        pa.field("note", pa.string()),
        pa.field("row_guid", pa.string(), False),
        pa.field("status", pa.string(), False),
    ]
)
_FIRST = ["João", "Inês", "Conceição", "Luís", "Antônio", "Mônica", "Fátima", "Caetano", "Érica", "Gonçalo", "Ana", "Bruna"]
_LAST = ["da Silva", "Araújo", "Gonçalves", "de Souza", "Magalhães", "Simões", "Brandão", "Lima", "Teixeira", "Nóbrega"]
_CITIES = ["São Paulo", "Florianópolis", "Brasília", "Belém", "Goiânia", "Maceió", "Cuiabá", "Rio de Janeiro", "Porto", "Évora"]
_NOTES = [
    "Entregar só de manhã ☀️",
    "Cliente pediu nota fiscal eletrônica 🧾",
    "Atenção: produto frágil, não empilhar 📦",
    "Troca até 30 dias",
    "Endereço com portão azul, tocar a campainha duas vezes 🔔",
    "Pagamento à vista, 5 % de desconto 👍🏽",
    "",
    "Devolução: peça não serviu; crédito lançado em conta corrente do cliente no mês seguinte 💳",
]
_STATUS = ["ABERTO", "PAGO", "ENVIADO", "ENTREGUE", "CANCELADO"]


def batches(rows: int) -> Iterator[pa.RecordBatch]:
    """The first `rows` rows, BATCH_ROWS at a time; the same rows whatever their number."""
    last_id = 0
    for number in range(-(-rows // BATCH_ROWS)):
        batch = _batch(np.random.default_rng([_SEED, number]), last_id)
        last_id = batch.column("id")[-1].as_py()
        yield batch.slice(0, rows - number * BATCH_ROWS)


def _batch(rng: np.random.Generator, last_id: int) -> pa.RecordBatch:
    n = BATCH_ROWS
    created = _MICROSECONDS_OF_2020 + rng.integers(0, _SIX_YEARS, n)
    names = np.array([f"{first} {last}" for first in _FIRST for last in _LAST])
    columns = [
        pa.array((last_id + np.cumsum(rng.integers(1, 4, n))).astype(np.int32)),
        pa.array(rng.integers(10**9, 10**12, n)),
        _some(rng, rng.integers(1, 5000, n).astype(np.int32), 0.05),
        _decimals(rng.integers(-(10**6), 10**10, n), None, pa.decimal128(19, 4)),
        _decimals(rng.integers(0, 10**6, n), _missing(rng, 0.1), pa.decimal128(9, 6)),
        _some(rng, rng.gamma(2.0, 3.5, n).round(4), 0.2),
        pa.array(rng.normal(0.0, 1e6, n).round(3)),
        pa.array(created).cast(pa.timestamp("us")),
        _some(rng, created + rng.integers(0, 10**13, n), 0.3).cast(pa.timestamp("us")),
        pa.array((created // 86_400_000_000 + 30).astype(np.int32)).cast(pa.date32()),
        pa.array(rng.random(n) < 0.9),
        _picked(rng, names, None),
        _picked(rng, np.array(_CITIES), _missing(rng, 0.05)),
        _picked(rng, np.array(_NOTES), _missing(rng, 0.6)),
        pa.array(_guids(rng)),
        _picked(rng, np.array(_STATUS), None),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _missing(rng: np.random.Generator, share: float) -> npt.NDArray[np.bool_]:
    return rng.random(BATCH_ROWS) < share


def _some(rng: np.random.Generator, values: npt.NDArray[Any], share: float) -> pa.Array:
    return pa.array(values, mask=_missing(rng, share))


def _picked(rng: np.random.Generator, texts: npt.NDArray[np.str_], missing: npt.NDArray[np.bool_] | None) -> pa.Array:
    indices = pa.array(rng.integers(0, len(texts), BATCH_ROWS).astype(np.int32), mask=missing)
    return pa.DictionaryArray.from_arrays(indices, pa.array(texts.tolist())).cast(pa.string())


def _decimals(unscaled: npt.NDArray[np.int64], missing: npt.NDArray[np.bool_] | None, kind: pa.Decimal128Type) -> pa.Array:
    """Decimals of these unscaled values: little-endian 128 bits, as Arrow keeps them."""
    pairs = np.empty((len(unscaled), 2), dtype=np.int64)
    pairs[:, 0], pairs[:, 1] = unscaled, unscaled >> 63
    valid = None if missing is None else pa.array(~missing).buffers()[1]
    return pa.Array.from_buffers(kind, len(unscaled), [valid, pa.py_buffer(pairs)])


def _guids(rng: np.random.Generator) -> npt.NDArray[Any]:
    """Random texts of the form 6F9619FF-8B86-D011-B42D-00C04FC964FF."""
    digits = _HEX[rng.integers(0, 256, (BATCH_ROWS, 16), dtype=np.uint8)].view("S1").reshape(BATCH_ROWS, 32)
    text = np.full((BATCH_ROWS, 36), b"-", dtype="S1")
    start = 0
    for width in (8, 4, 4, 4, 12):
        text[:, start : start + width] = digits[:, :width]
        digits = digits[:, width:]
        start += width + 1
    return text.view("S36").reshape(BATCH_ROWS).astype("U36")
