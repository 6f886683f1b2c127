"""Load generators, run as processes of their own: `python benchmarks/load.py http|grpc PORT CLIENTS SECONDS FILE`.

Each client sends the file's bytes, waits for the answer and sends again. Prints requests a second and the milliseconds
of the median and of the 99th percentile, as JSON. Imports only the standard library (and grpc where asked), so that it
takes little of the two processors it shares with the server.
"""

import asyncio
import json
import select
import socket
import sys
import time
from pathlib import Path


class Client:
    """One HTTP connection that always has one request under way."""

    def __init__(self, port: int, payload: bytes, poll: select.epoll) -> None:
        """Connect and send the first request."""
        self.payload, self.poll = payload, poll
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        poll.register(self.socket.fileno(), select.EPOLLIN)
        self.begin()

    def begin(self) -> None:
        """Start over with a request."""
        self.sent, self.got, self.wanted = 0, 0, 0
        self.began = time.perf_counter()
        self.push()

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
        if not self.wanted:  # both servers send the headers in one piece
            head, blank, _ = chunk.partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200") or not blank:
                raise SystemExit(f"unexpected answer: {chunk[:500]!r}")
            lines = head.lower().split(b"\r\n")
            length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
            self.wanted = len(head) + 4 + length
        self.got += len(chunk)
        return self.got >= self.wanted


def http(port: int, clients: int, seconds: float, payload: bytes) -> list[float]:
    """Return each answered request's seconds."""
    poll = select.epoll()
    by_number = {one.socket.fileno(): one for one in (Client(port, payload, poll) for _ in range(clients))}
    took: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for number, event in poll.poll(5):
            one = by_number[number]
            if event & select.EPOLLOUT:
                poll.modify(number, select.EPOLLIN)
                one.push()
            if event & select.EPOLLIN and one.pull():
                took.append(time.perf_counter() - one.began)
                one.begin()
    return took


async def grpc(port: int, clients: int, seconds: float, payload: bytes) -> list[float]:
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
    return took


def main() -> None:
    """Run one load and print its figures."""
    kind, port, clients, seconds, file = sys.argv[1:]
    payload = Path(file).read_bytes()
    arguments = int(port), int(clients), float(seconds), payload
    took = sorted(http(*arguments) if kind == "http" else asyncio.run(grpc(*arguments)))
    figures = {
        "rate": len(took) / float(seconds),
        "p50": took[len(took) // 2] * 1000,
        "p99": took[len(took) * 99 // 100] * 1000,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
