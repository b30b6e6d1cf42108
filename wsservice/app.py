"""The application: its namespaces, of which the main one is itself."""

from __future__ import annotations

import re
from weakref import WeakSet

from wsservice.hub import Hub
from wsservice.messages import MAX_NAMESPACE, ROOT, check_namespace
from wsservice.namespace import Namespace


class App(Namespace):
    """An application; serve it by `twistd -n wsservice --app module:app`.

    It is the main namespace `/`, where every raw WebSocket is, and Socket.IO clients that name no other.
    """

    def __init__(self) -> None:
        super().__init__(ROOT)
        self._named: dict[str, Namespace] = {ROOT: self}
        self._patterns: list[Namespace] = []
        #: names that the service itself answers
        self._reserved: set[str] = set()
        #: single names of patterns that the application holds on to
        self._parts: WeakSet[Namespace] = WeakSet()

    def namespace(self, name: str | re.Pattern[str]) -> Namespace:
        """The namespace of a name such as `/admin`, made at the first call; or of all whose names match a pattern.

        With a pattern, `app.namespace(re.compile(r"/room-[0-9]+"))`, clients may connect to each name that it
        matches as a whole; `connection.namespace` is the name. Its `emit` reaches all of them; for one, ask for
        it by name: `app.namespace("/room-7").emit(...)`.

        Raises:
            ValueError: this cannot be the name of a namespace.
        """
        if isinstance(name, re.Pattern):
            found = next((one for one in self._patterns if one.name == name), None)
            if found is None:
                found = Namespace(name, self.find)
                self._patterns.append(self._adopt(found))
            return found
        check_namespace(name)
        if name in self._reserved:
            raise ValueError(
                f"{name} is the service's own (--admin-namespace): give this one, or that one, another name"
            )
        found = self.find(name)
        if found is None:
            found = self._named[name] = self._adopt(Namespace(name))
        elif found.name != name:  # of a pattern: its handlers, and these clients only
            found = found.part(name)
            self._parts.add(found)
        return found

    def find(self, name: str) -> Namespace | None:
        """The namespace that handles a name, if there is one; those of a fixed name come first."""
        named = self._named.get(name)
        if named is not None or len(name) > MAX_NAMESPACE:
            return named
        return next((one for one in self._patterns if one.matches(name)), None)

    # For the service

    def reserve(self, namespace: Namespace) -> None:
        """Take a name in, that the application can have no handlers for: the namespace is the service's own.

        Raises:
            ValueError: the application has that name.
        """
        name = str(namespace.name)
        if name in self._named and name not in self._reserved:
            raise ValueError(f"the application has a namespace {name} of its own")
        self._named[name] = self._adopt(namespace)
        self._reserved.add(name)

    def names(self) -> list[str]:
        """The namespaces of fixed names."""
        return list(self._named)

    def serve(self, hub: Hub) -> None:
        """Give the app the connections that it speaks to; the service does this when it starts."""
        for namespace in (*self._named.values(), *self._patterns, *self._parts):
            namespace.serve_by(hub)

    def _adopt(self, namespace: Namespace) -> Namespace:
        if self._hub is not None:
            namespace.serve_by(self._hub)
        return namespace
