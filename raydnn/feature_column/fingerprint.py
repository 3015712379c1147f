"""FarmHash Fingerprint64 of whole columns, and the hash buckets and crosses built on it.

The algorithm is Google's FarmHash, namespace ``farmhashna``, function ``Hash64`` without a seed, which
FarmHash publishes as ``Fingerprint64``: a hash that is promised never to change. TensorFlow uses it in
``tf.fingerprint``, ``tf.strings.to_hash_bucket_fast`` and crossed columns, so the values here are bit for bit
the same as there.

Everything is vectorised: the strings of a column are grouped by FarmHash's length classes, and each class is
hashed with NumPy operations on all its strings at once, reading the words straight out of the Arrow buffers.

The private ``_hash_len_*`` functions share one convention: ``data`` is the uint8 byte buffer, ``starts`` and
``lengths`` are int64 arrays of shape [n], and the result is uint64 of shape [n].
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["fingerprint64", "fingerprint64_arrow", "fingerprint_cat64", "to_hash_bucket"]

_Bytes = NDArray[np.uint8]
_Positions = NDArray[np.int64]
_Words = NDArray[np.uint64]
_HashT = TypeVar("_HashT", np.uint64, np.int64)

_MASK64 = 2**64 - 1
_MAX_BUCKETS = 2**63 - 1

_K0 = np.uint64(0xC3A5C85C97CB3127)
_K1 = np.uint64(0xB492B66FBE98F273)
_K2 = np.uint64(0x9AE16A3B2F90404F)
_CAT_MUL = np.uint64(0xC6A4A7935BD1E995)
_NINE = np.uint64(9)

# FarmHash's starting state for strings over 64 bytes, before the first word of the string enters.
_SEED = 81
_START_X = np.uint64(_SEED * int(_K2) & _MASK64)
_START_Y = np.uint64((_SEED * int(_K1) + 113) & _MASK64)
_START_Z_MIX = (int(_START_Y) * int(_K2) + 113) & _MASK64
_START_Z = np.uint64((_START_Z_MIX ^ (_START_Z_MIX >> 47)) * int(_K2) & _MASK64)

# Temporaries of this many words stay in the CPU's caches; whole columns at once take about twice as long.
_CHUNK = 8192

_WORD = np.dtype("<u8")
_HALF_WORD = np.dtype("<u4")


def fingerprint64(
    values: Sequence[str] | Sequence[bytes] | Sequence[int] | NDArray[Any] | pa.Array | pa.ChunkedArray,
) -> NDArray[np.uint64]:
    """Hash each value with FarmHash's 64-bit Fingerprint64, equal to ``tf.fingerprint``.

    Strings are hashed as their UTF-8 bytes and integers as their decimal text (``-5`` as ``"-5"``), which is
    what TensorFlow's hashed columns do. Of a dictionary array only the dictionary is hashed.

    Args:
        values: list, tuple or 1-D NumPy array of str, bytes or integers (all of one kind), or a pyarrow Array
            or ChunkedArray of string, large_string, binary, large_binary, an integer type, or a dictionary of
            these. A NumPy array of fixed-width bytes or str has already lost trailing NUL characters.

    Returns:
        uint64 array of shape [len(values)].

    Raises:
        TypeError: the values are floats, booleans, of several kinds, or of any other type.
        ValueError: a value is null, an integer fits neither int64 nor uint64, or a NumPy array is not 1-D.
    """
    if isinstance(values, pa.ChunkedArray):
        # Without chunks there is still a type, and a wrong one is refused as it would be with rows.
        chunks = values.chunks or [pa.array([], type=values.type)]
    else:
        chunks = [_to_arrow(values)]
    results = []
    rows_before = 0
    for chunk in chunks:
        missing = _is_missing(chunk)
        if missing is not None and missing.any():
            position = rows_before + int(missing.argmax())
            raise ValueError(
                f"cannot fingerprint the null at position {position}: fill nulls (for example with "
                "pyarrow.compute.fill_null) or drop them first"
            )
        results.append(fingerprint64_arrow(chunk))
        rows_before += len(chunk)
    return results[0] if len(results) == 1 else np.concatenate(results)


def fingerprint64_arrow(array: pa.Array) -> NDArray[np.uint64]:
    """Hash each value of an Arrow array like `fingerprint64`, but let nulls through.

    Args:
        array: pyarrow Array, of length n, of one of the types `fingerprint64` takes, or of type null.

    Returns:
        uint64 array of shape [n]. At null positions the value has no meaning (it is 0).

    Raises:
        TypeError: the array's type is none of those.
    """
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _hash_through_dictionary(array, fingerprint64_arrow, np.uint64(0))
    if pa.types.is_null(kind):
        return np.zeros(len(array), dtype=np.uint64)
    if pa.types.is_integer(kind):
        return fingerprint64_arrow(array.cast(pa.string()))
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        offset_type: np.dtype[Any] = np.dtype(np.int32)
    elif pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        offset_type = np.dtype(np.int64)
    else:
        raise TypeError(_refusal(str(kind)))
    if len(array) == 0:
        return np.zeros(0, dtype=np.uint64)
    _, offset_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(
        offset_buffer, dtype=offset_type, count=len(array) + 1, offset=array.offset * offset_type.itemsize
    )
    has_data = data_buffer is not None and data_buffer.size > 0
    data = np.frombuffer(data_buffer, dtype=np.uint8) if has_data else np.zeros(0, dtype=np.uint8)
    result = _hash_strings(data, offsets)
    if array.null_count:
        result[_null_mask(array)] = 0
    return result


def to_hash_bucket(array: pa.Array, num_buckets: int) -> NDArray[np.int64]:
    """Give each value its hash bucket, equal to ``tf.strings.to_hash_bucket_fast``.

    Args:
        array: pyarrow Array, of length n, of one of the types `fingerprint64_arrow` takes.
        num_buckets: number of buckets, from 1 to 2**63 - 1.

    Returns:
        int64 array of shape [n]: the fingerprint modulo num_buckets (unsigned), or -1 where the value is
        null.

    Raises:
        TypeError: the array's type is none of those.
        ValueError: num_buckets is out of range.
    """
    if not 1 <= num_buckets <= _MAX_BUCKETS:
        raise ValueError(f"num_buckets must be from 1 to 2**63 - 1, got {num_buckets}")

    def buckets_of(plain: pa.Array) -> NDArray[np.int64]:
        fingerprints = fingerprint64_arrow(plain)
        divisor = np.uint64(num_buckets)
        for first in range(0, len(fingerprints), _CHUNK):
            chunk = fingerprints[first : first + _CHUNK]
            # NumPy divides by a scalar with SIMD but has no such path for the remainder.
            chunk -= chunk // divisor * divisor
        buckets = fingerprints.view(np.int64)
        if plain.null_count:
            buckets[_null_mask(plain)] = -1
        return buckets

    if pa.types.is_dictionary(array.type):
        return _hash_through_dictionary(array, buckets_of, np.int64(-1))
    return buckets_of(array)


def fingerprint_cat64(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.uint64]:
    """Combine two fingerprints into one, like TensorFlow's FingerprintCat64 in crossed columns.

    The order matters: a cross starts with its hash key as left and folds in the columns from first to last.

    Args:
        left: array of integers (uint64; negative signed ones count as their two's complement).
        right: array of integers, of a shape that broadcasts with left's.

    Returns:
        uint64 array of the broadcast shape.

    Raises:
        TypeError: left or right does not hold integers.
    """
    first, second = _as_words(left), _as_words(right)
    # Zero-dimensional operands turn into NumPy scalars, and only those warn when they wrap around.
    with np.errstate(over="ignore"):
        result = first ^ _CAT_MUL
        result = result ^ (_shift_mix(second * _CAT_MUL) * _CAT_MUL)
        result = result * _CAT_MUL
        result = _shift_mix(result) * _CAT_MUL
        return np.asarray(_shift_mix(result))


def _to_arrow(values: Any) -> pa.Array:
    """Turn the sequences that `fingerprint64` takes into an Arrow array without changing any value."""
    if isinstance(values, pa.Array):
        return values
    if isinstance(values, np.ndarray):
        if values.ndim != 1:
            raise ValueError(f"values must be one-dimensional, got a NumPy array of shape {values.shape}")
        if values.dtype.kind in "iu":
            return pa.array(values.astype(values.dtype.newbyteorder("="), copy=False))
        if values.dtype.kind not in "OSTU":
            raise TypeError(_refusal(str(values.dtype)))
        # As objects, so that one path serves them all; it also spares Arrow's slower reading of fixed widths.
        values = values.tolist()
    if not isinstance(values, (list, tuple)):
        raise TypeError(
            f"cannot fingerprint a {type(values).__name__}: pass a list, tuple, NumPy array, pyarrow Array "
            "or ChunkedArray of strings, bytes or integers"
        )
    kinds = {_kind_of(kind) for kind in set(map(type, values))} - {"null"}
    if len(kinds) > 1:
        raise TypeError(_refusal("mixed " + " and ".join(sorted(kinds))))
    if not kinds:
        return pa.nulls(len(values))
    kind = kinds.pop()
    # The large types never overflow into several chunks.
    if kind == "str":
        return pa.array(values, type=pa.large_string())
    if kind == "bytes":
        return pa.array(values, type=pa.large_binary())
    if kind == "int":
        return _integers_to_arrow(values)
    raise TypeError(_refusal(kind))


def _kind_of(kind: type) -> str:
    """Name the kind of value that instances of a Python type are to `fingerprint64`."""
    if kind is type(None):
        return "null"
    if issubclass(kind, (bool, np.bool_)):
        return "bool"
    for name, types in (("str", (str,)), ("bytes", (bytes,)), ("int", (int, np.integer))):
        if issubclass(kind, types):
            return name
    return kind.__name__


def _integers_to_arrow(values: Iterable[Any]) -> pa.Array:
    """Turn integers and None into an int64 or else a uint64 Arrow array."""
    integers = [None if value is None else int(value) for value in values]
    for integer_type in (pa.int64(), pa.uint64()):
        try:
            return pa.array(integers, type=integer_type)
        except (OverflowError, pa.ArrowInvalid):
            continue
    raise ValueError("the integers fit neither int64 nor uint64 together: pass their decimal texts as strings instead")


def _refusal(found: str) -> str:
    """Say which dtype cannot be hashed and what to do about it."""
    return (
        f"cannot fingerprint values of dtype {found}: they must all be strings, all bytes or all integers. "
        "Cast them to strings (or to integers) first, so that the text that is hashed is your choice"
    )


def _null_mask(array: pa.Array) -> NDArray[np.bool_]:
    """Return a boolean array of shape [len(array)], True at nulls; dictionary values are not looked at."""
    mask: NDArray[np.bool_] = array.is_null().to_numpy(zero_copy_only=False)
    return mask


def _is_missing(array: pa.Array) -> NDArray[np.bool_] | None:
    """Return a mask of nulls and references to null dictionary values, shape [len(array)]; None for none."""
    if pa.types.is_dictionary(array.type) and array.dictionary.null_count:
        return _null_mask(array.dictionary.take(array.indices))
    return _null_mask(array) if array.null_count else None


def _hash_through_dictionary(
    array: pa.Array, hash_values: Callable[[pa.Array], NDArray[_HashT]], missing: _HashT
) -> NDArray[_HashT]:
    """Hash the values of a dictionary array once each and gather them by the rows' indices.

    Args:
        array: pyarrow DictionaryArray of length n.
        hash_values: hashes a plain array to shape [len(plain)], handling nulls itself.
        missing: what rows without an index get.

    Returns:
        array of hash_values' dtype, shape [n].
    """
    dictionary, indices = array.dictionary, array.indices
    if len(dictionary) > len(indices):
        # A short slice of a column with a long dictionary: the rows are the smaller job.
        return hash_values(dictionary.take(indices))
    table = np.append(hash_values(dictionary), missing)
    positions = indices.cast(pa.int64())
    if positions.null_count:
        positions = positions.fill_null(len(dictionary))
    rows: _Positions = positions.to_numpy()
    return table.take(rows)


def _as_words(values: NDArray[Any]) -> _Words:
    """Return integers as uint64 of the same shape, refusing what is not an integer."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise TypeError(f"cannot combine fingerprints of dtype {array.dtype}: pass uint64 fingerprints or integers")
    return array.astype(np.uint64, copy=False)


def _hash_strings(data: _Bytes, offsets: NDArray[np.int32] | NDArray[np.int64]) -> _Words:
    """Hash every string of a buffer.

    Args:
        data: uint8 buffer with the bytes of all strings.
        offsets: int32 or int64, shape [n + 1]: string i is data[offsets[i]:offsets[i + 1]].

    Returns:
        uint64 of shape [n].
    """
    count = len(offsets) - 1
    result = np.empty(count, dtype=np.uint64)
    long_rows = []
    for first in range(0, count, _CHUNK):
        bounds = offsets[first : first + _CHUNK + 1].astype(np.int64)
        starts, lengths = bounds[:-1], np.diff(bounds)
        chunk = result[first : first + _CHUNK]
        classes = _CLASS_OF_LENGTH.take(lengths, mode="clip")
        present = np.bincount(classes, minlength=_LONG + 1)
        if present.max() == len(classes):
            only = int(classes[0])
            if only == _LONG:
                long_rows.append(np.arange(first, first + len(classes)))
            else:
                chunk[:] = _HASH_OF_CLASS[only](data, starts, lengths)
            continue
        order = classes.argsort(kind="stable")
        ends = np.cumsum(present)
        for number in np.flatnonzero(present):
            rows = order[ends[number] - present[number] : ends[number]]
            if number == _LONG:
                long_rows.append(rows + first)
            else:
                chunk[rows] = _HASH_OF_CLASS[number](data, starts.take(rows), lengths.take(rows))
    if long_rows:
        _hash_long_strings(data, offsets, np.concatenate(long_rows), result)
    return result


def _hash_long_strings(
    data: _Bytes, offsets: NDArray[np.int32] | NDArray[np.int64], rows: NDArray[np.int64], result: _Words
) -> None:
    """Hash the given rows, all over 64 bytes, into result; data and offsets as in `_hash_strings`."""
    starts = offsets.take(rows).astype(np.int64)
    lengths = offsets.take(rows + 1).astype(np.int64) - starts
    # Longest first over the whole column, so that strings hashed together have about as many blocks.
    order = np.argsort(-((lengths - 1) >> 6), kind="stable")
    for first in range(0, len(order), _CHUNK):
        part = order[first : first + _CHUNK]
        result[rows.take(part)] = _hash_len_over_64(data, starts.take(part), lengths.take(part))


def _fetch(data: _Bytes, starts: _Positions, item: np.dtype[Any]) -> NDArray[Any]:
    """Read one item at each (unaligned) position; all of them must lie inside data. Shape [len(starts)]."""
    # The overlapping items start at every byte. No byte past the end is ever part of the view.
    items: NDArray[Any] = np.ndarray((max(len(data) - item.itemsize + 1, 0),), dtype=item, buffer=data, strides=(1,))
    fetched: NDArray[Any] = items[starts]
    return fetched


def _fetch64(data: _Bytes, starts: _Positions) -> _Words:
    """Read one 64-bit little-endian word at each position: uint64 of shape [len(starts)]."""
    return _fetch(data, starts, _WORD)


def _fetch32(data: _Bytes, starts: _Positions) -> _Words:
    """Read one 32-bit little-endian word at each position: uint64 of shape [len(starts)]."""
    return _fetch(data, starts, _HALF_WORD).astype(np.uint64)


def _fetch_words(data: _Bytes, starts: _Positions, count: int) -> _Words:
    """Read count successive 64-bit words at each position: uint64 of shape [count, len(starts)]."""
    # One opaque item for all the words: NumPy's fancy indexing costs the same for 64 bytes as for 8.
    items = _fetch(data, starts, np.dtype((np.void, 8 * count)))
    return np.ascontiguousarray(items.view(_WORD).reshape(-1, count).T)


def _rotate(value: _Words, bits: int) -> _Words:
    """Rotate each 64-bit word right; bits from 1 to 63."""
    rotated = value >> np.uint64(bits)
    rotated |= value << np.uint64(64 - bits)
    return rotated


def _shift_mix(value: _Words) -> _Words:
    """Fold the top 17 bits of each word into its low ones."""
    return value ^ (value >> np.uint64(47))


def _hash_len_16(first: _Words, second: _Words, mul: _Words) -> _Words:
    """Mix two words into one with FarmHash's Murmur-inspired step."""
    a = first ^ second
    a *= mul
    a = _shift_mix(a)
    a ^= second
    a *= mul
    a = _shift_mix(a)
    a *= mul
    return a


def _length_mul(lengths: _Positions) -> _Words:
    """Return the multiplier k2 + 2 * length."""
    return (lengths << 1).view(np.uint64) + _K2


def _hash_len_0(data: _Bytes, starts: _Positions, lengths: _Positions) -> _Words:
    """Hash empty strings."""
    return np.full(len(starts), _K2)


def _hash_len_1_to_3(data: _Bytes, starts: _Positions, lengths: _Positions) -> _Words:
    """Hash strings of 1 to 3 bytes."""
    a = data.take(starts).astype(np.uint64)
    b = data.take(starts + (lengths >> 1)).astype(np.uint64)
    c = data.take(starts + lengths - 1).astype(np.uint64)
    y = a + (b << np.uint64(8))
    z = lengths.view(np.uint64) + (c << np.uint64(2))
    return _shift_mix((y * _K2) ^ (z * _K0)) * _K2


def _hash_len_4_to_7(data: _Bytes, starts: _Positions, lengths: _Positions) -> _Words:
    """Hash strings of 4 to 7 bytes."""
    a = lengths.view(np.uint64) + (_fetch32(data, starts) << np.uint64(3))
    b = _fetch32(data, starts + lengths - 4)
    return _hash_len_16(a, b, _length_mul(lengths))


def _hash_len_8_to_16(data: _Bytes, starts: _Positions, lengths: _Positions) -> _Words:
    """Hash strings of 8 to 16 bytes."""
    mul = _length_mul(lengths)
    a = _fetch64(data, starts) + _K2
    b = _fetch64(data, starts + lengths - 8)
    c = _rotate(b, 37) * mul + a
    d = (_rotate(a, 25) + b) * mul
    return _hash_len_16(c, d, mul)


def _hash_len_17_to_32(data: _Bytes, starts: _Positions, lengths: _Positions) -> _Words:
    """Hash strings of 17 to 32 bytes."""
    mul = _length_mul(lengths)
    head = _fetch_words(data, starts, 2)
    tail = _fetch_words(data, starts + lengths - 16, 2)
    a = head[0] * _K1
    b = head[1]
    c = tail[1] * mul
    d = tail[0] * _K2
    return _hash_len_16(_rotate(a + b, 43) + _rotate(c, 30) + d, a + _rotate(b + _K2, 18) + c, mul)


def _hash_len_33_to_64(data: _Bytes, starts: _Positions, lengths: _Positions) -> _Words:
    """Hash strings of 33 to 64 bytes."""
    mul = _length_mul(lengths)
    head = _fetch_words(data, starts, 4)
    tail = _fetch_words(data, starts + lengths - 32, 4)
    a = head[0] * _K2
    b = head[1]
    c = tail[3] * mul
    d = tail[2] * _K2
    y = _rotate(a + b, 43) + _rotate(c, 30) + d
    z = _hash_len_16(y, a + _rotate(b + _K2, 18) + c, mul)
    e = head[2] * mul
    f = head[3]
    g = (y + tail[0]) * mul
    h = (z + tail[1]) * mul
    return _hash_len_16(_rotate(e + f, 43) + _rotate(g, 30) + h, e + _rotate(f + a, 18) + g, mul)


def _weak_hash_len_32(words: _Words, a: _Words, b: _Words) -> tuple[_Words, _Words]:
    """Mix four words, shape [4, n], into the pair of seeds a and b: FarmHash's WeakHashLen32WithSeeds."""
    a = a + words[0]
    b = _rotate(b + a + words[3], 21)
    c = a
    a = a + words[1] + words[2]
    b = b + _rotate(a, 44)
    return a + words[3], b + c


_State = tuple[_Words, _Words, _Words, _Words, _Words, _Words, _Words]


def _mix_block(state: _State, words: _Words, mul: _Words | np.uint64, last: bool) -> _State:
    """Mix one 64-byte block of each string into the state of strings over 64 bytes.

    Args:
        state: x, y, z, v1, v2, w1, w2, each uint64 of shape [n].
        words: uint64 of shape [8, n], the block.
        mul: multiplier, a scalar or of shape [n].
        last: whether this is the closing block, in which two terms weigh nine times as much.

    Returns:
        the new state.
    """
    x, y, z, v1, v2, w1, w2 = state
    x = _rotate(x + y + v1 + words[1], 37) * mul
    y = _rotate(y + v2 + words[6], 42) * mul
    x = x ^ (w2 * _NINE if last else w2)
    y = y + (v1 * _NINE if last else v1) + words[5]
    z = _rotate(z + w1, 33) * mul
    v1, v2 = _weak_hash_len_32(words[:4], v2 * mul, x + w1)
    w1, w2 = _weak_hash_len_32(words[4:], z + w2, y + words[2])
    return z, y, x, v1, v2, w1, w2


def _hash_len_over_64(data: _Bytes, starts: _Positions, lengths: _Positions) -> _Words:
    """Hash strings of more than 64 bytes, which must come sorted by descending (lengths - 1) // 64."""
    count = len(starts)
    blocks = (lengths - 1) >> 6
    state = np.zeros((7, count), dtype=np.uint64)
    state[0] = _fetch64(data, starts) + _START_X
    state[1] = _START_Y
    state[2] = _START_Z
    active_counts = count - np.cumsum(np.bincount(blocks))
    for block, active in enumerate([count, *active_counts[1:-1].tolist()]):
        words = _fetch_words(data, starts[:active] + 64 * block, 8)
        x, y, z, v1, v2, w1, w2 = state[:, :active]
        state[:, :active] = _mix_block((x, y, z, v1, v2, w1, w2), words, _K1, last=False)
    x, y, z, v1, v2, w1, w2 = state
    mul = _K1 + ((z & np.uint64(0xFF)) << np.uint64(1))
    w1 = w1 + ((lengths - 1) & 63).view(np.uint64)
    v1 = v1 + w1
    w1 = w1 + v1
    words = _fetch_words(data, starts + lengths - 64, 8)
    x, y, z, v1, v2, w1, w2 = _mix_block((x, y, z, v1, v2, w1, w2), words, mul, last=True)
    return _hash_len_16(_hash_len_16(v1, w1, mul) + _shift_mix(y) * _K0 + z, _hash_len_16(v2, w2, mul) + x, mul)


_HASH_OF_CLASS: tuple[Callable[[_Bytes, _Positions, _Positions], _Words], ...] = (
    _hash_len_0,
    _hash_len_1_to_3,
    _hash_len_4_to_7,
    _hash_len_8_to_16,
    _hash_len_17_to_32,
    _hash_len_33_to_64,
)
_LONG = len(_HASH_OF_CLASS)
# The class of each length from 0 to 65, where 65 stands for every longer string.
_CLASS_OF_LENGTH = np.searchsorted([0, 3, 7, 16, 32, 64], np.arange(66)).astype(np.uint8)
