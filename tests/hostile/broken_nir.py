"""NIR files that are broken on purpose, each by one rule and one seed."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import nir
import numpy as np

from tests.builders.nir_nets import pick, random_nir

Rng = np.random.Generator


def write_broken(path: Path, seed: int) -> str:
    """Writes one broken file; the name of the rule that broke it."""
    rng = np.random.default_rng([seed, 5])
    nir.write(path, random_nir(rng)[0], compression=None)
    name = sorted(RULES)[seed % len(RULES)]
    if name in ("bytes", "cut"):
        _damage(path, rng, name)
        return name
    with h5py.File(path, "a") as file:
        RULES[name](file, rng)
    return name


def _damage(path: Path, rng: Rng, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "cut":
        content = content[: int(rng.integers(0, len(content)))]
    else:
        for _ in range(int(rng.integers(1, 12))):
            content[int(rng.integers(0, len(content)))] = int(rng.integers(0, 256))
    path.write_bytes(bytes(content))


def _datasets(file: h5py.File, *, real: bool = True) -> list[str]:
    found: list[str] = []
    file["node/nodes"].visititems(lambda name, item: found.append(name) if _fits(item, real) else None)
    return [f"node/nodes/{name}" for name in found]


def _fits(item: object, real: bool) -> bool:
    return isinstance(item, h5py.Dataset) and (not real or item.dtype.kind == "f")


def _replace(file: h5py.File, name: str, data: object, **options: object) -> None:
    del file[name]
    file.create_dataset(name, data=data, **options)


def values(file: h5py.File, rng: Rng) -> None:
    name = pick(rng, _datasets(file))
    array = np.array(file[name][()], np.float64)
    array.reshape(-1)[: int(rng.integers(1, 4))] = pick(
        rng, [np.nan, np.inf, -np.inf, -1.0, 0.0, 1e300, 1e-300]
    )
    _replace(file, name, array)


def dtypes(file: h5py.File, rng: Rng) -> None:
    name = pick(rng, _datasets(file))
    array = np.array(file[name][()])
    kind = pick(rng, ["complex128", "float16", "int8", "bool", "uint64", "S4", "compound"])
    if kind == "compound":
        _replace(file, name, np.zeros(3, [("a", "f8"), ("b", "i4")]))
    elif kind == "S4":
        _replace(file, name, np.full(array.shape or (1,), b"text"))
    else:
        _replace(file, name, array.astype(kind))


def shapes(file: h5py.File, rng: Rng) -> None:
    name = pick(rng, _datasets(file, real=False))
    array = np.array(file[name][()])
    if array.dtype.kind not in "fi":
        return _replace(file, name, np.zeros(2))
    changed = pick(
        rng, [array[None], array.T, array.reshape(-1), array.reshape(-1)[:0], np.array(1.0), array[..., None]]
    )
    return _replace(file, name, changed)


def missing(file: h5py.File, rng: Rng) -> None:
    del file[pick(rng, _datasets(file, real=False))]


def unknown(file: h5py.File, rng: Rng) -> None:
    name = pick(rng, list(file["node/nodes"]))
    what = pick(rng, ["Conv3d", "__class__", "", "NIRNode", "dict2NIRNode", "Output", "Linear", 7, "LIF"])
    _replace(file, f"node/nodes/{name}/type", what)


def edges(file: h5py.File, rng: Rng) -> None:
    names = list(file["node/nodes"])
    found = [tuple(x.decode() for x in pair) for pair in file["node/edges"][()]]
    match int(rng.integers(7)):
        case 0:
            found.append(found[0])
        case 1:
            found.append((pick(rng, names), "nowhere"))
        case 2:
            found = found[1:]
        case 3:
            found = [("a", "b", "c")]
        case 4:
            found = []
        case _:
            found += [(pick(rng, names), pick(rng, names)) for _ in range(int(rng.integers(1, 5)))]
    _replace(
        file, "node/edges", np.array(found, dtype=object), dtype=h5py.string_dtype()
    ) if found else _replace(file, "node/edges", np.zeros((0, 2)))


def names(file: h5py.File, rng: Rng) -> None:
    name = pick(rng, list(file["node/nodes"]))
    other = pick(rng, ["../../x", "a/b", "node\nname", "x" * 5000, "output2", "ünï", " "])
    file.move(f"node/nodes/{name}", f"node/nodes/{other}")


def links(file: h5py.File, rng: Rng) -> None:
    match int(rng.integers(4)):
        case 0:
            file["node/nodes/soft"] = h5py.SoftLink("/node")
        case 1:
            file["node/nodes/far"] = h5py.ExternalLink("/etc/passwd", "/x")
        case 2:
            file["node/nodes/loop"] = file["node/nodes"]
        case 3:
            file["node/metadata"] = file["node"]


def bombs(file: h5py.File, rng: Rng) -> None:
    name = pick(rng, _datasets(file))
    del file[name]
    match int(rng.integers(6)):
        case 0:
            file.create_dataset(name, (1 << 24, 1 << 10), "f8", compression="gzip")
        case 1:
            file.create_dataset(name, (1 << 34,), "f8", fillvalue=1.0)
        case 2:
            data = file.create_dataset(name, (4096, 4096), "f8", compression="gzip", chunks=(4096, 4096))
            data.id.write_direct_chunk((0, 0), _compressed_zeros(4096 * 4096 * 8))
        case 3:
            file.create_dataset(name, (1 << 40, 1 << 20), "f4", chunks=(1 << 10, 1 << 10), compression="gzip")
        case 4:
            text = "x" * 20_000
            _replace(
                file, "node/edges", np.array([[text, text]] * 2_000, dtype=object), dtype=h5py.string_dtype()
            )
        case 5:
            data = file.create_dataset(
                name, (8, 8), "f8", maxshape=(None, None), chunks=(2048, 2048), compression=9
            )
            data[:] = 1.0


def _compressed_zeros(count: int) -> bytes:
    """``count`` bytes as gzip stores them, a mebibyte at a time, to take little memory itself."""
    packer, piece = zlib.compressobj(), bytes(1 << 20)
    return b"".join(packer.compress(piece) for _ in range(count // len(piece))) + packer.flush()


def depth(file: h5py.File, rng: Rng) -> None:
    file.create_group("node/nodes/deep/" + "/".join(["nodes"] * int(rng.integers(40, 400))))


def many(file: h5py.File, rng: Rng) -> None:
    if rng.random() < 0.15:
        for k in range(2_500):
            file["node/nodes"].create_dataset(f"many{k}/type", data="Linear", dtype=h5py.string_dtype())
    else:
        pairs = [("input", "output")] * int(rng.integers(2, 9_000))
        _replace(file, "node/edges", np.array(pairs, dtype=object), dtype=h5py.string_dtype())


def ends(file: h5py.File, rng: Rng) -> None:
    nodes = file["node/nodes"]
    match int(rng.integers(4)):
        case 0:
            file.copy("node/nodes/input", "node/nodes/input2")
        case 1:
            del nodes["output"]
        case 2:
            del nodes["input"]
        case 3:
            lies = [(2**31,), (2**62, 2), (-3,), (0,), (3, 3, 3, 3), (2.5,), (1, 2**20, 2**20)]
            _replace(file, "node/nodes/input/shape", np.array(pick(rng, lies)))


def windows(file: h5py.File, rng: Rng) -> None:
    nodes = file["node/nodes"]
    lies = ["same", "full", "sam\xe9", -1, 0, 10**9, 2**62, 1.5, np.array([1, 2, 3]), np.array([]), np.nan]
    group = nodes.create_group("window")
    size = np.array(pick(rng, [(2, 8, 8), (1, 9)]))
    kind = pick(rng, ["Conv2d", "AvgPool2d", "SumPool2d", "Flatten", "Conv1d"])
    options = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "kernel_size": np.array([2, 2])}
    options[pick(rng, list(options))] = pick(rng, lies)
    axes = {"Conv2d": (2, 2, 2, 2), "Conv1d": (2, 1, 2)}.get(kind)
    if axes:
        del options["kernel_size"]
        options |= {"weight": np.ones(axes), "bias": np.zeros(2)}
    elif kind == "Flatten":
        options = {"start_dim": pick(rng, lies), "end_dim": pick(rng, lies), "input_type": size}
    else:
        options = {key: options[key] for key in ("kernel_size", "stride", "padding")}
    for key, value in {**options, "type": kind}.items():
        group.create_dataset(key, data=value)
    _replace(file, "node/nodes/input/shape", size)
    first = next(b.decode() for a, b in file["node/edges"][()] if a == b"input")
    pairs = [("input", "window"), ("window", first)]
    _replace(file, "node/edges", np.array(pairs, dtype=object), dtype=h5py.string_dtype())


def cycles(file: h5py.File, rng: Rng) -> None:
    found = [tuple(x.decode() for x in pair) for pair in file["node/edges"][()]]
    last = next(a for a, b in found if b == "output")
    found.append((last, pick(rng, [a for a, _ in found if a != "input"] + ["input"])))
    _replace(file, "node/edges", np.array(found, dtype=object), dtype=h5py.string_dtype())


RULES: dict[str, Callable[[h5py.File, Rng], None]] = {
    "values": values,
    "dtypes": dtypes,
    "shapes": shapes,
    "missing": missing,
    "unknown": unknown,
    "edges": edges,
    "names": names,
    "links": links,
    "bombs": bombs,
    "depth": depth,
    "many": many,
    "ends": ends,
    "windows": windows,
    "cycles": cycles,
    "bytes": lambda file, rng: None,
    "cut": lambda file, rng: None,
}
