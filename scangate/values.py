"""`dataclass`, as the standard library has it, for classes of which most runs make no instance.

To define one costs half a millisecond: `dataclasses` writes its methods as source and compiles them, and a start needs
few of the kinds of values that there are. So the standard library is asked when the first instance is made, or
somebody asks for the fields; before that nothing could tell the difference. There are no slots: for these the class
would have to be replaced by another one.
"""

from collections.abc import Callable
from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(**options: bool) -> Callable[[type], type]:
        """Decorator. `options` are those of `dataclasses.dataclass`, without `slots`."""

        def waiting(cls: type) -> type:
            cls.__dataclass_fields__ = _Waiting(cls, options)
            cls.__init__ = _first
            return cls

        return waiting


_ONE_AT_A_TIME = RLock()
"""Reentrant: the fields of a class begin with those of its base."""

_OWN = frozenset({"__dict__", "__weakref__", "__init__", "__dataclass_fields__"})
"""What a class does not share with its twin."""


class _Waiting:
    """Stands where `dataclasses` looks for the fields of a class."""

    def __init__(self, owner: type, options: dict[str, bool]) -> None:
        self._owner: Any = owner
        self._options = options

    def __get__(self, instance: object, asked: Any) -> object:
        self.complete()
        return asked.__dataclass_fields__

    def complete(self) -> None:
        """Give the class what the standard library makes for a twin of it; `__init__` last, for other threads wait."""
        import dataclasses

        owner = self._owner
        with _ONE_AT_A_TIME:
            if vars(owner)["__dataclass_fields__"] is not self:
                return
            body = {name: value for name, value in vars(owner).items() if name not in _OWN}
            twin = type(owner.__name__, owner.__bases__, {**body, "__qualname__": owner.__qualname__})
            dataclasses.dataclass(**self._options)(twin)
            made = vars(twin)
            for name in made.keys() - _OWN:
                if body.get(name) is not made[name]:
                    setattr(owner, name, made[name])
            owner.__dataclass_fields__ = made["__dataclass_fields__"]
            owner.__init__ = made["__init__"]


def _first(self: Any, *args: object, **values: object) -> None:
    """`__init__` until there is an instance."""
    with _ONE_AT_A_TIME:
        for one in type(self).__mro__:
            waiting = vars(one).get("__dataclass_fields__")
            if isinstance(waiting, _Waiting):
                waiting.complete()
    self.__init__(*args, **values)
