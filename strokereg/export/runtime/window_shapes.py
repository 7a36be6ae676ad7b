"""The shapes in which a network gets the windows of a scan. No torch here.

TensorRT builds an engine for a range of shapes and refuses others, so the range covers every window of every scan.
"""

from __future__ import annotations

from strokereg.core.scan.window import SLICES
from strokereg.export.metadata import Bundle
from strokereg.registry.specs import Role

Shape = tuple[int, ...]


def window_shapes(bundle: Bundle, largest: Shape = ()) -> dict[str, tuple[Shape, Shape, Shape]]:
    """Input name → its least, usual and largest shape; nothing where the size of inputs is not known.

    Args:
        bundle: of the file; windows are never larger than the size trained on.
        largest: batch and size [N, (Z,) Y, X] of inputs that may be larger, as in a measurement.
    """
    if bundle.is_scan_graph or not (bundle.size or bundle.role == Role.GENERATOR):
        return {}
    usual = (SLICES if bundle.dims == 2 else 1, *bundle.size)
    others = [largest] if len(largest) == len(usual) else []
    if bundle.probe is not None:
        others.append((bundle.probe.batch, *(bundle.probe.size or bundle.size)))
    steps = bundle.steps or (1,) * len(bundle.size)
    # Two steps are the smallest grid of a scan; see `export.shapes`.
    least = (1, *(min(edge, 2 * step if step > 1 else 1) for edge, step in zip(bundle.size, steps, strict=True)))
    ranges = (
        tuple(map(min, zip(least, usual, *others, strict=True))),
        usual,
        tuple(map(max, zip(usual, *others, strict=True))),
    )
    return {name: tuple(_shape(bundle, name, shape) for shape in ranges) for name in bundle.inputs}  # type: ignore[misc]


def _shape(bundle: Bundle, name: str, shape: Shape) -> Shape:
    batch, size, channels = shape[0], shape[1:], len(bundle.channels)
    if name == "noise":
        return batch, bundle.noise or 0
    if name == "labels":
        return shape
    if name == "image":
        return (batch, channels, *size)
    return (batch, channels, 2) if name == "limits" else (batch, channels)
