"""Counts what a frame makes PyTorch do: numbers that do not depend on the machine's speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tdnet_offline.benchmark.result import Counts

_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
_READS_A_VALUE = torch.ops.aten._local_scalar_dense.default


class OperatorCounter(TorchDispatchMode):
    """Counts operators, allocations, transfers and waits within a `with` statement."""

    def __init__(self) -> None:
        super().__init__()
        self._counts = [0, 0, 0, 0]

    @property
    def counts(self) -> Counts:
        """What was counted so far."""
        return Counts(*self._counts)

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Run an operator and count it."""
        # In inference mode what consists of other operators comes here in one piece. It is taken
        # apart as it runs; `decompose` may know another way, which is for compilers.
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSITE):
            with self:
                return func._op_dk(_COMPOSITE, *args, **(kwargs or {}))
        result = func(*args, **(kwargs or {}))
        given, returned = _tensors((args, kwargs)), _tensors(result)
        known = {_storage(tensor) for tensor in given}
        new = {_storage(tensor): tensor for tensor in returned if _storage(tensor) not in known}
        reads = func is _READS_A_VALUE
        empty = "empty" in func.overloadpacket.__name__
        if (new or func._schema.is_mutable or reads) and not empty:
            self._counts[0] += 1
        self._counts[1] += sum(_bytes(tensor) for tensor in new.values())
        devices = [tensor.device.type for tensor in (*given, *returned)]
        if len({*devices}) > 1 and returned:
            self._counts[2] += 1
            asynchronous = (kwargs or {}).get("non_blocking", False) or (args and args[-1] is True)
            reads |= returned[0].device.type == "cpu" and not asynchronous
        self._counts[3] += reads
        return result


def count(action: Callable[[], object]) -> Counts:
    """Count what an action does."""
    with OperatorCounter() as counter:
        action()
    return counter.counts


def largest(counts: list[Counts]) -> Counts:
    """Give the largest of each number; at least one is given."""
    return Counts(
        max(each.operators for each in counts),
        max(each.bytes_allocated for each in counts),
        max(each.transfers for each in counts),
        max(each.synchronisations for each in counts),
    )


def _tensors(values: object) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


def _storage(tensor: Tensor) -> int:
    """Tell storages apart; tensors in oneDNN's own layout have none that PyTorch sees."""
    return tensor.untyped_storage()._cdata if tensor.layout == torch.strided else id(tensor)


def _bytes(tensor: Tensor) -> int:
    strided = tensor.layout == torch.strided
    return tensor.untyped_storage().nbytes() if strided else tensor.numel() * tensor.element_size()
