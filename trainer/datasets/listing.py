"""Lists a user's samples: a folder of class sub-folders, or a ``labels.csv`` beside the files."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import DataError

SPLITS = ("train", "validation", "test")
REQUIRED = ("file", "label")
KNOWN = (*REQUIRED, "group", "split")


@dataclass(frozen=True)
class Item:
    """One sample's file, label and, where given, group and split ("" otherwise)."""

    path: Path
    label: str
    group: str = ""
    split: str = ""


def list_items(place: Path) -> list[Item]:
    """The samples of a ``labels.csv`` (given itself or inside the folder), or of class sub-folders."""
    table = place if place.suffix == ".csv" else place / "labels.csv"
    if table.exists():
        return check_columns(table, read_table(table))
    if not place.is_dir():
        raise DataError(
            f"folder: found nothing at {place}, expected a folder of class sub-folders or labels.csv"
        )
    names = {child.name for child in place.iterdir() if child.is_dir()}
    if "train" in names and "test" in names and names <= set(SPLITS):
        return [item for name in sorted(names) for item in class_folders(place / name, name)]
    return class_folders(place, "")


def class_folders(place: Path, split: str) -> list[Item]:
    """One item a file of every sub-folder, whose name is the class."""
    folders = sorted(c for c in place.iterdir() if c.is_dir() and not c.name.startswith("."))
    if not folders:
        raise DataError(f"{place}: found no sub-folder, expected one for every class, or a labels.csv")
    items = []
    for folder in folders:
        files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
        if not files:
            raise DataError(f"{folder}: found an empty class folder, expected at least one file in it")
        items += [Item(file, folder.name, split=split) for file in files]
    return items


def read_table(table: Path) -> list[Item]:
    """One item a row of ``labels.csv``; file names are relative to it."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            columns = reader.fieldnames or []
            for name in REQUIRED:
                if name not in columns:
                    raise DataError(f"{table}: found columns {list(columns)}, expected one named {name!r}")
            unknown = [name for name in columns if name not in KNOWN]
            if unknown:
                raise DataError(f"{table}: found column {unknown[0]!r}, expected only {', '.join(KNOWN)}")
            return [read_row(row, table, reader.line_num) for row in reader]
    except (csv.Error, UnicodeDecodeError) as problem:
        raise DataError(f"{table}: found a malformed table ({problem}), expected UTF-8 CSV") from problem


def read_row(row: dict[str, str | None], table: Path, line: int) -> Item:
    """The item of one row."""
    values = {key: (row.get(key) or "").strip() for key in KNOWN}
    for key in REQUIRED:
        if not values[key]:
            raise DataError(f"{table}, line {line}: found no {key}, expected one in every row")
    if values["split"] not in ("", *SPLITS):
        raise DataError(
            f"{table}, line {line}: found split {values['split']!r}, expected train, validation or test"
        )
    path = table.parent / values["file"]
    if not path.is_file():
        raise DataError(f"{table}, line {line}: found no file {path}, expected the sample named there")
    return Item(path, values["label"], values["group"], values["split"])


def check_columns(table: Path, items: list[Item]) -> list[Item]:
    """``items`` where group and split are given for all rows or for none, and no file stands twice."""
    if not items:
        raise DataError(f"{table}: found no rows, expected one for every sample")
    for name in ("group", "split"):
        given = [bool(getattr(item, name)) for item in items]
        if any(given) and not all(given):
            raise DataError(
                f"{table}: found a row without {name} (sample {given.index(False) + 1}), "
                "expected it in all rows or none"
            )
    seen: set[Path] = set()
    for item in items:
        if item.path in seen:
            raise DataError(f"{table}: found {item.path.name} twice, expected every file once")
        seen.add(item.path)
    return items
