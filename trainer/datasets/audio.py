"""Sound as integers: PCM from WAV files and log-mel frames, in numpy."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError, DataError

HIGH = 255
SILENCE = 1e-3
"""Energy added before the logarithm, in squared 16-bit units: far below one bit of the recording."""


@dataclass(frozen=True)
class MelGrid:
    """Frames of a recording: silence, then ``n_steps - 1`` windows of ``window`` samples, spread evenly.

    A delta coder starts from the silence, so its events carry the first sound too. ``range_db`` below the
    recording's loudest cell is 0, the loudest cell 255.
    """

    n_steps: int
    n_mels: int
    sample_rate: int = 8000
    window: int = 256
    low_hz: float = 60.0
    range_db: float = 70.0

    def __post_init__(self) -> None:
        if self.n_steps < 2 or self.n_mels < 1:
            raise ConfigError(
                f"log-mel frames: found {self.n_steps} steps and {self.n_mels} bands, "
                "expected at least 2 steps and 1 band"
            )


def log_mel(samples: NDArray[np.int16], grid: MelGrid) -> NDArray[np.uint8]:
    """Log-mel frames (n_steps, n_mels) in 0..255 of one recording (n,)."""
    wave_form = np.zeros(max(len(samples), grid.window), dtype=np.float64)
    wave_form[: len(samples)] = samples
    starts = np.linspace(0, len(wave_form) - grid.window, grid.n_steps - 1).astype(np.int64)
    frames = wave_form[starts[:, None] + np.arange(grid.window)] * np.hanning(grid.window)
    energy = np.abs(np.fft.rfft(frames, axis=1)) ** 2 @ mel_filters(grid).T
    decibel = 10.0 * np.log10(energy + SILENCE)
    relative = (decibel - decibel.max() + grid.range_db) * (HIGH / grid.range_db)
    integers: NDArray[np.uint8] = np.clip(np.round(relative), 0, HIGH).astype(np.uint8)
    return np.concatenate([np.zeros((1, grid.n_mels), np.uint8), integers])


def mel_filters(grid: MelGrid) -> NDArray[np.float64]:
    """Triangular filters (n_mels, window // 2 + 1), even on O'Shaughnessy's mel scale (1987)."""
    low, high = (2595.0 * np.log10(1.0 + hz / 700.0) for hz in (grid.low_hz, grid.sample_rate / 2))
    edges = 700.0 * (10.0 ** (np.linspace(low, high, grid.n_mels + 2) / 2595.0) - 1.0)
    hz = np.fft.rfftfreq(grid.window, 1.0 / grid.sample_rate)
    rising = (hz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hz) / (edges[2:] - edges[1:-1])[:, None]
    filters: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    return filters


def read_wav(path: Path) -> tuple[NDArray[np.int16], int]:
    """``(samples (n,), sample rate)`` of an 8- or 16-bit PCM file; several channels become their mean."""
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError, OSError) as problem:
        raise DataError(
            f"{path}: found a file that cannot be read ({problem}), expected PCM WAV"
        ) from problem
    if width not in (1, 2):
        raise DataError(f"{path}: found {8 * width}-bit samples, expected 8 or 16 bit PCM")
    if not data or len(data) % (width * channels):
        raise DataError(
            f"{path}: found {len(data)} bytes of sound, expected a multiple of {width * channels}"
        )
    pcm = (
        np.frombuffer(data, "<i2")
        if width == 2
        else (np.frombuffer(data, np.uint8).astype(np.int16) - 128) * 256
    )
    return pcm.reshape(-1, channels).mean(axis=1).astype(np.int16), rate
