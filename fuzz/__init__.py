"""Fuzzing of everything that reads a peer's bytes; `fuzz/README.md` is the page for people."""
