"""What the rows of the table of operations hold: one row an operation, in the order in which they run.

Offsets and pitches are bytes of the arena. A population's spikes are masks, a byte a neuron and step, 0 or
-1. They lie ``(maps, steps, places)`` where a map has more than 16 places, padded to 32s, and otherwise
``(steps, neurons)``, each map's places padded to a power of two. Sums are int16, laid out likewise.
``runtime/lanes/plan.py`` writes the rows.
"""

KIND = 0
READ, TALLY, TURN, GATHER, FIRE, POOL, REPEAT, SCORE = range(8)

STEPS, MAPS, CHUNKS, FROM, FROM_STEP, FROM_MAP, TO, TO_STEP, TO_MAP = range(1, 10)
"""Shared by most. ``CHUNKS``: vectors of a map; bytes of a map for ``READ``."""

HIST = 10
"""``TALLY`` and ``FIRE``: where spikes of each neuron are counted, a byte each."""

SIZE, TIMES, FROM_NEXT, TO_NEXT = 10, 11, 12, 13
"""``TURN``: bytes of an element of a matrix of ``STEPS`` rows and ``MAPS`` columns that is transposed,
``TIMES`` over."""

TAPS, TAP_TABLE, ROWS, LANES, BLOCKS, OUTPUTS, RECORDS, INDEX, WEIGHTS, NARROW, SUMS, ADDS = range(10, 22)
"""``GATHER``: masks of ``MAPS`` maps ``FROM_MAP`` apart, as seen by each of ``TAPS`` kernel cells (none: as
they lie), block by block, summed for every output."""

RULES, WIDTH, PARAMS, PARAMS_MAP, PARAMS_CHUNK, TAIL, SEEN, SEEN_STEP, MARKS = range(11, 20)
"""``FIRE`` and ``REPEAT``: ``TAIL`` says where the parameters of a map's last vector are. ``SEEN``: where
membranes are kept, or -1. ``MARKS``: where ties and clamps are written."""

STATE, EVENTS, WEIGHT_ROWS, ROW, DELAY, GROUP = range(20, 26)
"""``REPEAT``: a population that hears itself: its membranes, room for its events, and its weight rows,
``GROUP`` of which may be summed in int8."""

HEIGHT, WIDTH_OUT, PITCH, KERNEL_Y, KERNEL_X, STRIDE_Y, STRIDE_X, PAD_Y, PAD_X, HEIGHT_IN, WIDTH_IN = range(
    11, 22
)
"""``POOL``."""

MODE, COUNT = 10, 11
"""``SCORE``: which readout, of how many outputs."""
COUNTED, LAST, LARGEST, SUMMED = range(4)

FIELDS = 26
K1, M1, K2, M2, LEFT, HALF, RIGHT, KEEP, LOWEST, HIGHEST, FIRES = range(11)
"""Of the neuron's rules, as in ``runtime/prepare.py``."""
