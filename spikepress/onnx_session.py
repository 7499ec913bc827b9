"""Runs our ONNX models in ONNX Runtime, one thread, warnings as errors of the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import FormatError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

INPUT = "input"


def opened(path: Path) -> InferenceSession:
    """A session on one thread; FormatError where the file is no model that ONNX Runtime takes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # onnxruntime raises its own unrelated classes, and whichever it is the file cannot be used
        raise FormatError(f"{path}: found {_first_line(error)}, expected an ONNX model") from error


def outputs(session: InferenceSession, coded: NDArray[np.integer]) -> dict[str, NDArray[Any]]:
    """Every output by name for coded input (steps, samples, *shape)."""
    values = session.run(None, {INPUT: np.ascontiguousarray(coded, dtype=np.int32)})
    return {output.name: value for output, value in zip(session.get_outputs(), values, strict=True)}


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
