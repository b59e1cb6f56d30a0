"""suite.toml to :class:`~hilbench.records.SuiteConfig`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hilbench.config.tables import Key, check, check_name, did_you_mean, read
from hilbench.errors import ConfigError
from hilbench.records import SuiteConfig, VariantConfig, VectorsConfig

SCHEMA = 1
TOP_KEYS = {
    "suite": Key("table", required=True, example="a table [suite]"),
    "vectors": Key("table", required=True, example="a table [vectors.NAME]"),
    "variant": Key("table", required=True, example="a table [variant.NAME]"),
}
SUITE_KEYS = {
    "name": Key("string", required=True),
    "description": Key("string"),
    "sessions": Key("integer", at_least=1),
    "warm_up": Key("integer", at_least=0),
    "iterations": Key("integer", at_least=1),
}
VECTORS_KEYS = {
    "file": Key("string", required=True),
    "labels": Key("string"),
    "dtype": Key("string", allowed=("int8", "uint8", "float32")),
    "quantise": Key("string", allowed=("host", "offset128", "none")),
    "metric": Key("string", allowed=("top1", "auc", "mse", "none")),
    "golden": Key("string"),
}
VARIANT_KEYS = {
    "model": Key("string", required=True),
    "vectors": Key("string", required=True),
    "parent": Key("string"),
    "technique": Key("string"),
}


def load_suite(path: Path) -> SuiteConfig:
    """Read suite.toml; paths in it are relative to it and are returned resolved.

    Raises:
        ConfigError: absent, not TOML, anything in it unknown, missing or of a wrong type, a file
            it names absent, or a variant's vectors or parent not in it.
    """
    path = Path(path)
    document = read(path, SCHEMA, TOP_KEYS)
    check(document["suite"], SUITE_KEYS, f"{path}: [suite]")
    check_name(document["suite"]["name"], f"{path}: [suite]")
    for kind in ("vectors", "variant"):
        if not document[kind]:
            raise ConfigError(f"{path}: no {kind}; add a table [{kind}.NAME]")
    vectors = tuple(_vectors(n, t, path) for n, t in document["vectors"].items())
    variants = tuple(_variant(n, t, path) for n, t in document["variant"].items())
    _check_references(variants, vectors, path)
    return SuiteConfig(variants=variants, vectors=vectors, source=str(path), **document["suite"])


def _table(kind: str, name: str, table: Any, keys: Mapping[str, Key], path: Path) -> str:
    """Check one table; return what starts its error sentences."""
    where = f"{path}: [{kind}.{name}]"
    check_name(name, where)
    check({f"{kind}.{name}": table}, {f"{kind}.{name}": Key("table")}, f"{path}:")
    check(table, keys, where)
    return where


def _vectors(name: str, table: Any, path: Path) -> VectorsConfig:
    where = _table("vectors", name, table, VECTORS_KEYS, path)
    values = dict(table)
    for key in ("file", "labels", "golden"):
        if key in table:
            values[key] = _existing(path, table[key], f"{where} {key}", folder=key == "file")
    config = VectorsConfig(name=name, **values)
    _check_vectors(config, where)
    return config


def _check_vectors(config: VectorsConfig, where: str) -> None:
    """Check that labels and dtype belong to some kinds of file and not to others."""
    kind = "folder" if config.file.is_dir() else config.file.suffix
    if kind not in {"folder", ".npz", ".npy"}:
        raise ConfigError(
            f"{where} file is {config.file.name!r}, must be .npz with x and y, .npy, or a folder "
            f"of .bin files with y_labels.csv"
        )
    if kind == ".npy" and config.labels is None and config.metric != "none":
        raise ConfigError(
            f"{where} labels is missing: metric {config.metric!r} needs them; "
            f'add labels = "labels.csv", or metric = "none"'
        )
    if kind != ".npy" and config.labels is not None:
        place = "in y_labels.csv" if kind == "folder" else "as y in the .npz"
        raise ConfigError(f"{where} labels belongs to .npy files; here labels are {place}")
    if kind == "folder" and config.dtype is None:
        raise ConfigError(
            f'{where} dtype is missing: .bin files do not say theirs; add dtype = "int8"'
        )
    if kind != "folder" and config.dtype is not None:
        raise ConfigError(f"{where} dtype belongs to folders of .bin files; remove it")


def _variant(name: str, table: Any, path: Path) -> VariantConfig:
    where = _table("variant", name, table, VARIANT_KEYS, path)
    values = dict(table)
    values["model"] = _existing(path, table["model"], f"{where} model")
    return VariantConfig(name=name, **values)


def _existing(suite: Path, relative: str, where: str, *, folder: bool = False) -> Path:
    path = (suite.parent / relative).resolve()
    if not path.is_file() and not (folder and path.is_dir()):
        raise ConfigError(f"{where}: no file {path}; paths are relative to {suite.name}")
    return path


def _check_references(
    variants: tuple[VariantConfig, ...], vectors: tuple[VectorsConfig, ...], path: Path
) -> None:
    names = [v.name for v in variants]
    vectors_names = [v.name for v in vectors]
    parents = {v.name: v.parent for v in variants}
    for variant in variants:
        where = f"{path}: [variant.{variant.name}]"
        if variant.vectors not in vectors_names:
            raise ConfigError(_no_table(where, "vectors", variant.vectors, vectors_names))
        if variant.parent is None:
            continue
        if variant.parent not in names:
            raise ConfigError(_no_table(where, "parent", variant.parent, names))
        line: list[str] = [variant.name]
        ancestor: str | None = variant.parent
        while ancestor is not None and ancestor not in line:
            line.append(ancestor)
            ancestor = parents[ancestor]
        if ancestor == variant.name:
            chain = " -> ".join([*line, ancestor])
            raise ConfigError(f"{where} is its own ancestor: {chain}; remove one parent")


def _no_table(where: str, key: str, value: str, names: list[str]) -> str:
    kind = "vectors" if key == "vectors" else "variant"
    hint = did_you_mean(value, names)
    return f"{where} {key}: no table [{kind}.{value}]; known: {', '.join(names)}{hint}"
