"""Valkey Streams (and Redis Streams): a consumer group reads, so any number of engines share one stream.

An entry is acknowledged after the sinks have it. What a dead engine had read and not acknowledged is taken over by
another after `TAKE_OVER_MS`. See https://valkey.io/topics/streams-intro/.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
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
        return [entry for entry in found[1] if entry[1]]

    def _new(self) -> list[Any]:
        wait = max(1, round(self._batch.seconds * 1000))
        found: Any = self._client.xreadgroup(
            self._group, self._consumer, {self._name: ">"}, count=self._batch.records, block=wait
        )
        return list(found[0][1]) if found else []


class ValkeySink:
    """Appends entries to a stream; each carries its record and its key."""

    def __init__(self, stream: Stream, schema: Schema, *, secret: str, reach: Reach) -> None:
        """Connect. Raises StreamError."""
        self._client = connect(stream, secret=secret, reach=reach)
        self._name = stream.location["stream"]
        self._longest = stream.location.get("longest")
        self._encode = codec(stream.encoding, schema).encode

    def write(self, rows: Rows) -> None:
        """Append all rows in one round trip, all or none."""
        with _told():
            pipe = self._client.pipeline(transaction=True)
            for key, record in zip(rows.keys, rows.records, strict=True):
                entry = {KEY: key, FIELD: self._encode(record)}
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


def decoded(entries: list[Any], name: str, decode: Callable[[bytes], dict[str, Any]]) -> Batch:
    """Return entries as a batch of records, with the rejects of those that are none."""
    keys, records, rejects = [], [], []
    prefix = f"{name}/"
    for number, fields in entries:
        key = prefix + number.decode()
        try:
            records.append(decode(fields[FIELD]))
            keys.append(key)
        except KeyError:
            words = f"The entry has no field {FIELD.decode()!r}."
            rejects.append(Reject(key, "encoding", "entry_odd", "", words, repr(fields)[:2000]))
        except RecordError as error:
            raw = fields[FIELD][:2000].decode(errors="backslashreplace")
            rejects.append(Reject(key, "encoding", error.code, "", error.message, raw))
    return Batch(keys, records, rejects=rejects, tokens=[number for number, _ in entries])


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
        raise StreamError("target_refuses", f"Valkey refuses: {error}.", field="location") from error
    except (redis.exceptions.RedisError, OSError) as error:
        raise StreamError("unreachable", f"Valkey does not answer: {error}.", field="location.url") from error
