"""What every request is: frozen, hashable data that names what it is made of."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self


@dataclass(frozen=True)
class Request:
    """Base of all requests."""

    @property
    def parts(self) -> tuple[Request, ...]:
        """The requests that this one is made of."""
        values = (getattr(self, item.name) for item in fields(self))
        return tuple(value for value in values if isinstance(value, Request))

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of the models that the request reads, nested requests included."""
        own = [getattr(self, item.name) for item in fields(self) if item.name in ("role", "by")]
        nested = [role for part in self.parts for role in part.roles]
        return tuple(dict.fromkeys(own + nested))

    def at(self, role: str) -> Self:
        """Return the same request for another model; the knockdowns it is restricted to stay the same."""
        return self._with("role", role)

    def at_draw(self, draw: int) -> Self:
        """Return the same request over another disjoint draw of control cells, for the same knockdowns."""
        return self._with("draw", draw)

    def at_list(self, number: int) -> Self:
        """Return the same request for another stratified list of knockdowns."""
        return self._with("number", number)

    def _with(self, name: str, value: object) -> Self:
        changed: dict[str, object] = {}
        for item in fields(self):
            own = getattr(self, item.name)
            if item.name == name:
                changed[name] = value
            elif isinstance(own, Request):
                changed[item.name] = own._with(name, value)
        return replace(self, **changed)

    def __str__(self) -> str:
        shown = [f"{getattr(self, item.name)}" for item in fields(self)]
        return f"{type(self).__name__}({', '.join(shown)})"
