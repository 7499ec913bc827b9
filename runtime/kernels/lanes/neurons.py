"""Leak, fire, reset and clamp of many neurons through many steps, membranes in registers."""

from collections.abc import Callable
from typing import Any

from numba import njit, types
from numba.extending import intrinsic

from runtime.kernels.lanes.memory import (
    I64,
    OPTIONS,
    U8,
    base,
    ir,
    load,
    loop,
    put_i64,
    splat,
    store,
    tools,
    vector,
    word,
)
from runtime.kernels.lanes.ops import (
    CHUNKS,
    FIRES,
    FROM,
    FROM_MAP,
    FROM_STEP,
    HALF,
    HIGHEST,
    HIST,
    K1,
    K2,
    KEEP,
    LEFT,
    LOWEST,
    M1,
    M2,
    MAPS,
    MARKS,
    PARAMS,
    PARAMS_CHUNK,
    PARAMS_MAP,
    RIGHT,
    RULES,
    SEEN,
    SEEN_STEP,
    STATE,
    STEPS,
    TAIL,
    TO,
    TO_MAP,
    TO_STEP,
    WIDTH,
)


class _Vector:
    """The instructions of one vector of neurons."""

    def __init__(self, builder: Any, memory: Any, rules: Any, bits: int) -> None:
        self.builder, self.memory, self.rules, self.bits = builder, memory, rules, bits
        self.lanes = 512 // bits
        self.kind = vector(bits, self.lanes)
        self.noted = tools.alloca_once_value(builder, ir.Constant(word, 0))

    def rule(self, number: int) -> Any:
        value = load(
            self.builder, self.memory, self.builder.add(self.rules, ir.Constant(word, 8 * number)), word
        )
        return splat(self.builder, self.builder.trunc(value, ir.IntType(self.bits)), self.lanes)

    def parameter(self, fixed: Any, number: int) -> Any:
        return load(
            self.builder, self.memory, self.builder.add(fixed, ir.Constant(word, 64 * number)), self.kind
        )

    def next(self, place: Any, step: Any) -> Any:
        """An offset, which then moves on."""
        at = self.builder.load(place)
        self.builder.store(self.builder.add(at, step), place)
        return at

    def note(self, flags: Any, shift: int) -> None:
        """Count set lanes."""
        builder = self.builder
        count = builder.ctpop(builder.bitcast(flags, ir.IntType(self.lanes)))
        wide = builder.shl(builder.zext(count, word), ir.Constant(word, shift))
        builder.store(builder.add(builder.load(self.noted), wide), self.noted)

    def charged(self, old: Any, drive: Any, bias: Any) -> Any:
        """The membrane after leak, input and bias; 32 bits also shift the input, and leak twice."""
        builder = self.builder
        leak = builder.and_(builder.ashr(old, self.rule(K1)), self.rule(M1))
        if self.bits == 32:
            drive = builder.sext(drive, self.kind)
            drive = builder.add(builder.shl(drive, self.rule(LEFT)), self.rule(HALF))
            drive = builder.ashr(drive, self.rule(RIGHT))
            leak = builder.add(leak, builder.and_(builder.ashr(old, self.rule(K2)), self.rule(M2)))
        return builder.add(builder.sub(old, leak), builder.add(drive, bias))

    def clamped(self, u: Any) -> Any:
        builder, low, high = self.builder, self.rule(LOWEST), self.rule(HIGHEST)
        held = builder.select(builder.icmp_signed("<", u, low), low, u)
        held = builder.select(builder.icmp_signed(">", held, high), high, held)
        self.note(builder.icmp_signed("!=", held, u), 32)
        return held


def _fire(bits: int, *, kept: bool) -> Callable[..., Any]:
    """A vector of 512 bits of neurons. 16 bits: one leak, no shift, no clamp, where nothing can pass int16;
    32 bits: everything, and membranes of every step. ``kept``: membranes start and end in memory."""

    def typed(
        _context: Any,
        memory: Any,
        rules: Any,
        steps: Any,
        sums: Any,
        sums_step: Any,
        to: Any,
        to_step: Any,
        fixed: Any,
        hist: Any,
        seen: Any,
        seen_step: Any,
        state: Any,
    ) -> tuple[Any, Callable[..., Any]]:
        """From ``fixed`` on: thresholds, what a spike adds, biases, starts. Returns ties + clamps << 32."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            memory = base(context, builder, signature.args[0], arguments[0])
            _, rules, steps, sums, sums_step, to, to_step, fixed, hist, seen, seen_step, state = arguments
            one = _Vector(builder, memory, rules, bits)
            threshold, amount, bias, start = (one.parameter(fixed, number) for number in range(4))
            fires = builder.icmp_signed("!=", one.rule(FIRES), ir.Constant(one.kind, None))
            before = load(builder, memory, state, one.kind) if kept else start
            v = tools.alloca_once_value(builder, before)
            flags = vector(8, one.lanes)
            spikes = tools.alloca_once_value(builder, ir.Constant(flags, None))
            places = [tools.alloca_once_value(builder, value) for value in (sums, to, seen)]
            with loop(builder, steps):
                drive = load(builder, memory, one.next(places[0], sums_step), vector(16, one.lanes))
                u = one.charged(builder.load(v), drive, bias)
                fired = builder.and_(builder.icmp_signed(">=", u, threshold), fires)
                one.note(builder.and_(builder.icmp_signed("==", u, threshold), fires), 0)
                u = builder.select(fired, builder.add(builder.and_(u, one.rule(KEEP)), amount), u)
                if bits == 32:
                    u = one.clamped(u)
                    with builder.if_then(builder.icmp_signed(">=", seen, ir.Constant(word, 0))):
                        store(builder, memory, one.next(places[2], seen_step), u)
                builder.store(u, v)
                mask = builder.sext(fired, flags)
                store(builder, memory, one.next(places[1], to_step), mask)
                builder.store(builder.sub(builder.load(spikes), mask), spikes)
            total = builder.load(spikes)
            if kept:
                store(builder, memory, state, builder.load(v))
                total = builder.add(total, load(builder, memory, hist, flags))
            store(builder, memory, hist, total)
            return builder.load(one.noted)

        i64 = types.int64
        return types.int64(memory, *(i64,) * 11), generate

    return typed


_fire_16: Any = intrinsic(_fire(16, kept=False))
_fire_32: Any = intrinsic(_fire(32, kept=False))
_step_16: Any = intrinsic(_fire(16, kept=True))
_step_32: Any = intrinsic(_fire(32, kept=True))


@njit(**OPTIONS)
def mark(op: I64, memory: U8, noted: int) -> None:
    """Write a population's ties and clamps."""
    put_i64(memory, op[MARKS], noted & 0xFFFFFFFF)
    put_i64(memory, op[MARKS] + 8, noted >> 32)


@njit(**OPTIONS)
def fire_all(op: I64, memory: U8) -> None:
    """All steps of a population, map by map and vector by vector."""
    rules, steps, wide, last = op[RULES], op[STEPS], op[WIDTH] == 32, op[CHUNKS] - 1
    sums_map, to_map, hist, fixed_map = op[FROM], op[TO], op[HIST], op[PARAMS]
    step, to_step, seen_step = op[FROM_STEP], op[TO_STEP], op[SEEN_STEP]
    lanes = 16 if wide else 32
    noted = 0
    for _ in range(op[MAPS]):
        sums, to, fixed, seen = sums_map, to_map, fixed_map, op[SEEN]
        for chunk in range(op[CHUNKS]):
            if chunk == last:
                fixed = fixed_map + op[TAIL]
            if wide:
                noted += _fire_32(
                    memory, rules, steps, sums, step, to, to_step, fixed, hist, seen, seen_step, 0
                )
            else:
                noted += _fire_16(memory, rules, steps, sums, step, to, to_step, fixed, hist, seen, 0, 0)
            sums += lanes << 1
            to += lanes
            hist += lanes
            fixed += op[PARAMS_CHUNK]
            if seen >= 0:
                seen += lanes << 2
        sums_map += op[FROM_MAP]
        to_map += op[TO_MAP]
        fixed_map += op[PARAMS_MAP]
    mark(op, memory, noted)


@njit(**OPTIONS)
def fire_once(op: I64, memory: U8, sums: int, to: int, seen: int) -> int:
    """One step of a population that lies ``(steps, neurons)``; returns ties + clamps << 32."""
    rules, wide, last = op[RULES], op[WIDTH] == 32, op[CHUNKS] - 1
    hist, fixed, state = op[HIST], op[PARAMS], op[STATE]
    lanes = 16 if wide else 32
    noted = 0
    for chunk in range(op[CHUNKS]):
        if chunk == last:
            fixed = op[PARAMS] + op[TAIL]
        if wide:
            noted += _step_32(memory, rules, 1, sums, 0, to, 0, fixed, hist, seen, 0, state)
        else:
            noted += _step_16(memory, rules, 1, sums, 0, to, 0, fixed, hist, seen, 0, state)
        sums += lanes << 1
        to += lanes
        hist += lanes
        fixed += op[PARAMS_CHUNK]
        state += 64
        if seen >= 0:
            seen += lanes << 2
    return int(noted)
