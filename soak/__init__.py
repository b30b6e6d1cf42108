"""A crowd of clients on the real service for minutes: nothing may be lost, nothing may leak. `make soak`."""
