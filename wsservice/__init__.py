"""wsservice: a realtime server for browsers that log in by cookie, on Twisted and Autobahn."""

__version__ = "0.1.0"
