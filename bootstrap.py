"""Prepare .venv with the pinned requirements, then run a command in it. Standard library only.

Usage: python3 bootstrap.py [--dev] COMMAND [ARGUMENT ...]

Written so that an old Python can read it too, and say in one sentence what is wrong.
"""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this file exists to say so
    sys.stderr.write(
        "MDLC Handoff needs Python 3.11 or newer; this is %d.%d. Install a newer python3, or set PYTHON=python3.11.\n"
        % sys.version_info[:2]
    )
    sys.exit(2)

import hashlib
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(HERE, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
UV = "uv==0.13.9"


def stop(sentence):
    """End with one plain sentence."""
    sys.stderr.write(sentence + "\n")
    sys.exit(2)


def stamp_of(path):
    """Return what a set of requirements is known by: its content and the interpreter it is for."""
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read() + sys.version.encode()).hexdigest()


def run(arguments, problem):
    """Run an installer quietly; on failure tell the problem and the installer's last words."""
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stdout.strip().splitlines() if line.strip()]
        words = done.stdout.lower()
        if "no space left" in words:
            stop("The disk is full; make room (about 1.5 GB), then start again.")
        if any(sign in words for sign in ("name resolution", "connection", "network", "failed to fetch", "dns")):
            stop("No package index can be reached; connect this machine to the network, then start again.")
        stop(problem + " The installer's last words: " + (lines[-1] if lines else "none"))


def make_environment():
    """Create .venv, with a sentence for the one package that Debian leaves out."""
    if os.path.exists(PYTHON):
        return
    shutil.rmtree(VENV, ignore_errors=True)
    print("Making .venv ...", flush=True)
    try:
        import ensurepip  # noqa: F401 - Debian ships Python without it
    except ImportError:
        if os.geteuid() == 0 and shutil.which("apt-get"):
            subprocess.run(["apt-get", "update", "-q"], stdout=subprocess.DEVNULL, check=False)
            run(["apt-get", "install", "-y", "-q", "python3-venv"], "python3-venv cannot be installed.")
        else:
            stop("Python's venv module is missing; install it with: sudo apt-get install python3-venv")
    run([sys.executable, "-m", "venv", VENV], "The virtual environment cannot be made.")


def install(name):
    """Install a locked set of requirements, once."""
    path = os.path.join(HERE, name)
    stamp = os.path.join(VENV, "." + name + ".stamp")
    wanted = stamp_of(path)
    if os.path.exists(stamp):
        with open(stamp) as stream:
            if stream.read() == wanted:
                return
    print("Installing what %s lists ..." % name, flush=True)
    uv = os.path.join(VENV, "bin", "uv")
    if not os.path.exists(uv):
        run([PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check", UV], "The installer cannot be had.")
    run(
        [uv, "pip", "install", "-q", "--python", PYTHON, "--require-hashes", "-r", path],
        "The requirements cannot be installed.",
    )
    with open(stamp, "w") as stream:
        stream.write(wanted)


def main(arguments):
    """Prepare the environment, then become the command."""
    dev = arguments[:1] == ["--dev"]
    command = arguments[1:] if dev else arguments
    try:
        make_environment()
        install("requirements-dev.txt" if dev else "requirements.txt")
    except OSError as error:
        stop("The environment cannot be prepared: %s." % (error.strerror or error))
    if command:
        os.chdir(HERE)
        environment = dict(os.environ, PATH=os.path.join(VENV, "bin") + os.pathsep + os.environ.get("PATH", ""))
        sys.stdout.flush()
        os.execvpe(command[0], command, environment)


if __name__ == "__main__":
    main(sys.argv[1:])
