"""Addresses and secrets of streams: what may be reached, and what is never told."""

import socket
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StreamError
from engine.streams import secrets
from engine.streams.addresses import Reach


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fd00:ec2::254]/",
        "http://[fe80::1]/",
        "http://100.100.100.200/",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://169.254.43518/",
        "http://0251.0376.0251.0376/",
    ],
)
@pytest.mark.parametrize("private", [True, False])
def test_no_stream_reaches_the_machines_own_metadata(url: str, private: bool) -> None:
    with pytest.raises(StreamError) as refusal:
        Reach(private=private).check(url)
    assert (refusal.value.code, refusal.value.field) == ("address_forbidden", "location.url")


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://127.1/", "http://localhost:6379/", "http://db.localhost/", "http://10.1.2.3/",
     "http://192.168.0.9/", "http://172.16.0.1/", "http://[::1]/", "http://[fd12::1]/", "http://[::ffff:10.0.0.1]/"],
)  # fmt: skip
def test_private_addresses_are_reached_where_the_policy_says_so(url: str) -> None:
    Reach(private=True).check(url)
    with pytest.raises(StreamError) as refusal:
        Reach(private=False).check(url)
    assert refusal.value.code == "address_forbidden"


def test_names_and_public_addresses_are_left_to_the_connection() -> None:
    Reach(private=False).check("https://app.example/scores")
    Reach(private=False).check("https://1.1.1.1/")
    Reach(private=False).check("redis://deadbeef.example:6379/0")


def test_a_name_with_one_forbidden_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(host: str, port: int, **_: Any) -> list[Any]:  # the name server is the outside world here
        found = {"two.example": ["93.184.216.34", "10.0.0.1"], "meta.example": ["169.254.169.254"]}[host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(socket, "getaddrinfo", answers)
    assert Reach(private=True).address("two.example", 443) == "93.184.216.34"
    for host, private in (("two.example", False), ("meta.example", True)):
        with pytest.raises(StreamError, match=host) as refusal:
            Reach(private=private).address(host, 443)
        assert refusal.value.code == "address_forbidden"


def test_a_name_without_an_address_is_told() -> None:
    with pytest.raises(StreamError) as refusal:
        Reach(private=True).address("nowhere.invalid", 443)
    assert refusal.value.code == "address_unknown"


def test_secrets_come_from_the_environment_or_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "DB_PASSWORD").write_text("from the file\n")
    monkeypatch.setenv("MDLC_SECRETS_DIR", str(tmp_path))
    assert secrets.resolve("DB_PASSWORD") == "from the file"
    monkeypatch.setenv("MDLC_SECRET_DB_PASSWORD", "from the environment")
    assert secrets.resolve("DB_PASSWORD") == "from the environment"
    assert secrets.present("DB_PASSWORD")
    assert not secrets.present("OTHER")


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "lower", "", "A" * 101])
def test_no_name_of_a_secret_leads_anywhere_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_text("a file of somebody else")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "lower").write_text("no secret's name")
    monkeypatch.setenv("MDLC_SECRETS_DIR", str(tmp_path / "secrets"))
    assert not secrets.present(name)


def test_a_missing_secret_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MDLC_SECRETS_DIR", str(tmp_path))
    with pytest.raises(StreamError, match="MDLC_SECRET_DB_PASSWORD") as refusal:
        secrets.resolve("DB_PASSWORD")
    assert refusal.value.code == "secret_missing"
    (tmp_path / "DB_PASSWORD").write_bytes(b"\xff" * 10)
    with pytest.raises(StreamError) as refusal:
        secrets.resolve("DB_PASSWORD")
    assert refusal.value.code == "secret_unreadable"
    assert "\\xff" not in str(refusal.value)


def test_paths_stay_below_the_folders_that_are_open(tmp_path: Path) -> None:
    inside, outside = tmp_path / "open", tmp_path / "open-not"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    reach = Reach(folders=(str(inside),))
    assert reach.path(f"{inside}/a/b.csv") == f"{inside}/a/b.csv"
    for path in (f"{outside}/b.csv", f"{inside}/link/b.csv", f"{inside}/../x", "/etc/passwd", "relative"):
        with pytest.raises(StreamError) as refusal:
            reach.path(path)
        assert refusal.value.code == "path_forbidden"
    with pytest.raises(StreamError):
        Reach().path(f"{inside}/b.csv")
