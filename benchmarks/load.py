"""Load generators, run as processes of their own: `python benchmarks/load.py http|grpc|acts PORT CLIENTS SECONDS FILE`.

Each client sends the file's bytes, waits for the answer and sends again. With `acts` the file is JSON and holds a list
of requests for each client, which sends each of them once; the seconds say nothing then. Prints requests a second and
the milliseconds of the median and of the 99th percentile, as JSON. Imports only the standard library (and grpc where
asked), so that it takes little of the processors it shares with the server.
"""

import asyncio
import json
import select
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path


class Client:
    """One HTTP connection that always has one request under way, until there are no more to send."""

    def __init__(self, port: int, payloads: Iterator[bytes], poll: select.epoll) -> None:
        """Connect and send the first request."""
        self.payloads, self.poll = payloads, poll
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        poll.register(self.socket.fileno(), select.EPOLLIN)
        self.begin()

    def begin(self) -> bool:
        """Start over with the next request; say whether there was one."""
        payload = next(self.payloads, None)
        if payload is None:
            self.poll.unregister(self.socket.fileno())
            return False
        self.payload = payload
        self.head, self.sent, self.got, self.wanted = b"", 0, 0, 0
        self.began = time.perf_counter()
        self.push()
        return True

    def push(self) -> None:
        """Send as much as the connection takes."""
        try:
            while self.sent < len(self.payload):
                self.sent += self.socket.send(memoryview(self.payload)[self.sent :] if self.sent else self.payload)
        except BlockingIOError:
            self.poll.modify(self.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def pull(self) -> bool:
        """Take what came; say whether the answer is whole."""
        chunk = self.socket.recv(1 << 18)
        if not chunk:
            raise SystemExit("the server hung up")
        self.got += len(chunk)
        if not self.wanted:
            self.head += chunk
            head, blank, _ = self.head.partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 20"):
                raise SystemExit(f"unexpected answer: {self.head[:1000]!r}")
            if not blank:
                return False
            lines = head.lower().split(b"\r\n")
            length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
            self.wanted = len(head) + 4 + length
        return self.got >= self.wanted


def http(port: int, seconds: float, payloads: Iterable[Iterator[bytes]]) -> tuple[list[float], float]:
    """Return each answered request's seconds, and how long all took together."""
    poll = select.epoll()
    began = time.perf_counter()
    by_number = {one.socket.fileno(): one for one in (Client(port, each, poll) for each in payloads)}
    took: list[float] = []
    while by_number and time.perf_counter() < began + seconds:
        for number, event in poll.poll(5):
            one = by_number[number]
            if event & select.EPOLLOUT:
                poll.modify(number, select.EPOLLIN)
                one.push()
            if event & select.EPOLLIN and one.pull():
                took.append(time.perf_counter() - one.began)
                if not one.begin():
                    del by_number[number]
    return took, time.perf_counter() - began


async def grpc(port: int, clients: int, seconds: float, payload: bytes) -> tuple[list[float], float]:
    """Return each answered request's seconds over mlserver's gRPC door; the messages stay bytes."""
    from grpc import aio  # only mlserver's environment has it

    took: list[float] = []
    end = time.perf_counter() + seconds

    async def client() -> None:
        async with aio.insecure_channel(
            f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            while (began := time.perf_counter()) < end:
                await call(payload)
                took.append(time.perf_counter() - began)

    await asyncio.gather(*(client() for _ in range(clients)))
    return took, seconds


def measured(kind: str, port: int, clients: int, seconds: float, content: bytes) -> tuple[list[float], float]:
    """Run one load."""
    if kind == "grpc":
        return asyncio.run(grpc(port, clients, seconds, content))
    if kind == "http":
        return http(port, seconds, [repeat(content) for _ in range(clients)])
    acts = [[text.encode() for text in texts] for texts in json.loads(content)[:clients]]
    return http(port, 600, [iter(each) for each in acts])


def main() -> None:
    """Run one load and print its figures."""
    kind, port, clients, seconds, file = sys.argv[1:]
    took, lasted = measured(kind, int(port), int(clients), float(seconds), Path(file).read_bytes())
    took.sort()
    figures = {
        "rate": len(took) / lasted,
        "p50": took[len(took) // 2] * 1000,
        "p99": took[len(took) * 99 // 100] * 1000,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
