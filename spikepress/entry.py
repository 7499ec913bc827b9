"""``module:function``: a user's own Python code, found beside the command and called."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

NAMED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_function(place: str) -> bool:
    """Whether a place reads as ``module:function`` and is no file."""
    return NAMED.fullmatch(place) is not None and not Path(place).exists()


def called(place: str) -> nn.Module:
    """The torch module that ``module:function`` returns, the working directory among the places of modules.

    This runs the user's code. ConfigError where it is not found, fails, or returns something else.
    """
    from torch import nn

    module, function = place.split(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(import_module(module), function)()
    except Exception as error:
        raise ConfigError(
            f"{place}: found {type(error).__name__} ({error}), expected a function without arguments that"
            " returns the network"
        ) from error
    finally:
        sys.path.pop(0)
    if not isinstance(found, nn.Module):
        raise ConfigError(f"{place}: found a {type(found).__name__}, expected a torch module")
    return found
