"""Medians, ratios and bars of a run's figures, and the table that shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks.load import Figure
from benchmarks.rows import OWN, PEER_NAMES, ROWS, Row

#: name of a row -> name of a server -> the figures of its rounds
Figures = dict[str, dict[str, list[Figure]]]
#: the bar speaks of medians of at least so many
ROUNDS = 5
#: share of its core that a server has which nothing else slows down
BUSY = 0.9


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as good as a peer wsservice is, and should be at least.

    Attributes:
        value: of the medians, rounded to what is shown, and judged so.
        bar: None where there is none.
    """

    value: float
    bar: float | None

    @property
    def met(self) -> bool | None:
        """Whether it reaches the bar, if there is one."""
        return None if self.bar is None else self.value >= round(self.bar, 2)

    def __str__(self) -> str:
        """Such as `1.22`, `1.90 ≥ 1.8`, `**1.22 < 1.8**`."""
        if self.bar is None:
            return f"{self.value:.2f}"
        return f"{self.value:.2f} ≥ {self.bar:.3g}" if self.met else f"**{self.value:.2f} < {self.bar:.3g}**"


def ratios(row: Row, servers_figures: dict[str, list[Figure]]) -> dict[str, Ratio]:
    """Of each peer that was measured."""
    medians = {server: _median(row, rounds) for server, rounds in servers_figures.items()}
    own = medians.pop(OWN, None)
    found = {}
    for peer, value in medians.items():
        if own is not None and value is not None:
            better, worse = (own, value) if row.figure == "rate" else (value, own)
            found[peer] = Ratio(round(better / worse, 2), row.bars.get(peer))
    return found


def markdown(figures: Figures) -> str:
    """The medians of wsservice, and how many times better it is than each peer (below 1: worse)."""
    peers = [peer for peer in PEER_NAMES if any(peer in servers for servers in figures.values())]
    lines = [f"| | wsservice | {' | '.join(f'against {peer}' for peer in peers)} |", "|---" * (len(peers) + 2) + "|"]
    for name, servers_figures in figures.items():
        row = ROWS[name]
        own = _median(row, servers_figures[OWN])
        shown = "" if own is None else f"{own:,.{1 if row.figure == 'kib' else 0}f}"
        found = ratios(row, servers_figures)
        cells = [str(found[peer]) if peer in found else "" for peer in peers]
        lines.append(f"| {name} | {shown} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_remarks(figures)]) + "\n"


def as_json(figures: Figures) -> dict[str, dict[str, object]]:
    """The ratios of each row, with their bars; `by_processor_time` is what they would be without other work."""
    found: dict[str, dict[str, object]] = {}
    for name, servers_figures in figures.items():
        row = ROWS[name]
        alone = ratios(row, {server: [_alone(one) for one in rounds] for server, rounds in servers_figures.items()})
        found[name] = {
            peer: {
                "ratio": ratio.value,
                "bar": ratio.bar,
                "met": ratio.met,
                "by_processor_time": alone[peer].value if row.figure == "rate" else None,
            }
            for peer, ratio in ratios(row, servers_figures).items()
        }
    return found


def _alone(figure: Figure) -> Figure:
    """The rate for each second of processor time that the server had."""
    return {**figure, "rate": figure["rate"] / figure["server_busy"]} if figure.get("server_busy") else figure


def _median(row: Row, rounds: list[Figure]) -> float | None:
    """None where no round has it: a broadcast that took longer than it was measured for."""
    values = [figure[row.figure] for figure in rounds if row.figure in figure]
    return median(values) if values else None


def _remarks(figures: Figures) -> Iterator[str]:
    judged = [ratio.met for name in figures for ratio in ratios(ROWS[name], figures[name]).values() if ratio.bar]
    if judged:
        yield f"Of {len(judged)} bars {sum(map(bool, judged))} are reached."
    rounds = min((len(rounds) for servers in figures.values() for rounds in servers.values()), default=0)
    if rounds < ROUNDS:
        yield f"Preliminary: the bars are for the medians of {ROUNDS} rounds, and these are of {rounds}."
    yield from _of_the_load(figures)
    yield from _of_other_work(figures)


def _of_the_load(figures: Figures) -> Iterator[str]:
    """Whether the load could have done more: how busy it was, and what the floor got out of it.

    Both of each row's best round: what it can do is no less for other work beside it.
    """
    shares = [
        (max(figure["load_busy"] for figure in rounds), name, server)
        for name, servers in figures.items()
        for server, rounds in servers.items()
        if server != "floor" and ROWS[name].figure == "rate"
    ]
    if shares:
        share, name, server = max(shares)
        yield f"The load was busy for at most {share:.0%} of its core ({name}, {server}), the floor aside."
    leads = [(lead, name) for name, servers in figures.items() if (lead := _lead_of_the_floor(ROWS[name], servers))]
    if leads:
        lead, name = min(leads)
        yield f"With the floor it did at least {lead:.2f} times as much as with any other server ({name})."


def _of_other_work(figures: Figures) -> Iterator[str]:
    """How often a server did not have its core for itself, or had to wait for what it was to do."""
    shares = [
        figure["server_busy"]
        for name, servers in figures.items()
        for server, rounds in servers.items()
        for figure in rounds
        if server != "floor" and ROWS[name].figure == "rate"
    ]
    if shares:
        few = sum(share < BUSY for share in shares)
        yield f"In {few} of {len(shares)} measurements a server (not the floor) had less than {BUSY:.0%} of its core."


def _lead_of_the_floor(row: Row, servers_figures: dict[str, list[Figure]]) -> float | None:
    if "floor" not in servers_figures or row.figure != "rate":
        return None
    others = [_best(rounds) for server, rounds in servers_figures.items() if server != "floor"]
    return _best(servers_figures["floor"]) / max(others)


def _best(rounds: Iterable[Figure]) -> float:
    return max(figure["rate"] for figure in rounds)
