"""Writes small data files in every format the data sets read."""

import gzip
import wave

import numpy as np


def write_idx(path, array):
    array = np.asarray(array, np.uint8)
    header = bytes((0, 0, 8, array.ndim)) + b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = header + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def write_mnist(folder, suffix="", n=40):
    draw = np.random.default_rng(0)
    for prefix, count in (("train", n), ("t10k", 10)):
        write_idx(folder / f"{prefix}-images-idx3-ubyte{suffix}", draw.integers(0, 256, (count, 28, 28)))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte{suffix}", np.arange(count) % 10)


def write_cifar_binary(folder, n=20):
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"):
        rows = draw.integers(0, 256, (n, 3073), dtype=np.uint8)
        rows[:, 0] = np.arange(n) % 10
        (folder / f"{name}.bin").write_bytes(rows.tobytes())


def nmnist_bytes(x, y, p, t):
    x, y, p, t = (np.asarray(a, np.int64) for a in (x, y, p, t))
    rows = np.stack([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255], axis=1)
    return rows.astype(np.uint8).tobytes()


def dat_bytes(x, y, p, t, version=2):
    x, y, p, t = (np.asarray(a, np.int64) for a in (x, y, p, t))
    words = np.stack([t, x | y << 14 | p << 28], axis=1).astype("<u4")
    return b"%% Data file\n%% Version %d\n" % version + bytes((0, 8)) + words.tobytes()


def write_wav(path, samples, rate=8000, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples, "<i2").tobytes())


def tone(hz, n=2000, rate=8000):
    return (8000 * np.sin(2 * np.pi * hz * np.arange(n) / rate)).astype(np.int16)


def bytes_212(first, second):
    """Two channels of 12-bit values in PhysioNet's format 212."""
    a, b = (np.asarray(v, np.int64) & 0xFFF for v in (first, second))
    rows = np.stack([a & 255, a >> 8 | (b >> 8) << 4, b & 255], axis=1)
    return rows.astype(np.uint8).tobytes()


def annotation_bytes(times, codes):
    """PhysioNet annotations with a note (skipped by readers) after the first."""
    words, now = [], 0
    for place, (time, code) in enumerate(zip(times, codes, strict=True)):
        gap, now = time - now, time
        if gap > 1023:
            words += [59 << 10, gap >> 16, gap & 0xFFFF]
            gap = 0
        words.append(code << 10 | gap)
        if place == 0:
            words += [63 << 10 | 3, 0x4E28, 0x0000]
    return np.array([*words, 0], "<u2").tobytes()


def write_record(folder, name, *, n_beats=12, pvc=(4, 8)):
    """One record: a spike of 100 units at every beat, 1,100 samples apart, channel zero at 1,024."""
    folder.mkdir(parents=True, exist_ok=True)
    times = [300 + 1100 * k for k in range(n_beats)]
    signal = np.full(times[-1] + 301, 1024)
    signal[times] += 100
    (folder / f"{name}.hea").write_text(
        f"{name} 2 360 {len(signal)}\n{name}.dat 212 200 11 1024 1024 0 0 MLII\n"
        f"{name}.dat 212 200 11 1024 1024 0 0 V5\n# a comment\n"
    )
    (folder / f"{name}.dat").write_bytes(bytes_212(signal, np.zeros_like(signal)))
    codes = [28, *[5 if k in pvc else 1 for k in range(n_beats)]]
    (folder / f"{name}.atr").write_bytes(annotation_bytes([100, *times], codes))


def write_folder(folder, classes=("a", "b"), n=6, shape=(3, 4)):
    """Class sub-folders of NPZ files with whole numbers."""
    draw = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for k in range(n):
            np.savez(folder / name / f"{k}.npz", x=draw.integers(0, 100, shape))


def write_table(folder, rows, header="file,label"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.csv").write_text("\n".join([header, *rows]) + "\n")
