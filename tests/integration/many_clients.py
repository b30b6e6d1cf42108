"""A crowd of clients of the `websockets` library, in a process of its own; prints what each received, as JSON.

    python -m tests.integration.many_clients URL COOKIE CLIENTS BROADCASTS

Every client connects; client 0 then says BROADCASTS texts. When all have heard all, it prints "heard"; then it
waits for the server's close and prints the close codes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed


async def listen(client: ClientConnection, count: int) -> list[str]:
    """The messages of the next `count` broadcasts."""
    return [json.loads(await client.recv())["message"] for _ in range(count)]


async def closing(client: ClientConnection) -> str:
    """How the server closes."""
    try:
        while True:
            await client.recv()
    except ConnectionClosed as closed:
        return f"{closed.rcvd.code} {closed.rcvd.reason}" if closed.rcvd else "no close frame"


async def main(url: str, cookie: str, clients: int, broadcasts: int) -> None:
    """Run the crowd."""
    opened = [
        await connect(url, additional_headers={"Cookie": cookie}, proxy=None, max_queue=None) for _ in range(clients)
    ]
    texts = [f"message {number}" for number in range(broadcasts)]
    listening = [asyncio.create_task(listen(client, broadcasts)) for client in opened]
    for text in texts:
        await opened[0].send(text)
    heard = await asyncio.gather(*listening)
    print(json.dumps({"clients": clients, "complete": sum(one == texts for one in heard)}), flush=True)
    ends = await asyncio.gather(*(closing(client) for client in opened))
    print(json.dumps(Counter(ends)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
