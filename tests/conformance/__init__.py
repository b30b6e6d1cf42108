"""The WebSocket conformance run: Autobahn's test suite against the real service (`make conformance`)."""
