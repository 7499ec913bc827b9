"""Five ways to get a network wrong, planted in one leg at a time.

Comparator, reset, neuron order and single weight are planted in the artefact that a leg reads (for torch:
in the module and the parameters it is given); leak rounding in the leg's own arithmetic, since no
artefact says how a leak is rounded.
"""

from dataclasses import replace

import numpy as np
import onnx

import exporter.reference_neuron
import runtime.kernels.lif
import spikepress.legs
import trainer.checkpoint
import trainer.integer_neuron
from exporter import graph_file
from exporter.graph import Linear, Neuron
from exporter.lower import lower
from exporter.targets import onnx as onnx_target
from exporter.targets import spk
from runtime.spec import Reset

DEFECTS = ("leak rounding", "comparator", "reset", "neuron order", "single weight")


def wrong_graph(graph, defect):
    """The integer graph with the defect in its first population or the synapses that feed it; a wrong
    comparator shows at ties only, which are rare, so every population gets one."""
    changed, done = [], False
    for node in graph.nodes:
        wrong = node if done else wrong_node(node, defect)
        done = done or (wrong is not node and defect != "comparator")
        changed.append(wrong)
    assert any(old is not new for old, new in zip(graph.nodes, changed, strict=True))
    return replace(graph, nodes=tuple(changed))


def wrong_node(node, defect):
    if isinstance(node, Neuron) and defect == "comparator":
        # For whole numbers, v > threshold is v >= threshold + 1.
        return replace(node, model=wrong_comparator(node.model))
    if isinstance(node, Neuron) and defect == "reset":
        return replace(node, model=replace(node.model, reset=Reset.VALUE, reset_q=(0,)))
    if isinstance(node, Linear) and defect in ("neuron order", "single weight"):
        return replace(node, weight=wrong_weight(node.weight, defect))
    return node


def wrong_comparator(model):
    return replace(model, threshold_q=tuple(value + 1 for value in model.threshold_q))


def wrong_weight(weight, defect):
    wrong = weight.copy()
    if defect == "neuron order":
        wrong[[0, 1]] = weight[[1, 0]]
    else:
        row, column = np.argwhere(weight != 0)[0]
        wrong[row, column] -= np.sign(weight[row, column])
    return wrong


def truncated(v, k):
    """v / 2^k rounded toward zero: what a leak must not do below zero."""
    return np.sign(v) * (np.abs(v) >> k)


def plant_in_reference(run, defect, patch):
    if defect == "leak rounding":

        def toward_zero(v, leak):
            return v - sum(truncated(v, k) for k in leak.shifts)

        patch.setattr(exporter.reference_neuron, "_leaked", toward_zero)
    else:
        graph_file.save(wrong_graph(graph_file.load(run / "graph.npz"), defect), run / "graph.npz")


def update_toward_zero(acc, v, threshold, amount, bias, how, out, traced):
    """The runtime's LIF kernel in plain numpy, but for how its leak rounds."""
    k1, m1, k2, m2, left, half, right, keep, lowest, highest, fires = (int(x) for x in how)
    for step in range(len(out)):
        drive = ((acc[step if len(acc) > 1 else 0].astype(np.int64) << left) + half) >> right
        old = v.astype(np.int64)
        u = old - (truncated(old, k1) & m1) - (truncated(old, k2) & m2) + drive + bias
        fired = (u >= threshold) & bool(fires)
        v[:] = np.clip(np.where(fired, (u & keep) + amount, u), lowest, highest)
        out[step] = fired
        if len(traced):
            traced[step] = v
    return 0, 0, 0


def plant_in_runtime(run, defect, patch):
    if defect == "leak rounding":
        patch.setattr(runtime.kernels.lif, "update", update_toward_zero)
    else:
        graph = wrong_graph(graph_file.load(run / "graph.npz"), defect)
        spk.export(lower(graph), run / "model.spk")


def plant_in_onnx(run, defect, patch):
    if defect == "leak rounding":
        path = run / "model-traced.onnx"
        model = onnx.load(path)
        (loop,) = (node for node in model.graph.node if node.op_type == "Scan")
        (body,) = (entry.g for entry in loop.attribute if entry.name == "body")
        for node in body.node:
            if node.op_type == "Mod":
                # With fmod the remainder takes the sign of v: the quotient is rounded toward zero.
                del node.attribute[:]
                node.attribute.append(onnx.helper.make_attribute("fmod", 1))
        onnx.save(model, path)
    else:
        graph = wrong_graph(graph_file.load(run / "graph.npz"), defect)
        onnx_target.export(graph, run / "model-traced.onnx", traced=True)


def plant_in_torch(run, defect, patch):
    if defect == "leak rounding":

        def toward_zero(v, leak):
            return v - sum((v * 2.0**-k).trunc() for k in leak.shifts)

        patch.setattr(trainer.integer_neuron, "leaked", toward_zero)
    elif defect in ("comparator", "reset"):
        right = spikepress.legs.integer_parameters

        def wrong_parameters(graph):
            return right(wrong_graph(graph, defect))

        patch.setattr(spikepress.legs, "integer_parameters", wrong_parameters)
    else:
        load = trainer.checkpoint.load

        def wrong_net(path):
            net = load(path)
            layer = next(m for m in net.modules() if getattr(m, "quantizer", None) is not None)
            whole, scale = layer.integers()
            wrong = wrong_weight(whole.numpy(), defect)
            layer.integers = lambda: (type(whole)(wrong), scale)
            return net

        patch.setattr(trainer.checkpoint, "load", wrong_net)


PLANT = {
    "reference": plant_in_reference,
    "torch": plant_in_torch,
    "runtime": plant_in_runtime,
    "onnx": plant_in_onnx,
}
