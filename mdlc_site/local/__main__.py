"""Entry: `python -m mdlc_site.local demo`, or `... with-servers COMMAND` to run a command beside fresh servers."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from mdlc_site.local.demo import demo
from mdlc_site.local.installation import SIGNING_KEY, environment, ports, secrets_of
from mdlc_site.local.servers import Servers
from mdlc_site.local.trouble import Trouble, in_words

GIVEN = ("SITE_URL", "ALLOWED_HOSTS", "DEBUG")


def with_servers(command: list[str]) -> int:
    """Run a command with the settings of an installation whose servers live only as long as the command."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    home = Path(tempfile.mkdtemp(prefix="mdlc-home-"))
    servers = Servers(home, fast=True)
    try:
        settings = {"LOG_LEVEL": "WARNING"} | environment(home, servers.start(), ports())
        settings |= {SIGNING_KEY: secrets_of(home)[SIGNING_KEY]}
        settings |= {name: os.environ[name] for name in GIVEN if name in os.environ}
        return subprocess.run(command, env=settings, check=False).returncode
    finally:
        servers.stop()
        shutil.rmtree(home, ignore_errors=True)


def main(arguments: list[str]) -> int:
    """Do what the command line asks, and tell trouble in one sentence."""
    try:
        if arguments == ["demo"]:
            return demo(serve=os.environ.get("SERVE", "1") not in ("0", "false", "no"))
        if arguments[:1] == ["with-servers"] and len(arguments) > 1:
            return with_servers(arguments[1:])
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        return 2
    except OSError as error:
        print(in_words(error), file=sys.stderr)
        return 2
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
