"""Prepare .venv with the pinned requirements, then run a command in it. Standard library only.

Usage: python3 bootstrap.py [--dev] [COMMAND [ARGUMENT ...]]

Every Python can read this file, also one that is too old, so that it can say in one sentence what is wrong.
"""

import os
import sys

if not (3, 11) <= sys.version_info[:2] < (3, 15):
    sys.stderr.write(
        "MDLC Handoff needs Python 3.11 or newer (up to 3.14), and this is Python %d.%d: "
        "install one, then name it, for example: make demo PYTHON=python3.11\n" % sys.version_info[:2]
    )
    sys.exit(2)

import errno
import fcntl
import hashlib
import importlib.util
import json
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(HERE, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, "installed.json")
INSTALLER, RUNTIME, DEVELOPMENT = "requirements-uv.txt", "requirements.txt", "requirements-dev.txt"
ROOM = 1600 * 2**20  # bytes that a complete .venv takes

FULL = "The disk is full: .venv needs about 1.5 GB; make room, then start again."
UNREACHABLE = "No package index answers, which the first start needs: connect to the network, then start again."
NO_VENV = "Python's venv module is missing: install it with `sudo apt-get install python3-venv`, then start again."
SIGNS_OF_FULL = ("no space left", "os error 28", "errno 28", "disk quota")
SIGNS_OF_NO_NETWORK = (
    "dns error",
    "name resolution",
    "error sending request",
    "failed to fetch",
    "connection",
    "network is unreachable",
    "timed out",
    "from versions: none",  # what pip says of an index that does not answer
)


class Failed(Exception):
    """Hold what an installer said before it gave up."""


def main(arguments):
    """Prepare the environment, then become the command."""
    development = arguments[:1] == ["--dev"]
    command = arguments[1:] if development else arguments
    try:
        prepare(development)
    except Failed as failure:
        stop(sentence_for(str(failure)))
    except KeyboardInterrupt:
        stop("Stopped while preparing .venv; the next start goes on from there.")
    except OSError as error:
        stop(FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else "%s cannot be prepared: %s." % (VENV, error))
    if command:
        become(command)


def stop(sentence):
    """End with one plain sentence."""
    sys.stderr.write(sentence + "\n")
    sys.exit(2)


def say(words):
    """Tell at once what goes on."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def prepare(development):
    """Bring .venv up to date, one process at a time; do nothing when it is."""
    folder = os.open(HERE, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        wanted = {name: digest_of(name) for name in ((RUNTIME, DEVELOPMENT) if development else (RUNTIME,))}
        found = installed()
        if all(found.get(name) == digest for name, digest in wanted.items()):
            return
        if found.get("place") != VENV:
            make_environment()
        install(DEVELOPMENT if development else RUNTIME)
        with open(STAMP, "w") as stream:
            json.dump(dict(wanted, place=VENV), stream)
    finally:
        os.close(folder)


def digest_of(name):
    """Return the SHA-256 of a file of requirements."""
    with open(os.path.join(HERE, name), "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def installed():
    """Return what .venv was last brought up to, and the place it was made for; nothing when it cannot be used."""
    try:
        with open(STAMP) as stream:
            return json.load(stream) if os.path.exists(PYTHON) else {}
    except (OSError, ValueError):
        return {}


def make_environment():
    """Make .venv anew, unless one is there that a Python of ours can go on with."""
    if works():
        return
    if shutil.disk_usage(HERE).free < ROOM:
        stop(FULL)
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        install_venv_module()
    say("Making .venv ...")
    shutil.rmtree(VENV, ignore_errors=True)
    run([sys.executable, "-m", "venv", VENV])


def works():
    """Tell whether .venv holds a supported Python with pip, and was made in this place."""
    pip = os.path.join(VENV, "bin", "pip")
    try:
        with open(pip) as stream:
            made_here = stream.readline().strip() in ("#!" + PYTHON, "#!" + PYTHON + "3")
        question = "import sys, pip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))"
        return made_here and subprocess.call([PYTHON, "-c", question], stderr=subprocess.DEVNULL) == 0
    except (OSError, UnicodeDecodeError):
        return False


def install_venv_module():
    """Install the one package that Debian leaves out of Python; only root can."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        stop(NO_VENV)
    say("Installing python3-venv ...")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-y", "-q", "python3-venv"]):
        if subprocess.call(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            stop(NO_VENV)


def install(name):
    """Install a locked set of requirements with uv, or with pip where only pip knows the way to an index."""
    say("Installing what %s lists ..." % name)
    if os.path.exists(STAMP):
        os.remove(STAMP)
    quiet = ["-q", "--require-hashes", "-r"]
    pip = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check"]
    run(pip + quiet + [os.path.join(HERE, INSTALLER)])
    try:
        run(
            [os.path.join(VENV, "bin", "uv"), "pip", "install", "--python", PYTHON] + quiet + [os.path.join(HERE, name)]
        )
    except Failed as failure:
        if sentence_for(str(failure)) != UNREACHABLE:
            raise
        say("uv reaches no index; trying pip, which takes longer ...")
        run(pip + quiet + [os.path.join(HERE, name)])


def run(arguments):
    """Run an installer, with whatever settings for an index its user has made. Raises Failed with its words."""
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise Failed(done.stdout.decode("utf-8", "replace"))


def sentence_for(words):
    """Return what a person should do about an installer's words."""
    lower = words.lower()
    if any(sign in lower for sign in SIGNS_OF_FULL):
        return FULL
    if any(sign in lower for sign in SIGNS_OF_NO_NETWORK):
        return UNREACHABLE
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return "The requirements cannot be installed; the installer's last words: " + " ".join(lines[-3:])


def become(command):
    """Replace this process by the command, with .venv first on the path."""
    os.chdir(HERE)
    path = os.path.join(VENV, "bin") + os.pathsep + os.environ.get("PATH", os.defpath)
    os.environ.update(PATH=path, VIRTUAL_ENV=VENV)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        stop("%s cannot be run: %s." % (command[0], error.strerror))


if __name__ == "__main__":
    main(sys.argv[1:])
