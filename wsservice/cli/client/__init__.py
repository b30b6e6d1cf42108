"""A client of the service for people at a terminal: blocking, without Twisted. Nobody imports this package's names."""
