"""How far streams may reach: a host is resolved once, checked, and connected to by the address that was checked.

Addresses of the link (169.254.0.0/16, fe80::/10), where clouds serve the machine's own credentials, are never allowed;
private ones (RFC 1918, RFC 4193, loopback) where the environment's policy says so; paths below named folders only.
"""

import ipaddress
import os
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from engine.errors import StreamError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# What clouds use for it outside of the link's own range.
METADATA = frozenset(ipaddress.ip_address(one) for one in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192"))
WHERE = "location.url"


@dataclass(frozen=True, slots=True)
class Reach:
    """What the streams of one environment may reach: private addresses or not, and the folders of the machine's own."""

    private: bool = False
    folders: tuple[str, ...] = ()

    def check(self, url: str) -> None:
        """Refuse a URL that names something forbidden outright, without asking any name server: for saving it.

        Raises StreamError `address_forbidden`.
        """
        host = urlsplit(url).hostname or ""
        try:
            found = ipaddress.ip_address(socket.inet_ntoa(socket.inet_aton(host)) if _is_odd_ipv4(host) else host)
        except (OSError, ValueError):
            if host != "localhost" and not host.endswith(".localhost"):
                return
            found = ipaddress.ip_address("127.0.0.1")
        self._check(found, host)

    def address(self, host: str, port: int) -> str:
        """Return one address of a host, all of whose addresses are allowed; connect to that, and not to the name.

        Raises StreamError `address_unknown` or `address_forbidden`.
        """
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise StreamError("address_unknown", f"{host} has no address; check the name.", field=WHERE) from error
        found = [str(row[4][0]).partition("%")[0] for row in rows]
        for one in found:
            self._check(ipaddress.ip_address(one), host)
        return found[0]

    def path(self, path: str) -> str:
        """Return a path of this machine with its links followed. Raises StreamError `path_forbidden`."""
        real = os.path.realpath(path)
        if not any(
            os.path.commonpath([real, os.path.realpath(folder)]) == os.path.realpath(folder) for folder in self.folders
        ):
            raise StreamError(
                "path_forbidden", f"{path} lies outside the folders that this engine opens to streams.", field=WHERE
            )
        return real

    def _check(self, address: Address, host: str) -> None:
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or address.sixtofour or address
        if address in METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
            raise StreamError("address_forbidden", f"{host} is an address that no stream may reach.", field=WHERE)
        if not self.private and not address.is_global:
            raise StreamError(
                "address_forbidden",
                f"{host} is a private address, which this environment's policy forbids; ask its owner.",
                field=WHERE,
            )


def _is_odd_ipv4(host: str) -> bool:
    """Tell whether a host is an IPv4 address in a form that only C reads: 127.1, 0x7f000001, 2130706433."""
    return host[:1].isdigit() and all(character in "0123456789abcdefx." for character in host.lower())
