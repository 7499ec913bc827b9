"""Event recordings that are broken on purpose: cut, with bytes changed, or lying of their sizes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import h5py
import numpy as np

from tests.trainer_datasets.files import dat_bytes, nmnist_bytes

KINDS = ("bin", "dat", "npz", "h5", "bomb.npz", "bomb.h5")
COUNT = 300


def write_broken(path: Path, seed: int) -> str:
    """Writes one broken file at ``path``; the kind of file that it is."""
    rng = np.random.default_rng([seed, 6])
    kind = KINDS[seed % len(KINDS)]
    if kind == "bomb.h5":
        _lying_hdf5(path, rng)
        return kind
    data = bytearray(_lying_npz(rng) if kind == "bomb.npz" else _sound(kind, rng))
    if kind != "bomb.npz":
        for place in rng.integers(0, len(data), rng.integers(1, 9)):
            data[place] = rng.integers(256)
        if rng.random() < 0.4:
            del data[int(rng.integers(len(data))) :]
    path.write_bytes(bytes(data))
    return kind


def _sound(kind: str, rng: np.random.Generator) -> bytes:
    x, y, p = rng.integers(0, 34, COUNT), rng.integers(0, 34, COUNT), rng.integers(0, 2, COUNT)
    t = np.sort(rng.integers(0, 300_000, COUNT))
    columns = dict(zip("xypt", (x, y, p, t), strict=True))
    if kind == "bin":
        return nmnist_bytes(x, y, p, t)
    if kind == "dat":
        return dat_bytes(x, y, p, t)
    file = io.BytesIO()
    if kind == "npz":
        np.savez(file, **columns)
    else:
        with h5py.File(file, "w") as stored:
            for name, values in columns.items():
                stored.create_dataset(f"events/{name}", data=values, compression=rng.choice(["gzip", None]))
    return file.getvalue()


def _lying_npz(rng: np.random.Generator) -> bytes:
    """Headers that promise more than is stored, or bytes that unpack to far more than they take."""
    file, lie = io.BytesIO(), int(rng.integers(3))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in "xypt":
            array = io.BytesIO()
            np.lib.format.write_array(array, np.zeros(9, np.int64))
            data = array.getvalue()
            if lie == 0:
                data = data.replace(b"(9,)", b"(9999999999999,)"[: 4 + 12 * (name == "y")])
            elif lie == 1:
                data = data.replace(b"(9,)", b"(-9,)")
            else:
                data += bytes(1 << 24)
            archive.writestr(f"{name}.npy", data)
    return file.getvalue()


def _lying_hdf5(path: Path, rng: np.random.Generator) -> None:
    with h5py.File(path, "w") as file:
        sides = (int(rng.integers(1, 5)) << 36,)
        options = {"chunks": (1 << 20,), "compression": "gzip"} if rng.random() < 0.5 else {}
        for name in "xypt":
            file.create_dataset(name, sides, "i8", **options)
        if rng.random() < 0.3:
            del file["x"]
            file["x"] = h5py.ExternalLink("elsewhere.h5", "/x")
