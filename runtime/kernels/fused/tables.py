"""What the fused kernel's tables of numbers hold: forms of synapses, and the fields of ``int64`` rows.

``runtime/fused/plan.py`` lays them out. A map is stored position by position, channels side by side
(height, width, channels), so that rows and blocks of outputs are contiguous; its accumulators lie in a plane
with margins, so that no tap needs a check: what lands in a margin is never read. Accumulators are int32 and
the caller has proved that no sum inside the plane reaches 2^31 (a margin may wrap). An event of payload p
adds ``w << b`` for each set bit b of ``|p|``, with the sign of p. Nothing is ever multiplied.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
I8 = NDArray[np.int8]
U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]

OPTIONS: dict[str, Any] = {"_nrt": False}
"""Of every part: without reference counts, see ``kernels/streams.py``. Only ``driver.run`` is cached, under a
digest of all these files: numba's own check looks at one file."""

LISTS, ROWS, BLOCKS, SUMS = 0, 1, 2, 3
"""Forms of synapses: one weight an entry, ``span`` contiguous ones, 16 contiguous ones; ``SUMS``: rows as
well, but gathered, so that sums of up to 128 outputs stay in registers over all events that reach them."""
LANES = 16
LANE_BITS = 4
CHUNK = 256
EVERY, TABLE, SHIFT, DIVIDE = 0, 1, 2, 3
"""How an event finds its synapses: its own number, a table, or channel and place by a shift or a division."""
WORD = 32
"""Spikes looked at at once during extraction."""

(
    FORM,
    PRE,
    DELAY,
    CONSTANT,
    POINTERS,
    OFFSETS,
    WEIGHTS,
    SPAN,
    PHASES,
    PLACES,
    SLOTS,
    CHANNELS,
    CHANNEL_BITS,
    TARGETS,
    FANS,
    CELLS,
    INPUTS,
    OUTPUTS,
    SLAB,
    SLABS,
    SLAB_WEIGHTS,
    FLOW_FIELDS,
) = range(22)
"""Of a projection. ``PLACES``: first of its positions in ``base`` and ``phase``, -1 where every neuron is a
slot of its own; ``SLOTS``: first of its neurons in ``slot_of`` then, or -1 where slot and neuron agree.
``CHANNEL_BITS``: channels are a power of two, else -1. ``TARGETS``: where its accumulators start. ``CELLS``,
``INPUTS``, ``OUTPUTS``: of sums over positions, see ``_gather``; their weights lie in ``SLABS`` slabs of
``SLAB`` outputs, each ``SLAB_WEIGHTS`` long."""

(
    POPULATION,
    NEURONS,
    ROW,
    HEIGHT,
    FIRST,
    PITCH,
    STATE,
    REST,
    SPIKES,
    HOW,
    FLOWS,
    FLOWS_END,
    GATES,
    GATES_END,
    EXTRACTS,
    PARAMETERS,
    STRIDE,
    PLANE,
    PLANES,
    SEEN,
    UNIT_FIELDS,
) = range(21)
"""Of a population of neurons: ``ROW`` neurons contiguous in the plane, ``HEIGHT`` such rows ``PITCH`` apart
from ``FIRST`` on; ``REST`` where its constant current lies, or -1; ``PARAMETERS`` where those of its first
row are, ``STRIDE`` how far on those of the next: 0 where all rows share them. Accumulators of ``PLANES``
steps, each ``PLANE`` long, so that weights read once serve so many steps. ``SEEN``: this is the output."""

GATE, GATE_CHANNELS, GATE_CELLS, GATE_WINDOW, GATE_FROM, GATE_SPIKES, GATE_PLACES, GATE_FIELDS = range(8)
"""Of a max pool over spikes: ``GATE_CELLS`` its windows' positions in ``cells``, ``GATE_WINDOW`` each."""

EVENTS, ROOM, DEPTH, EVENT_FIELDS = range(4)
"""Of a population's event lists: where they start, room of one step, steps held."""

EXECUTED, KEPT, FULL, HEARD, FRAMES, TALLY_FIELDS = range(6)
FIRED, TIES, CLAMPS, FIRING_FIELDS = range(4)
