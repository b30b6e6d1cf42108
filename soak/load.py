"""The load process: the whole crowd, on one event loop.

    python -m soak.load

Reads one line of JSON, {"plan", "port", "passwords"}; prints a line "connected" when everybody has come, "leaving" when
the soak is over, and at last what it counted, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
from collections.abc import Coroutine
from typing import Any

from soak.clients import Healthy
from soak.crowd import Crowd
from soak.plan import Plan
from soak.sessions import Sessions
from soak.stubborn import never_answer, never_read

#: connections that begin in a second
_RAMP = 150.0


async def main(plan: Plan, port: int, passwords: dict[str, str]) -> dict[str, Any]:
    """Run the crowd; gives what it counted."""
    rng = random.Random(plan.seed)  # noqa: S311 - no secret
    crowd = Crowd(plan, port)
    crowd.sessions = Sessions(plan, port, passwords, tally=crowd.tally, rng=rng, over=crowd.over)
    await crowd.sessions.begin()
    keeping = [asyncio.create_task(crowd.sessions.refresh_for_ever()), asyncio.create_task(_sign_out(crowd))]
    began = asyncio.get_running_loop().time()
    living = []
    for life in _lives(crowd, rng):
        living.append(asyncio.create_task(life))
        await asyncio.sleep(1 / _RAMP)
    say("connected")
    await asyncio.sleep(max(0.0, began + plan.seconds - asyncio.get_running_loop().time()))
    say("leaving")
    for task in keeping:
        if task.done():
            crowd.tally.unexpected[f"sessions: {task.exception()!r:.100}"] += 1
        task.cancel()
    crowd.tally.done["connected at the end"] = len(crowd.open)
    crowd.go_home()
    done, stuck = await asyncio.wait(living, timeout=120)
    if stuck:
        crowd.tally.unexpected["clients that did not come to an end"] += len(stuck)
    for task in done:
        if task.exception() is not None:
            crowd.tally.unexpected[f"a client failed: {task.exception()!r:.100}"] += 1
    return crowd.tally.as_dict()


def _lives(crowd: Crowd, rng: random.Random) -> list[Coroutine[Any, Any, None]]:
    plan = crowd.plan
    readers, answerers = (max(1, round(share * plan.connections)) for share in (plan.never_read, plan.never_answer))
    healthy = plan.connections - readers - answerers
    polling, socketio = round(healthy * plan.polling), round(healthy * plan.socketio)
    kinds = ["polling"] * polling + ["socketio"] * socketio + ["raw"] * (healthy - polling - socketio)
    lives = [Healthy(crowd, kind, rng).live() for kind in kinds]
    lives += [never_read(crowd) for _ in range(readers)]
    lives += [never_answer(crowd, number) for number in range(answerers)]
    rng.shuffle(lives)
    return lives


async def _sign_out(crowd: Crowd) -> None:
    while True:
        await asyncio.sleep(crowd.plan.sign_out)
        await crowd.sessions.sign_out_one()


def say(line: str) -> None:
    """Tell the parent."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    given = json.loads(sys.stdin.readline())
    say(json.dumps(asyncio.run(main(Plan(**given["plan"]), given["port"], given["passwords"]))))
