"""Check what the product is made of, write it down, or ask whether it is known to be weak.

Usage: python -m supply check | bill | advisories
"""

import sys

from supply import advisories, bill, installs, licences, locks, record
from supply.errors import Wrong


def check() -> list[str]:
    """Return what is wrong with the parts, as far as it can be known without a network."""
    locked, known = locks.read(), record.known()
    if wrong := record.gaps(locked, known):
        return wrong
    terms = licences.terms()
    wrong = [words for one in known.values() if (words := terms.refuses(one.name, one.licence))]
    wrong += installs.unlocked()
    return wrong or bill.faults(bill.FILE.read_text() if bill.FILE.exists() else "", bill.text(locked, known))


def write() -> list[str]:
    """Record what is locked, and write the bill of materials; return what is wrong with the parts."""
    locked = locks.read()
    record.write(locked, licences.terms())
    bill.FILE.write_text(bill.text(locked, record.known()))
    return check()


def tell_advisories() -> int:
    """Ask for known weaknesses; return 0 only where every locked package was asked for, and none is weak."""
    found = advisories.outcome(locks.read())
    for words in found.weak:
        print(f"WEAK  {words}")
    if found.silent:
        named = ", ".join(found.silent[:5]) + (" ..." if len(found.silent) > 5 else "")
        print(f"NOT ASKED  {len(found.silent)} packages ({named}): no service answers. This proves nothing of them.")
    if found.code == 0:
        print("Every locked package was asked for, and none is known to be weak.")
    return found.code


def main(arguments: list[str]) -> int:
    """Do what is asked for."""
    try:
        match arguments:
            case ["advisories"]:
                return tell_advisories()
            case ["check"]:
                wrong = check()
            case ["bill"]:
                wrong = write()
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except Wrong as error:
        wrong = [str(error)]
    for words in wrong:
        print(words, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
