"""Read and write the tables of doors: a row a door, a column a role, a word a cell."""

from collections.abc import Mapping, Sequence
from pathlib import Path

FOLDER = Path(__file__).parent
Rows = dict[str, dict[str, str]]


def read(name: str) -> Rows:
    """Return the rows of a table, by the title of the door."""
    lines = (FOLDER / name).read_text().splitlines()
    roles = [one.strip() for one in lines[0].split(",")][1:]
    cells = ([cell.strip() for cell in line.split(",")] for line in lines[1:])
    return {row[0]: dict(zip(roles, row[1:], strict=True)) for row in cells}


def write(name: str, rows: Rows, roles: Sequence[str]) -> None:
    """Write a table with its columns in line, so that it can be read as it is."""
    wide = max(len(door) for door in rows)
    lines = [_line("door", wide, {role: role for role in roles}, roles)]
    lines += [_line(door, wide, words, roles) for door, words in rows.items()]
    (FOLDER / name).write_text("\n".join(lines) + "\n")


def _line(door: str, wide: int, words: Mapping[str, str], roles: Sequence[str]) -> str:
    return door.ljust(wide) + "".join(f", {words[role]:<{max(5, len(role))}}" for role in roles).rstrip()


def differences(told: Rows, table: Rows) -> list[str]:
    """Return in words where what was told is not what the table says."""
    found = [f"{door}: has no row" for door in told if door not in table]
    found += [f"{door}: is no door any more" for door in table if door not in told]
    for door in told.keys() & table.keys():
        for role, word in told[door].items():
            if word != table[door].get(role):
                found.append(f"{door}: {role} is told {word}, not {table[door].get(role)}")
    return sorted(found)
