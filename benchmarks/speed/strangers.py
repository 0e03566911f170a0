"""Clients that mean no good, for `greed.py`: slow, absent and greedy ones.

    python benchmarks/speed/strangers.py http://127.0.0.1:8501 127.0.0.1:8500 \
        MODEL SECONDS

They come to this machine alone, are as many as `CLIENTS` says, and end by themselves.
How often each comes again is in `PAUSE`; what they were told is printed as JSON.
"""

import asyncio
import collections
import gzip
import ipaddress
import json
import random
import ssl
import sys
from collections.abc import Awaitable, Callable

import grpc

CLIENTS = {
    "half a head": 400,
    "half a body": 150,
    "half of gRPC": 150,
    "a call without a message": 100,
    "leaves": 100,
    "too much": 100,
}
PAUSE = {
    "half a head": (0, 2),
    "half a body": (0, 2),
    "half of gRPC": (0, 2),
    "a call without a message": (0, 2),
    "leaves": (5, 15),
    "too much": (10, 30),
}
MOST_SECONDS = 600

told: collections.Counter[str] = collections.Counter()


class Target:
    """Where to, and what is sent there."""

    def __init__(self, rest: str, grpc_address: str, model: str) -> None:
        """Refuses to leave this machine."""
        self.host, port = rest.split("//")[1].rsplit(":", 1)
        self.port, self.grpc, self.model = int(port), grpc_address, model
        for host in (self.host, grpc_address.rsplit(":", 1)[0]):
            if not ipaddress.ip_address(host.strip("[]")).is_loopback:
                raise SystemExit(f"{host}: expected an address of this machine.")
        number = b'{"inputs": {"pixel_spacing": [[1, 1]], "image": [[['
        self.bodies = [
            (number + b"1," * 27_000_000 + b"1]]]}}", b""),  # 54 MB
            (number + b"1," * 2_400_000 + b"1]]]}}", b""),  # read, and refused
            (b'{"inputs": [' + b"[]," * 1_000_000 + b"[]]}", b""),
            (b'{"inputs": [' + b'{"a":[]},' * 500_000 + b"[]]}", b""),
            (gzip.compress(b" " * 2**30, 9), b"Content-Encoding: gzip\r\n"),  # 1 MB
            (b"[" * 2**20, b""),
        ]
        image = [[100 * (i % 7) + j for j in range(64)] for i in range(64)]
        self.good = json.dumps(
            {"inputs": {"image": [image], "pixel_spacing": [[1, 1]]}}
        ).encode()

    def head(self, size: int, more: bytes = b"") -> bytes:
        """That of a predict request."""
        line = f"POST /v1/models/{self.model}:predict HTTP/1.1\r\nHost: h\r\n"
        return line.encode() + more + f"Content-Length: {size}\r\n\r\n".encode()


async def half_a_head(target: Target) -> None:
    """Begins, and says no more."""
    await _hold(target.host, target.port, b"GET /v1/models/x HTTP/1.1\r\nA: ")


async def half_a_body(target: Target) -> None:
    """A byte a second."""
    reader, writer = await asyncio.open_connection(target.host, target.port)
    writer.write(target.head(10**7))
    try:
        while not writer.is_closing():
            writer.write(b"[")
            await writer.drain()
            await asyncio.sleep(1)
            if reader.at_eof():
                break
    finally:
        writer.close()


async def half_of_grpc(target: Target) -> None:
    """A connection that never speaks HTTP/2."""
    host, port = target.grpc.rsplit(":", 1)
    await _hold(host, int(port), b"PRI * HTTP")


async def _hold(host: str, port: int, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(sent)
        await reader.read()  # to the end, whatever it is told
    finally:
        writer.close()


async def a_call_without_a_message(target: Target) -> None:
    """A call whose message never comes, on a connection of its own."""
    async with grpc.aio.insecure_channel(
        target.grpc, [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    ) as channel:
        call = channel.stream_unary("/tensorflow.serving.PredictionService/Predict")()
        try:
            await call
        except grpc.aio.AioRpcError as error:
            told[f"gRPC {error.code().name}"] += 1


async def leaves(target: Target) -> None:
    """Asks for what makes sense, and does not wait."""
    _, writer = await asyncio.open_connection(target.host, target.port)
    writer.write(target.head(len(target.good)) + target.good)
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()


async def too_much(target: Target) -> None:
    """A request that costs much to read."""
    body, more = random.choice(target.bodies)
    reader, writer = await asyncio.open_connection(target.host, target.port)
    try:
        writer.write(target.head(len(body), more))
        for start in range(0, len(body), 2**18):
            writer.write(body[start : start + 2**18])
            await writer.drain()
        line = await reader.readline()
        told[line.split(b" ", 2)[1].decode() if b" " in line else "closed"] += 1
    finally:
        writer.close()


KINDS: dict[str, Callable[[Target], Awaitable[None]]] = {
    "half a head": half_a_head,
    "half a body": half_a_body,
    "half of gRPC": half_of_grpc,
    "a call without a message": a_call_without_a_message,
    "leaves": leaves,
    "too much": too_much,
}


async def come_again(kind: str, target: Target) -> None:
    """One client, until it is cancelled."""
    await asyncio.sleep(random.uniform(0, PAUSE[kind][1]))
    while True:
        try:
            told[kind] += 1
            await KINDS[kind](target)
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
            told["closed"] += 1
        await asyncio.sleep(random.uniform(*PAUSE[kind]))


async def main(target: Target, seconds: float) -> None:
    """All of them at once, for that long."""
    random.seed(0)
    clients = [
        asyncio.create_task(come_again(kind, target))
        for kind, count in CLIENTS.items()
        for _ in range(count)
    ]
    await asyncio.wait(clients, timeout=min(seconds, MOST_SECONDS))
    for client in clients:
        client.cancel()
    await asyncio.wait(clients, timeout=10)


if __name__ == "__main__":
    target = Target(*sys.argv[1:4])
    print("ready", flush=True)  # what they send takes seconds to make
    asyncio.run(main(target, float(sys.argv[4])))
    print(json.dumps(told))
