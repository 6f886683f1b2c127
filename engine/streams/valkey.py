"""Valkey Streams (and Redis Streams): a consumer group reads, so any number of engines share one stream.

An entry is acknowledged after the sinks have it. What a dead engine had read and not acknowledged is taken over by
another after `TAKE_OVER_MS`. See https://valkey.io/topics/streams-intro/.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import redis

from engine.errors import RecordError, StreamError
from engine.schemas import Schema
from engine.streams.addresses import Reach
from engine.streams.codecs import codec
from engine.streams.descriptors import Stream
from engine.streams.rows import KEY, Reject, Rows
from engine.streams.transports import Batch

FIELD = b"record"
TAKE_OVER_MS = 30_000
TIMEOUT = 5.0
# Append all entries at once: a command each, with an answer each, takes the client three times as long.
APPEND = f"""
for at = 2, #ARGV, 2 do
  if ARGV[1] == '0' then
    redis.call('XADD', KEYS[1], '*', '{KEY}', ARGV[at], '{FIELD.decode()}', ARGV[at + 1])
  else
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', '{KEY}', ARGV[at], '{FIELD.decode()}', ARGV[at + 1])
  end
end
"""


class ValkeySource:
    """One consumer of a group."""

    endless = True

    def __init__(self, stream: Stream, schema: Schema, *, secret: str, reach: Reach, take_over_ms: int = TAKE_OVER_MS):
        """Join the group, which is made when it is not there. Raises StreamError."""
        self._client = connect(stream, secret=secret, reach=reach)
        self._name, self._group = stream.location["stream"], stream.location["group"]
        self._consumer = f"{socket.gethostname()}-{os.getpid()}"
        self._batch = stream.batch
        self._decode = codec(stream.encoding, schema).decode
        self._take_over_ms = take_over_ms
        self._cursor = b"0-0"
        self._look_again = 0.0
        self._client.set_response_callback("XREADGROUP", _as_it_comes)
        with _told(), contextlib.suppress(redis.exceptions.ResponseError):  # it is there already
            self._client.xgroup_create(self._name, self._group, id="0", mkstream=True)

    def read(self) -> Batch:
        """Return entries: taken over from the dead, or new ones, or none when nothing came in time."""
        with _told():
            entries = self._left_over() or self._new()
        return decoded(entries, self._name, self._decode)

    def acknowledge(self, batch: Batch) -> None:
        """Acknowledge every entry of a batch."""
        if batch.tokens:
            with _told():
                self._client.xack(self._name, self._group, *batch.tokens)

    def close(self) -> None:
        """Close the connection; what is not acknowledged will be taken over."""
        self._client.close()

    def _left_over(self) -> list[Any]:
        """Return entries that somebody read long ago and never acknowledged, if it is time to look."""
        if time.monotonic() < self._look_again and self._cursor == b"0-0":
            return []
        found = self._client.xautoclaim(
            self._name, self._group, self._consumer, self._take_over_ms, self._cursor, count=self._batch.records
        )
        self._cursor = found[0]
        self._look_again = time.monotonic() + self._take_over_ms / 3000
        return [(number, _flat(fields)) for number, fields in found[1] if fields]

    def _new(self) -> list[Any]:
        wait = max(1, round(self._batch.seconds * 1000))
        found: Any = self._client.xreadgroup(
            self._group, self._consumer, {self._name: ">"}, count=self._batch.records, block=wait
        )
        if not found:
            return []
        return list(found[self._name.encode()] if isinstance(found, dict) else found[0][1])


class ValkeySink:
    """Appends entries to a stream; each carries its record and its key."""

    def __init__(self, stream: Stream, schema: Schema, *, secret: str, reach: Reach) -> None:
        """Connect. Raises StreamError."""
        self._client = connect(stream, secret=secret, reach=reach)
        self._name = stream.location["stream"]
        self._longest = stream.location.get("longest")
        self._encode = codec(stream.encoding, schema).encode
        self._by_script = True

    def write(self, rows: Rows) -> None:
        """Append all rows in one round trip, all or none."""
        if not len(rows):
            return
        parts = [part for pair in zip(rows.keys, map(self._encode, rows.records), strict=True) for part in pair]
        with _told():
            if self._by_script:
                try:
                    self._client.execute_command("EVAL", APPEND, 1, self._name, self._longest or 0, *parts)
                except redis.exceptions.NoPermissionError:  # to run scripts, perhaps
                    self._by_script = False
                else:
                    return
            self._transact(parts)

    def _transact(self, parts: list[Any]) -> None:
        pipe = self._client.pipeline(transaction=True)
        for key, message in zip(parts[::2], parts[1::2], strict=True):
            entry = {KEY: key, FIELD: message}
            pipe.xadd(self._name, entry, maxlen=self._longest, approximate=True)  # type: ignore[arg-type]
        pipe.execute()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def held(stream: Stream, schema: Schema, *, secret: str, reach: Reach) -> Iterator[Batch]:
    """Yield what a stream holds at this moment, outside of every group, so that nobody misses anything.

    Raises StreamError, `target_missing` among them.
    """
    client, name = connect(stream, secret=secret, reach=reach), stream.location["stream"]
    client.set_response_callback("XRANGE", _as_it_comes)
    decode = codec(stream.encoding, schema).decode
    with contextlib.closing(client), _told():
        if not client.exists(name):
            raise StreamError("target_missing", f"There is no stream {name}.", field="location.stream")
        last: Any = client.xrevrange(name, count=1)
        after = b"-"
        while last:
            entries: Any = client.xrange(name, after, last[0][0], count=stream.batch.records)
            if not entries:
                return
            yield decoded(entries, name, decode)
            after = b"(" + entries[-1][0]


def ask(stream: Stream, *, secret: str, reach: Reach) -> None:
    """Connect, sign in, and hear an answer. The stream itself is made by its first entry. Raises StreamError."""
    connect(stream, secret=secret, reach=reach).close()


def decoded(entries: list[Any], name: str, decode: Callable[[bytes], dict[str, Any]]) -> Batch:
    """Return entries, each with names and values in turn, as a batch with the rejects of those that are no record."""
    keys, records, rejects = [], [], []
    prefix = f"{name}/"
    for number, fields in entries:
        key = prefix + number.decode()
        message = fields[1] if fields[0] == FIELD else _named(fields)
        if message is None:
            words = f"The entry has no field {FIELD.decode()!r}."
            rejects.append(Reject(key, "encoding", "entry_odd", "", words, repr(fields)[:2000]))
            continue
        try:
            records.append(decode(message))
            keys.append(key)
        except RecordError as error:
            raw = message[:2000].decode(errors="backslashreplace")
            rejects.append(Reject(key, "encoding", error.code, "", error.message, raw))
    return Batch(keys, records, rejects=rejects, tokens=[number for number, _ in entries])


def _named(fields: list[bytes]) -> bytes | None:
    """Return the message among names and values; of several the last, as where they become a dictionary."""
    return dict(zip(fields[::2], fields[1::2], strict=True)).get(FIELD)


def _as_it_comes(answer: Any, **options: Any) -> Any:
    """Leave an answer be: to make each entry a dictionary takes longer than all that is done with it here."""
    return answer


def _flat(fields: Mapping[bytes, bytes]) -> list[bytes]:
    return [part for pair in fields.items() for part in pair]


def connect(stream: Stream, *, secret: str, reach: Reach) -> redis.Redis:
    """Return a client to the one address that was checked. Raises StreamError."""
    url = stream.location["url"]
    options: dict[str, Any] = {"socket_timeout": TIMEOUT + stream.batch.seconds, "socket_connect_timeout": TIMEOUT}
    if secret:
        options["password"] = secret
    client = redis.Redis.from_url(url, **options)
    settings = client.connection_pool.connection_kwargs
    if path := settings.get("path"):
        settings["path"] = reach.path(path)
    if host := settings.get("host"):
        address = reach.address(host, settings.get("port", 6379))
        if not url.startswith("rediss"):  # there the certificate holds the name to its host
            settings["host"] = address
    with _told():
        client.ping()
    return client


@contextlib.contextmanager
def _told() -> Any:
    """Tell what Valkey says in our words."""
    try:
        yield
    except redis.exceptions.AuthenticationError as error:
        raise StreamError("access_denied", f"Valkey refuses the password: {error}.", field="secret") from error
    except redis.exceptions.ResponseError as error:
        if "NOGROUP" in str(error):
            words = f"The consumer group was taken away: {error}."
            raise StreamError("group_missing", words, field="location.group") from error
        if isinstance(error, redis.exceptions.OutOfMemoryError):
            raise StreamError("target_full", f"Valkey is full: {error}.", field="location.url") from error
        raise StreamError("target_refuses", f"Valkey refuses: {error}.", field="location") from error
    except (redis.exceptions.RedisError, OSError) as error:
        raise StreamError("unreachable", f"Valkey does not answer: {error}.", field="location.url") from error
