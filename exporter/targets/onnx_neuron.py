"""The neuron of ``docs/neuron-model.md`` in stock int32 operators."""

from __future__ import annotations

from dataclasses import dataclass

from onnx import TensorProto

from exporter.targets.onnx_ops import Scope, per_neuron
from runtime.spec import Fire, IntegerNeuron, Leak, Reset, SynapticOrder


@dataclass(frozen=True)
class Stepped:
    """Names of what one step of a population gives: payloads, stored membrane, stored synaptic current."""

    payload: str
    v: str
    i: str | None


def neuron_step(
    body: Scope, model: IntegerNeuron, shape: tuple[int, ...], current: str, state: tuple[str, str | None]
) -> Stepped:
    """Nodes of one step from the ``current`` and the stored (membrane, synaptic current)."""
    v, i = state
    drive, i_new = current, None
    if model.synaptic_leak is not None:
        assert i is not None
        charged = body.op("Add", _leaked(body, i, model.synaptic_leak), current)
        drive = charged if model.synaptic_order is SynapticOrder.NEW else i
        i_new = _clamped(body, charged, model)
    u = body.op("Add", _leaked(body, v, model.leak), drive)
    if any(model.bias_q):
        u = body.op("Add", u, _constant(body, model.bias_q, shape))
    payload, u = _fire(body, model, shape, u)
    return Stepped(payload, _clamped(body, u, model), i_new)


def _constant(body: Scope, values: tuple[int, ...], shape: tuple[int, ...]) -> str:
    return body.constants.int32(per_neuron(values, shape))


def _leaked(body: Scope, v: str, leak: Leak) -> str:
    left = v
    for shift in leak.shifts:
        left = body.op("Sub", left, body.floor_shift(v, shift))
    return left


def _clamped(body: Scope, u: str, model: IntegerNeuron) -> str:
    return body.op("Clip", u, body.constants.int32(model.v_min), body.constants.int32(model.v_max))


def _fire(body: Scope, model: IntegerNeuron, shape: tuple[int, ...], u: str) -> tuple[str, str]:
    """Payload, and the membrane after its reset."""
    if model.fire is Fire.SILENT:
        return body.op("Mul", u, body.constants.int32(0)), u
    above = body.op("GreaterOrEqual", u, _constant(body, model.threshold_q, shape))
    payload = body.cast(above, TensorProto.INT32)
    steps = None
    if model.fire is Fire.GRADED:
        steps = body.constants.int32(1 << per_neuron(model.payload_shift, shape))
        most = body.constants.int32((1 << model.payload_bits) - 1)
        # Truncating division is the shift here: a graded neuron that fires has u >= threshold_q > 0.
        payload = body.op("Mul", payload, body.op("Min", body.op("Div", u, steps), most))
    match model.reset:
        case Reset.NONE:
            return payload, u
        case Reset.VALUE:
            return payload, body.op("Where", above, _constant(body, model.reset_q, shape), u)
        case Reset.SUBTRACT:
            amount = steps or _constant(body, model.reset_q, shape)
            return payload, body.op("Sub", u, body.op("Mul", payload, amount))
