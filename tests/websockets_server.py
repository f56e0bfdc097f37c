"""Python's `websockets` as an echo server, for the generator to be held against. Prints its port, and runs until it is killed.

Argument: the address to listen on.
"""

import asyncio
import resource
import sys

import websockets


async def echo(peer, path=None):
    try:
        async for message in peer:
            await peer.send(message)
    except websockets.ConnectionClosedError as problem:
        if problem.sent is not None and problem.sent.code in (1002, 1007, 1009):  # it found fault with what it was sent
            print(f"peer: {problem}", file=sys.stderr, flush=True)


async def main():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    async with websockets.serve(echo, sys.argv[1], 0, ping_interval=2, ping_timeout=20, backlog=1024) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
