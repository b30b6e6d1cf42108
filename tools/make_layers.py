"""`make docs`: the table of layers in docs/architecture.md, from the one in tests/test_layers.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "architecture.md"
BEGIN = "<!-- Made by `make docs` from tests/test_layers.py; change it there. -->\n"
END = "<!-- The end of what is made. -->\n"
#: what a layer is, in words
_WORDS = {
    4: "what people start: twistd, the program `wsservice`, tests of apps, the demo",
    3: "puts the parts together; of the service only these and `tap` see `Config`",
    2: "input and output; its families (`transports`, `web`, `auth`, `adapters`, `peers`) never import each other",
    1: "connections, rooms, the app, who a user is: Deferreds and clocks, but no sockets",
    0: "pure: no Twisted",
}


def table(layers: Mapping[int, Sequence[str]]) -> str:
    """The rows, the highest layer first; a name that ends with `/` is all of that folder which stands nowhere else."""
    rows = [
        f"| {layer} | {_WORDS[layer]} | {_modules(' '.join(layers[layer]).split())} |\n"
        for layer in sorted(layers, reverse=True)
    ]
    return "| layer | what it is | modules |\n|---|---|---|\n" + "".join(rows)


def with_table(page: str, layers: Mapping[int, Sequence[str]]) -> str:
    """The page with the table between its two marks made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(layers)}\n{END}{after}"


def _modules(names: Sequence[str]) -> str:
    """Modules by their folder: those of the package itself first."""
    folders: dict[str, list[str]] = {"": []}
    for name in names:
        path = name.replace(".", "/")
        folder, _, module = path.rstrip("/").rpartition("/")
        whole = path.endswith("/")
        folders.setdefault(folder, []).append(f"`{module}/`" if whole else f"`{module}`")
    parts = [", ".join(folders.pop(""))]
    parts += [f"`{folder}/`: {', '.join(modules)}" for folder, modules in sorted(folders.items())]
    return "; ".join(part for part in parts if part)
