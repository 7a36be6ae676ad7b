"""A pretended device: run code as if on a GPU, on fake tensors, which have a device and a shape but no values.

Operations on the pretended device compute shapes only (torch's `FakeTensorMode`), so they are fast and need no
hardware. They refuse what a real device refuses: operands on different devices, `.numpy()`, generators of the CPU, and
float64 on MPS. Operations on the CPU are computed as usual. What makes the host wait for the device is counted.

Values of the pretended device are not known. Wherever code reads one, it gets 1, or true.
"""

from __future__ import annotations

import contextlib
import copy
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Literal
from unittest import mock

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

try:  # not a public interface of torch
    from torch._subclasses.fake_tensor import (
        DynamicOutputShapeException,
        FakeTensorMode,
        unset_fake_temporarily,
    )

    _MISSING = ""
except ImportError as error:  # pragma: no cover (another torch)
    _MISSING = str(error)

_aten = torch.ops.aten
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
_MASKS = (torch.bool, torch.uint8)


class Refused(RuntimeError):
    """A real device would raise an error here; the message says why."""


class Unknown(RuntimeError):
    """An operation whose output has a size that depends on values, which are not known."""


class PretendedDevice(TorchDispatchMode):
    """A device of the given type that does not exist. Use it as a context around the code.

    Args:
        kind: cuda; or meta, which is torch's own, runs a backward pass too, and here has no float64, as MPS.

    Attributes:
        reads: operation → how often it waited for a value of the device.
        copies: how often it waited for a value to be copied to the device.
    """

    def __init__(self, kind: Literal["cuda", "meta"] = "cuda"):
        super().__init__()
        self.device = torch.device("cuda:0" if kind == "cuda" else "meta")
        self.reads: Counter[str] = Counter()
        self.copies = 0
        self._fake = FakeTensorMode(allow_non_fake_inputs=True)
        self._calls = _Calls(self)

    def __enter__(self) -> PretendedDevice:
        # Fake tensors on their own would turn those of the CPU into fake ones too; see `__torch_dispatch__`.
        self._open = contextlib.ExitStack()
        if self.device.type == "meta":
            self._open.enter_context(mock.patch.object(torch.autocast, "__init__", _without_meta))
        else:
            self._open.enter_context(self._fake)
        super().__enter__()
        self._open.push(super().__exit__)
        self._open.enter_context(self._calls)
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    @contextlib.contextmanager
    def autocast(self, dtype: torch.dtype | None) -> Iterator[None]:
        """Autocast to a type as on the real device; None for none. `torch.autocast` does not work without a GPU."""
        kind = self.device.type
        if kind == "meta" or dtype is None:
            yield
            return
        before = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
        torch.set_autocast_enabled(kind, True)
        torch.set_autocast_dtype(kind, dtype)
        torch.autocast_increment_nesting()
        try:
            yield
        finally:
            if torch.autocast_decrement_nesting() == 0:
                torch.clear_autocast_cache()
            torch.set_autocast_enabled(kind, before[0])
            torch.set_autocast_dtype(kind, before[1])

    def put(self, model: nn.Module) -> nn.Module:
        """A copy of a network with its parameters and buffers on the device, as `model.to(device)` moves them."""
        memo: dict[int, Any] = {}
        for parameter in model.parameters():
            memo[id(parameter)] = nn.Parameter(self.tensor(parameter.detach()), parameter.requires_grad)
        for buffer in model.buffers():
            memo[id(buffer)] = self.tensor(buffer.detach())
        return copy.deepcopy(model, memo)

    def tensor(self, value: Tensor) -> Tensor:
        """A tensor on the device with the shape and type of this one."""
        with torch.no_grad(), self._fake if self.device.type != "meta" else contextlib.nullcontext():
            return self._checked(torch.empty_like(value, device=self.device))

    def owns(self, value: object) -> bool:
        """Whether this is a tensor on the pretended device."""
        return isinstance(value, Tensor) and value.device == self.device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        given = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        target = next((value for value in tree_leaves((args, kwargs)) if isinstance(value, torch.device)), None)
        there = any(self.owns(value) for value in given)
        if not there and (target is None or target.type != self.device.type):
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        composite = func.namespace == "aten" and func.has_kernel_for_dispatch_key(_COMPOSITE)
        if composite and torch.is_inference_mode_enabled():
            with self._again():  # in parts, as they arrive outside of inference mode
                return func.decompose(*args, **kwargs)
        for value in tree_leaves((args, kwargs)):
            if isinstance(value, torch.Generator) and value.device.type != self.device.type:
                raise Refused(f"{func}: expected a generator on {self.device.type}, but found one on the CPU")
        if there and (func in _READS or _leaves(func, target, args)):
            return self._read(func, args, kwargs)
        if func in (_aten._to_copy.default, _aten.copy_.default):
            waits = not kwargs.get("non_blocking", len(args) > 2 and args[2])
            self.copies += waits and any(value.device.type == "cpu" for value in given)
        if func in (_aten.index.Tensor, _aten.index_put_.default, _aten.index_put.default):
            args = self._indexed(func, args)
        try:
            with self._fake if self.device.type != "meta" else contextlib.nullcontext():
                found = func(*args, **kwargs)
        except DynamicOutputShapeException as error:
            raise Unknown(f"{func}: the size of its output depends on values, so the host waits for them") from error
        return tree_map(self._checked, found)

    @contextlib.contextmanager
    def _again(self) -> Iterator[None]:
        """The mode for what a dispatched operation calls in turn."""
        super().__enter__()
        try:
            yield
        finally:
            super().__exit__(None, None, None)

    def _checked(self, value: Any) -> Any:
        if self.device.type == "meta" and self.owns(value) and value.dtype == torch.float64:
            raise Refused("float64 is used on the device, but MPS has none")
        return value

    def _read(self, func: Any, args: Any, kwargs: Any) -> Any:
        """The result on the host of an operation that waits for the device: ones."""
        name = str(func.overloadpacket).removeprefix("aten.")
        self.reads[_NAMES.get(name, name)] += 1
        if func is _aten._local_scalar_dense.default:
            return _one(args[0].dtype)
        if func is _aten.equal.default:
            return True
        value = args[0]
        if func is _aten.copy_.default:
            with unset_fake_temporarily():
                return value.fill_(1)
        if func is _aten._to_copy.default:
            with unset_fake_temporarily():
                return torch.ones(value.shape, dtype=kwargs.get("dtype") or value.dtype)
        count = value.numel()
        shape = (count, value.ndim) if func is _aten.nonzero.default else (count,)
        dtype = torch.int64 if func is _aten.nonzero.default else value.dtype
        with self._fake if self.device.type != "meta" else contextlib.nullcontext():
            return torch.empty(shape, dtype=dtype, device=self.device)

    def _indexed(self, func: Any, args: Any) -> Any:
        """Replace masks by indices of all voxels, as their values are not known. Filling by a number reads nothing."""
        value, indices, *rest = args
        if not any(isinstance(index, Tensor) and index.dtype in _MASKS for index in indices):
            return args
        if func is not _aten.index.Tensor and rest[0].numel() == 1:
            return value, [torch.zeros((), dtype=torch.int64, device=self.device)], *rest
        self.reads["index with a mask"] += 1
        found: list[Tensor | None] = []
        for index in indices:
            if isinstance(index, Tensor) and index.dtype in _MASKS:
                found += [torch.zeros(index.numel(), dtype=torch.int64, device=self.device)] * index.ndim
            else:
                found.append(index)
        return value, found, *rest


_NAMES = {"_local_scalar_dense": "item", "_to_copy": "cpu"}
_READS = {
    _aten._local_scalar_dense.default,
    _aten.equal.default,
    _aten.nonzero.default,
    _aten.masked_select.default,
}


_autocast = torch.autocast.__init__


def _without_meta(self: Any, device_type: str, *words: Any, **more: Any) -> None:
    """Autocast, which meta tensors do not know: for them it is off."""
    if device_type == "meta":
        _autocast(self, "cpu", enabled=False)
    else:
        _autocast(self, device_type, *words, **more)


def _leaves(func: Any, target: Any, args: Any) -> bool:
    """Whether an operation copies a tensor from the device to the CPU."""
    if func is _aten.copy_.default:
        return args[0].device.type == "cpu" and args[1].device.type != "cpu"
    return func is _aten._to_copy.default and target is not None and target.type == "cpu"


def _one(dtype: torch.dtype) -> float | int | bool:
    return True if dtype == torch.bool else 1.0 if dtype.is_floating_point else 1


class _Calls(TorchFunctionMode):
    """Calls that never reach the dispatcher: conversions to NumPy and Python, and the backward pass."""

    def __init__(self, pretended: PretendedDevice):
        super().__init__()
        self.pretended = pretended

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, mine = kwargs or {}, self.pretended
        if args and mine.owns(args[0]) and func in (Tensor.numpy, Tensor.__array__):
            raise Refused("can't convert a tensor on the device to numpy; call .cpu() first")
        if mine.device.type != "meta":
            # torch's engine cannot run on a device that does not exist; gradients of the right shape take its place.
            if func is torch.autograd.grad:
                outputs, inputs = args[0], args[1] if len(args) > 1 else kwargs["inputs"]
                total = sum((value.sum() for value in _tuple(outputs)), start=0.0)
                return tuple(value * total for value in _tuple(inputs))
            if func in (Tensor.backward, torch.autograd.backward):
                return None
        return func(*args, **kwargs)


def _tuple(values: Any) -> tuple[Tensor, ...]:
    return (values,) if isinstance(values, Tensor) else tuple(values)


def why_not() -> str:
    """Why this torch cannot pretend a device, or an empty string."""
    if _MISSING:
        return f"torch {torch.__version__} has no fake tensors ({_MISSING})"
    try:
        with PretendedDevice() as device, device.autocast(torch.bfloat16):
            network = device.put(nn.Conv2d(1, 1, 3))
            seen = network(torch.zeros(1, 1, 4, 4, device=device.device))
            seen.sum().item()
            with contextlib.suppress(RuntimeError):
                seen.float() + torch.ones(2)
                return f"torch {torch.__version__} mixes fake tensors of two devices"
    except Exception as error:  # whatever another torch raises
        return f"torch {torch.__version__} cannot pretend a GPU ({str(error).strip().splitlines()[0]})"
    return ""
