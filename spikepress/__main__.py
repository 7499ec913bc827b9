"""The command ``spikepress``, also as ``python -m spikepress``: turns errors into one sentence."""

from __future__ import annotations

import sys

from spikepress.shadow import shadowed

BAD_INPUT = 2
INTERRUPTED = 130

EXTRAS = {
    "torch": "train",
    "safetensors": "train",
    "sklearn": "train",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "nir": "nir",
    "h5py": "nir",
    "jinja2": "report",
    "joblib": "report",
}
"""Packages of the optional extras, by the name that is imported."""


def main() -> None:
    """Runs the command line; exit status 0 yes, 1 no, 2 bad input."""
    sentence = shadowed()
    if sentence is not None:
        _stop(sentence)
    from runtime.errors import SpikepressError
    from spikepress.cli import app

    try:
        app(prog_name="spikepress")
    except SpikepressError as error:
        _stop(str(error))
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        _stop(
            f"package {error.name}: found it not installed,"
            f" expected it from `pip install spikepress[{EXTRAS[error.name]}]`."
        )
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def _stop(sentence: str) -> None:
    print(f"spikepress: {' '.join(sentence.split())}", file=sys.stderr)
    raise SystemExit(BAD_INPUT)


if __name__ == "__main__":
    main()
