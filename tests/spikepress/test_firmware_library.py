"""The PlatformIO form of a firmware folder: what its library is built of is enough to link the network."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from spikepress.tools import compiler
from tests.spikepress.test_firmware import network, written

MAIN = '#include "snn_api.h"\nint main(void) { static net_t net; net_init(&net); net_run(&net); return 0; }\n'


def test_the_listed_sources_are_the_network_and_nothing_of_the_board(tmp_path: Path) -> None:
    folder = written(network(), tmp_path, name="net")
    said = json.loads((folder / "library.json").read_text(encoding="utf-8"))
    first, *kept = said["build"]["srcFilter"]
    assert (said["name"], said["build"]["srcDir"], first) == ("net", ".", "-<*>")
    files = [one.removeprefix("+<").removesuffix(">") for one in kept]
    (folder / "app.c").write_text(MAIN, encoding="utf-8")
    compiler.compile_in(
        folder, ["-std=c99", f"-I{said['build']['includeDir']}", "app.c", *files, "-o", "app"]
    )
    assert subprocess.run([str(folder / "app")], check=False).returncode == 0
