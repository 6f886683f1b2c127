"""Kafka, by confluent-kafka (librdkafka), in batches: a consumer group in, an idempotent producer out.

Offsets are committed after the sinks have the records; a group member that dies hands its partitions to the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from engine.errors import RecordError, StreamError
from engine.schemas import Schema
from engine.streams.addresses import Reach
from engine.streams.codecs import codec
from engine.streams.descriptors import Stream
from engine.streams.rows import KEY, Reject, Rows
from engine.streams.transports import Batch

TIMEOUT = 10.0
DENIED = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError._AUTHENTICATION}


class KafkaSource:
    """One member of a consumer group."""

    endless = True

    def __init__(self, stream: Stream, schema: Schema, *, secret: str, reach: Reach) -> None:
        """Join the group. Raises StreamError."""
        self._topic = stream.location["topic"]
        self._batch = stream.batch
        self._decode = codec(stream.encoding, schema).decode
        self._consumer = Consumer(
            settings(stream, secret=secret, reach=reach)
            | {
                "group.id": stream.location["group"],
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
            }
        )
        _partitions(self._consumer, self._topic)
        self._consumer.subscribe([self._topic])

    def read(self) -> Batch:
        """Return messages, or none when nothing came in time."""
        try:
            messages = self._consumer.consume(self._batch.records, timeout=max(self._batch.seconds, 0.01))
        except KafkaException as error:
            raise _told(error) from error
        return decoded(messages, self._topic, self._decode)

    def acknowledge(self, batch: Batch) -> None:
        """Commit the offsets behind a batch."""
        if batch.tokens:
            places = [TopicPartition(self._topic, partition, offset) for partition, offset in batch.tokens.items()]
            try:
                self._consumer.commit(offsets=places, asynchronous=False)
            except KafkaException as error:
                raise _told(error) from error

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()


class KafkaSink:
    """Produces one message a record, its key as the message's key."""

    def __init__(self, stream: Stream, schema: Schema, *, secret: str, reach: Reach) -> None:
        """Make a producer. Raises StreamError."""
        self._topic = stream.location["topic"]
        self._encode = codec(stream.encoding, schema).encode
        own = {"enable.idempotence": True, "delivery.timeout.ms": round(TIMEOUT * 1000), "linger.ms": 5}
        self._producer = Producer(settings(stream, secret=secret, reach=reach) | own)

    def write(self, rows: Rows) -> None:
        """Produce all rows and wait until the broker has them."""
        failures: list[KafkaError] = []

        def told(error: KafkaError | None, message: Any) -> None:
            if error is not None:
                failures.append(error)

        for key, record in zip(rows.keys, rows.records, strict=True):
            self._produce(self._encode(record), key.encode(), told)
        left = self._producer.flush(TIMEOUT + 5)
        if failures:
            raise _told(KafkaException(failures[0]))
        if left:
            raise StreamError("unreachable", f"Kafka has not taken {left} messages in time.", field="location.servers")

    def close(self) -> None:
        """Wait for what is under way."""
        self._producer.flush(1)

    def _produce(self, value: bytes, key: bytes, told: Any) -> None:
        headers: Any = [(KEY, key)]
        while True:
            try:
                self._producer.produce(self._topic, value, key=key, headers=headers, on_delivery=told)
            except BufferError:  # librdkafka's queue is full: let it send
                self._producer.poll(0.1)
            else:
                return


def held(stream: Stream, schema: Schema, *, secret: str, reach: Reach) -> Iterator[Batch]:
    """Yield what a topic holds at this moment, partition by partition; no group is joined, and nothing committed.

    Raises StreamError.
    """
    topic, decode = stream.location["topic"], codec(stream.encoding, schema).decode
    own = {"group.id": "mdlc-replay", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer(settings(stream, secret=secret, reach=reach) | own)
    try:
        for partition in _partitions(consumer, topic):
            yield from _held(consumer, TopicPartition(topic, partition), stream.batch.records, decode)
    except KafkaException as error:
        raise _told(error) from error
    finally:
        consumer.close()


def _held(
    consumer: Consumer, place: TopicPartition, at_once: int, decode: Callable[[bytes], dict[str, Any]]
) -> Iterator[Batch]:
    """Yield what one partition holds up to the end that the first answer tells."""
    start, _ = consumer.get_watermark_offsets(place, timeout=TIMEOUT)
    consumer.assign([TopicPartition(place.topic, place.partition, start)])
    messages = consumer.consume(1, timeout=TIMEOUT)
    end = consumer.get_watermark_offsets(place, cached=True)[1]
    heard = time.monotonic()
    while True:
        inside = [one for one in messages if not _is_end(one) and (one.offset() or 0) < end]
        if inside:
            yield decoded(inside, place.topic, decode)
            heard = time.monotonic()
        if any(_is_end(one) or (one.offset() or 0) >= end - 1 for one in messages):
            return
        if time.monotonic() - heard > TIMEOUT:
            raise StreamError("unreachable", f"Kafka gives no more of {place.topic}.", field="location.servers")
        left = end - 1 - (inside[-1].offset() or 0) if inside else at_once
        messages = consumer.consume(min(at_once, left), timeout=1.0)


def _is_end(message: Message) -> bool:
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF


def ask(stream: Stream, *, secret: str, reach: Reach) -> None:
    """Ask the brokers for a source's topic; a sink's may be made by its first message. Raises StreamError."""
    consumer = Consumer(settings(stream, secret=secret, reach=reach) | {"group.id": "mdlc-reachability"})
    try:
        if stream.direction == "in":
            _partitions(consumer, stream.location["topic"])
        else:
            consumer.list_topics(timeout=TIMEOUT)
    except KafkaException as error:
        raise _told(error) from error
    finally:
        consumer.close()


def decoded(messages: list[Message], topic: str, decode: Callable[[bytes], dict[str, Any]]) -> Batch:
    """Return messages as a batch of records, with the rejects of those that are none. Raises StreamError."""
    keys, records, rejects = [], [], []
    ends: dict[int, int] = {}
    for message in messages:
        if (error := message.error()) is not None:
            raise _told(KafkaException(error))
        partition, offset = message.partition() or 0, message.offset() or 0
        ends[partition] = offset + 1
        key = f"{topic}/{partition}/{offset}"
        try:
            records.append(decode(message.value() or b""))
            keys.append(key)
        except RecordError as odd:
            raw = (message.value() or b"")[:2000].decode(errors="backslashreplace")
            rejects.append(Reject(key, "encoding", odd.code, "", odd.message, raw))
    return Batch(keys, records, rejects=rejects, tokens=ends)


def _partitions(consumer: Consumer, topic: str) -> list[int]:
    """Return a topic's partitions. Raises StreamError `target_missing` or `unreachable`."""
    try:
        known = consumer.list_topics(topic, timeout=TIMEOUT).topics[topic]
    except KafkaException as error:
        raise _told(error) from error
    if known.error is not None:
        raise StreamError("target_missing", f"Kafka knows no topic {topic}.", field="location.topic")
    return sorted(known.partitions)


def settings(stream: Stream, *, secret: str, reach: Reach) -> dict[str, Any]:
    """Return librdkafka's settings. Every server's address is checked; a secret is user:password of SASL/PLAIN."""
    for server in stream.location["servers"]:
        host, _, port = server.rpartition(":")
        reach.address(host.strip("[]"), int(port))
    found: dict[str, Any] = {
        "bootstrap.servers": ",".join(stream.location["servers"]),
        "socket.timeout.ms": round(TIMEOUT * 1000),
        "log_level": 0,
    }
    if secret:
        user, _, password = secret.partition(":")
        found |= {
            "security.protocol": "sasl_ssl",
            "sasl.mechanism": "PLAIN",
            "sasl.username": user,
            "sasl.password": password,
        }
    return found


def _told(error: KafkaException) -> StreamError:
    """Tell what Kafka says in our words."""
    reason: KafkaError = error.args[0]
    if reason.code() in DENIED:
        return StreamError("access_denied", f"Kafka refuses access: {reason.str()}.", field="secret")
    if reason.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        return StreamError("target_missing", f"Kafka knows no such topic: {reason.str()}.", field="location.topic")
    return StreamError("unreachable", f"Kafka does not answer: {reason.str()}.", field="location.servers")
