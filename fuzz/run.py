"""Run the fuzz targets: `make fuzz INPUTS=1000000`, or

    python -m fuzz.run [--inputs N] [--seed N] [--engine auto|atheris|builtin] [TARGETS...]
    python -m fuzz.run --input FILE TARGET        one input, as a finding is reproduced
    python -m fuzz.run --keep [TARGETS...]        put what was found into fuzz/corpus/, the smallest of each outcome

Each target runs in a process of its own: by atheris, guided by coverage, where that is installed; else by the built-in
mutator. A finding is written to fuzz/crashes/, and the command that reproduces it is printed.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CRASHES = ROOT / "fuzz" / "crashes"
#: what coverage guidance found worth keeping, from run to run
FOUND = ROOT / "fuzz" / "found"
#: seconds for one input
TIMEOUT = 20
#: findings after which a target is given up
MAX_FINDINGS = 5
#: bytes of an input that is kept; and how many are kept at a time
MAX_KEPT, MAX_ADDED = 600, 20
#: packages that coverage guidance looks at, beside our own
_INSTRUMENTED = {"websocket": ["autobahn"], "port": ["autobahn", "twisted"]}


def run_one(run: Callable[[bytes], object], data: bytes) -> object:
    """One input; raises TimeoutError for one that takes too long."""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"an input took longer than {TIMEOUT} s")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(TIMEOUT)
    try:
        return run(data)
    finally:
        signal.alarm(0)


def save(name: str, data: bytes, folder: Path = CRASHES) -> str:
    """Keep a finding; gives the command that reproduces it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{hashlib.sha256(data).hexdigest()[:16]}"
    path.write_bytes(data)
    return f"python -m fuzz.run --input {os.path.relpath(path, ROOT)} {name}"


def fuzz_builtin(target: Any, count: int, seed: int, folder: Path = CRASHES) -> tuple[int, int]:
    """Run `count` mutations; gives how many findings, and how many outcomes there were."""
    from fuzz.mutate import Mutator

    mutator = Mutator(target, seed)
    places: set[str] = set()
    for data in mutator.inputs(count):
        try:
            mutator.learn(data, run_one(target.run, data))
        except Exception:
            text = traceback.format_exc()
            place = text.rsplit("File ", 1)[-1]
            if place not in places:  # the same bug has many inputs
                places.add(place)
                print(text, f"FOUND. To reproduce: {save(target.name, data, folder)}", sep="\n", flush=True)
            if len(places) >= MAX_FINDINGS:
                break
    return len(places), mutator.outcomes


def fuzz_atheris(name: str, count: int, seed: int) -> None:
    """Run `count` inputs guided by coverage; ends the process."""
    import atheris

    packages = ["wsservice", *_INSTRUMENTED.get(name, [])]
    with redirect_stderr(StringIO()), atheris.instrument_imports(include=packages):
        from fuzz.targets import TARGETS
    target = TARGETS[name]
    found = FOUND / name
    for folder in (found, CRASHES):
        folder.mkdir(parents=True, exist_ok=True)
    words = Path(tempfile.mkdtemp()) / "words"
    words.write_text("".join(_libfuzzer_word(word) for word in target.tokens))

    def run(data: bytes) -> None:
        try:
            run_one(target.run, data)
        except Exception:
            traceback.print_exc()
            print(f"FOUND. To reproduce: {save(name, data)}", flush=True)
            os._exit(1)

    arguments = [f"-runs={count}", f"-seed={seed or 1}", f"-max_len={target.max_length}", f"-dict={words}"]
    options = ["-rss_limit_mb=2048", f"-artifact_prefix={CRASHES}/{name}-", "-verbosity=0", "-print_final_stats=1"]
    _be_quiet()
    atheris.Setup([sys.argv[0], *arguments, *options, str(found), str(target.folder)], run)
    atheris.Fuzz()


def _libfuzzer_word(word: bytes) -> str:
    """A line of a dictionary in libFuzzer's form."""
    escaped = word.hex("x")
    return '"\\x{}"\n'.format(escaped.replace("x", "\\x")) if word else ""


def keep(names: Sequence[str]) -> None:
    """Add to the kept inputs the smallest found one of each outcome that none of them has."""
    from fuzz.targets import TARGETS

    for name in names:
        target = TARGETS[name]
        known = {target.run(data) for data in target.corpus()}
        found = sorted((FOUND / name).glob("*"), key=lambda path: (path.stat().st_size, path.name))
        added = 0
        for data in (path.read_bytes() for path in found if path.stat().st_size <= MAX_KEPT):
            outcome = target.run(data)
            if outcome not in known and added < MAX_ADDED:
                known.add(outcome)
                (target.folder / f"found-{hashlib.sha256(data).hexdigest()[:12]}").write_bytes(data)
                added += 1
        print(f"{name}: {added} added, {len(known)} outcomes")


def shares(names: Sequence[str], inputs: int) -> Iterator[tuple[str, int]]:
    """How many inputs each target gets."""
    from fuzz.targets import TARGETS

    weights = sum(TARGETS[name].weight for name in names)
    for name in names:
        yield name, max(1, inputs * TARGETS[name].weight // weights)


def run_all(names: Sequence[str], inputs: int, seed: int, engine: str) -> int:
    """Run the targets one after the other; gives the exit status."""
    failed = []
    for name, count in shares(names, inputs):
        begun = time.monotonic()
        command = [sys.executable, "-m", "fuzz.run", "--one", "--engine", engine, "--seed", str(seed)]
        finished = subprocess.run([*command, "--inputs", str(count), name], cwd=ROOT, check=False)
        seconds = time.monotonic() - begun
        print(f"{name}: {count} inputs by {engine} in {seconds:.0f} s, exit {finished.returncode}", flush=True)
        if finished.returncode:
            failed.append(name)
    print(f"findings in: {', '.join(failed)}" if failed else "nothing was found")
    return 1 if failed else 0


@contextmanager
def _nothing_logged() -> Iterator[None]:
    _be_quiet()
    yield


def _be_quiet() -> None:
    """Nobody reads the log here; until somebody does, Twisted keeps all of it."""
    from twisted.logger import globalLogBeginner

    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; gives the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGETS", help="by default all")
    parser.add_argument("--inputs", type=int, default=100_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("auto", "atheris", "builtin"), default="auto")
    parser.add_argument("--input", type=Path, help="run this file, once")
    parser.add_argument("--keep", action="store_true", help="put what was found into the corpus")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    engine = options.engine
    if engine == "auto":
        engine = "atheris" if importlib.util.find_spec("atheris") else "builtin"
    if options.one and engine == "atheris":
        fuzz_atheris(options.targets[0], options.inputs, options.seed)
    return _run(options, engine)


def _run(options: Any, engine: str) -> int:
    from fuzz.targets import TARGETS

    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        print(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    names = options.targets or list(TARGETS)
    if not options.input and not options.keep and not options.one:
        return run_all(names, options.inputs, options.seed, engine)
    with _nothing_logged():
        if options.input:
            for name in names:
                print(f"{name}: {run_one(TARGETS[name].run, options.input.read_bytes())!r}")
            return 0
        if options.keep:
            keep(names)
            return 0
        findings, outcomes = fuzz_builtin(TARGETS[names[0]], options.inputs, options.seed)
        print(f"{names[0]}: {outcomes} different outcomes, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
