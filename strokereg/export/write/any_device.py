"""Make exported torch graphs run on the device of their input.

torch records the device of every `arange` or `zeros` while it exports, which is the CPU. Weights move with a graph that
is loaded onto a GPU, but recorded devices do not, and the graph would mix both.
"""

from __future__ import annotations

import torch

_aten = torch.ops.aten


def free_script(traced: torch.jit.ScriptModule) -> None:
    """Replace recorded devices in a traced module and its parts by the device of their first tensor input."""
    for part in traced.modules():
        if not part._c._has_method("forward"):
            continue
        graph = part.graph
        recorded = [node.output() for node in graph.findAllNodes("prim::Constant")]
        recorded = [value for value in recorded if value.type().kind() == "DeviceObjType"]
        tensors = [value for value in graph.inputs() if value.type().kind() == "TensorType"]
        if not recorded or not tensors:
            continue
        device = graph.create("prim::device", [tensors[0]])
        device.output().setType(recorded[0].type())
        graph.prependNode(device)
        for value in recorded:
            value.replaceAllUsesWith(device.output())


def free_program(program: torch.export.ExportedProgram) -> None:
    """Bring tensors that an exported program creates to the device of its first input, and expect no device."""
    graph = program.graph
    first = next(node for node in graph.nodes if node.name in program.graph_signature.user_inputs)
    for node in list(graph.nodes):
        if node.kwargs.get("device") is None:
            continue
        if node.target is _aten._assert_tensor_metadata.default:
            node.kwargs = {**node.kwargs, "device": None}
        elif not any(isinstance(arg.meta.get("val"), torch.Tensor) for arg in node.all_input_nodes):
            value = node.meta["val"]
            with graph.inserting_after(node):
                target = graph.call_function(_aten.new_empty.default, (first, [0]), {"dtype": value.dtype})
            with graph.inserting_after(target):
                moved = graph.call_function(_aten.to.other, (node, target))
            target.meta["val"] = first.meta["val"].new_empty([0], dtype=value.dtype)
            moved.meta["val"] = value
            node.replace_all_uses_with(moved, delete_user_cb=lambda user, moved=moved: user is not moved)
    program.graph_module.recompile()
