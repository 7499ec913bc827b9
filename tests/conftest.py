"""One thread a test process: more threads than idle cores make torch many times slower."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
