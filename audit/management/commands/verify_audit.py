"""Prove the trail."""

import os
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audit import anchors, head_anchors, tree_verification, verification
from audit.keeping import done
from audit.models import Keeping
from audit.tree_verification import Proven, verify_tree
from audit.verification import Broken


class Command(BaseCommand):
    help = "Prove that the trail is whole, and name the first broken event if it is not."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--anchors", help="the file of anchors; by default MDLC_ANCHORS if it is there")
        parser.add_argument("--chain", help="prove this chain only, such as handoff:<id>")
        parser.add_argument("--new", action="store_true", help="prove only what was sealed since the last proof")
        parser.add_argument("--state", help="where the last proof is kept; by default beside the anchors")
        parser.add_argument("--signatures", action="store_true", help="prove every head's signature, not only the last")

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["anchors"] or settings.ANCHORS)
        state = Path(options["state"] or f"{path}.proven")
        if options["anchors"] and not path.exists():
            raise CommandError(f"There is no file {path}.")
        broken: list[Broken] = []
        if options["new"]:
            broken = self._new(state)
        elif options["chain"]:
            broken = self._anchored(path, options["chain"]) + self._chains(options["chain"])
        else:
            broken = self._all(path, state, signatures=options["signatures"])
        if not options["chain"]:  # one chain proves nothing of the others
            done(Keeping.Kind.TRAIL, whole=not broken, words=f"{len(broken)} places are broken" if broken else "")
        if broken:
            raise CommandError("\n".join(["The trail is broken.", *map(str, broken)]))
        self.stdout.write(self.style.SUCCESS("The trail is whole."))

    def _all(self, path: Path, state: Path, *, signatures: bool) -> list[Broken]:
        """Prove everything; what an anchor names was committed before the proof's instant, so anchors come first."""
        anchored = self._anchored(path, None)
        kept = _kept(state)
        tree, proven = self._tree(Proven(), signatures=signatures)
        broken = [*self._chains(None), *anchored, *tree, *self._stamps()]
        if kept.size > proven.size:
            broken.append(Broken(tree_verification.TREE, proven.size, "cut", _shrunk(kept, state)))
        if not broken:
            _keep(state, proven)
        return broken

    def _new(self, state: Path) -> list[Broken]:
        """Prove what came since the last proof, which is as much work as there is new."""
        since = _kept(state)
        if not since.size:
            self.stdout.write(f"No proof is kept at {state} yet: this one begins with the first event.")
        broken, proven = self._tree(since, signatures=False)
        found = verification.verify_between(since.size, proven.size)
        self._told(found)
        if not broken and not found.broken:
            _keep(state, proven)
        return found.broken + broken

    def _tree(self, since: Proven, *, signatures: bool) -> tuple[list[Broken], Proven]:
        found = verify_tree(since, signatures=signatures)
        rate = found.leaves / found.seconds if found.seconds else 0
        self.stdout.write(
            f"{found.leaves:,} sealed events under {found.heads:,} heads, {found.seconds:.2f} s, {rate:,.0f} events/s"
        )
        for note in found.notes:
            self.stdout.write(f"Note: {note}.")
        return found.broken, found.proven

    def _chains(self, chain: str | None) -> list[Broken]:
        found = verification.verify(chain)
        if chain and not found.chains:
            raise CommandError(f"There is no chain {chain}.")
        self._told(found)
        return found.broken

    def _told(self, found: verification.Verification) -> None:
        rate = found.events / found.seconds if found.seconds else 0
        self.stdout.write(
            f"{found.events:,} events in {found.chains:,} chains, {found.seconds:.2f} s, {rate:,.0f} events/s"
        )

    def _anchored(self, path: Path, chain: str | None) -> list[Broken]:
        if not path.exists():
            self.stdout.write("No anchors: an older database that was put back would not be found.")
            return []
        found = anchors.compare(path, chain)
        self.stdout.write(
            f"{found.heads:,} anchored events in {found.lines:,} lines, the last of {found.latest or '?'}"
        )
        for note in found.notes:
            self.stdout.write(f"Note: {path} {note}.")
        return found.broken

    def _stamps(self) -> list[Broken]:
        count, broken = head_anchors.verify_anchors()
        if count:
            self.stdout.write(f"{count:,} time stamps of heads")
        return broken


def _kept(state: Path) -> Proven:
    """Return the last proof that was kept; nothing was proven where there is no file."""
    if not state.exists():
        return Proven()
    try:
        told = orjson.loads(state.read_bytes())
        return Proven(int(told["size"]), str(told["root"]), tuple(told["peaks"]), str(told["at"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{state} cannot be read; move it away, and prove all.") from error


def _keep(state: Path, proven: Proven) -> None:
    """Write down what was proven, whole or not at all."""
    half = state.with_name(f"{state.name}.new")
    state.parent.mkdir(parents=True, exist_ok=True)
    with open(half, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(orjson.dumps(asdict(proven)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    half.replace(state)


def _shrunk(kept: Proven, state: Path) -> str:
    return f"{kept.size:,} leaves were proven at {kept.at}, as {state} says, and fewer are there"
