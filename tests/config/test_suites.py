"""suite.toml: what loads, and the sentence for everything that does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hilbench.config import load_suite, suite_template
from hilbench.config.suite import SUITE_KEYS, VARIANT_KEYS, VECTORS_KEYS
from hilbench.errors import EXIT_USAGE, ConfigError

ROOT = Path(__file__).resolve().parents[2]
SUITE = 'schema = 1\n[suite]\nname = "s"\n'
VECTORS = '[vectors.v]\nfile = "v.npz"\n'
VARIANT = '[variant.a]\nmodel = "a.tflite"\nvectors = "v"\n'
WHOLE = SUITE + VECTORS + VARIANT


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("v.npz", "v.npy", "labels.csv", "g.npz", "v.txt", "a.tflite", "b.tflite"):
        (tmp_path / name).touch()
    (tmp_path / "bins").mkdir()
    return tmp_path


def load(text: str):
    Path("suite.toml").write_text(text, encoding="utf-8")
    return load_suite(Path("suite.toml"))


def sentence(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert caught.value.exit_code == EXIT_USAGE
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_defaults_are_those_of_the_records(folder):
    suite = load(WHOLE)
    assert (suite.sessions, suite.warm_up, suite.iterations) == (3, 1, 10)
    assert suite.variants[0].model == folder / "a.tflite"
    assert suite.variants[0].parent is None
    assert (suite.vectors[0].metric, suite.vectors[0].quantise) == ("top1", "host")
    assert suite.source == "suite.toml"


def test_paths_are_relative_to_the_suite_not_to_the_shell(folder, monkeypatch, tmp_path_factory):
    (folder / "suite.toml").write_text(WHOLE)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert load_suite(folder / "suite.toml").vectors[0].file == folder / "v.npz"


def test_every_key_arrives(folder):
    suite = load(
        'schema = 1\n[suite]\nname = "s"\ndescription = "d"\nsessions = 5\nwarm_up = 0\n'
        'iterations = 7\n[vectors.v]\nfile = "v.npy"\nlabels = "labels.csv"\nquantise = "none"\n'
        'metric = "auc"\ngolden = "g.npz"\n[vectors.w]\nfile = "bins"\ndtype = "uint8"\n'
        + VARIANT
        + '[variant.b]\nmodel = "b.tflite"\nvectors = "w"\nparent = "a"\ntechnique = "t"\n'
    )
    assert (suite.description, suite.sessions, suite.warm_up, suite.iterations) == ("d", 5, 0, 7)
    v, w = suite.vectors
    assert (v.labels, v.golden) == (folder / "labels.csv", folder / "g.npz")
    assert (v.quantise, v.metric, w.dtype) == ("none", "auc", "uint8")
    b = suite.variants[1]
    assert (b.parent, b.technique, b.vectors) == ("a", "t", "w")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("schema = 1\n" + VECTORS + VARIANT, "suite.toml: suite is missing; add a table [suite]"),
        ("schema = 9\n[suite]\n[vectors]\n[variant]", "suite.toml: schema is 9, this hilbench reads schema 1"),
        (SUITE + "[vectors]\n" + VARIANT, "suite.toml: no vectors; add a table [vectors.NAME]"),
        (SUITE + VECTORS + "[variant]", "suite.toml: no variant; add a table [variant.NAME]"),
        (WHOLE.replace('name = "s"', "name = 3"), 'suite.toml: [suite] name must be a string, is 3; quote it: "3"'),
        (WHOLE.replace('name = "s"', 'name = "../s"'), "suite.toml: [suite] name '../s' may hold letters, digits, '_', '-' and '.' only; rename it"),
        (WHOLE.replace('name = "s"', 'name = "s"\nsessions = 0'), "suite.toml: [suite] sessions is 0, must be at least 1"),
        (WHOLE.replace('name = "s"', 'name = "s"\nwarm_up = -1'), "suite.toml: [suite] warm_up is -1, must be at least 0"),
        (WHOLE.replace('name = "s"', 'name = "s"\niterations = 1.5'), "suite.toml: [suite] iterations must be an integer, is 1.5"),
        (WHOLE.replace('name = "s"', 'name = "s"\nwarmup = 1'), "suite.toml: [suite] unknown key 'warmup'; known: name, description, sessions, warm_up, iterations (did you mean 'warm_up'?)"),
        (WHOLE + 'modle = "x"', "suite.toml: [variant.a] unknown key 'modle'; known: model, vectors, parent, technique (did you mean 'model'?)"),
        (SUITE + VECTORS + '[variant.a]\nvectors = "v"', 'suite.toml: [variant.a] model is missing; add model = "…"'),
        (SUITE + VECTORS + "[variant]\na = 3", "suite.toml: variant.a must be a table, is 3"),
        (SUITE + '[vectors.v]\nfile = "v.npz"\nmetric = "top5"\n' + VARIANT, "suite.toml: [vectors.v] metric is 'top5', must be one of 'top1', 'auc', 'mse', 'none' (did you mean 'top1'?)"),
        (SUITE + '[vectors.v]\nfile = "v.npz"\nquantise = "device"\n' + VARIANT, "suite.toml: [vectors.v] quantise is 'device', must be one of 'host', 'offset128', 'none'"),
        (SUITE + '[vectors.v]\nfile = "v.txt"\n' + VARIANT, "suite.toml: [vectors.v] file is 'v.txt', must be .npz with x and y, .npy, or a folder of .bin files with y_labels.csv"),
        (SUITE + '[vectors.v]\nfile = "v.npy"\n' + VARIANT, "suite.toml: [vectors.v] labels is missing: metric 'top1' needs them; add labels = \"labels.csv\", or metric = \"none\""),
        (SUITE + '[vectors.v]\nfile = "v.npz"\nlabels = "labels.csv"\n' + VARIANT, "suite.toml: [vectors.v] labels belongs to .npy files; here labels are as y in the .npz"),
        (SUITE + '[vectors.v]\nfile = "bins"\ndtype = "int8"\nlabels = "labels.csv"\n' + VARIANT, "suite.toml: [vectors.v] labels belongs to .npy files; here labels are in y_labels.csv"),
        (SUITE + '[vectors.v]\nfile = "bins"\n' + VARIANT, 'suite.toml: [vectors.v] dtype is missing: .bin files do not say theirs; add dtype = "int8"'),
        (SUITE + '[vectors.v]\nfile = "v.npz"\ndtype = "int8"\n' + VARIANT, "suite.toml: [vectors.v] dtype belongs to folders of .bin files; remove it"),
        (WHOLE.replace('"v"', '"w"'), "suite.toml: [variant.a] vectors: no table [vectors.w]; known: v"),
        (WHOLE + 'parent = "aa"', "suite.toml: [variant.a] parent: no table [variant.aa]; known: a (did you mean 'a'?)"),
        (WHOLE + 'parent = "a"', "suite.toml: [variant.a] is its own ancestor: a -> a; remove one parent"),
        (WHOLE + 'parent = "b"\n' + VARIANT.replace("variant.a", "variant.b") + 'parent = "a"', "suite.toml: [variant.a] is its own ancestor: a -> b -> a; remove one parent"),
    ],
)  # fmt: skip
def test_sentence(folder, text, expected):
    assert sentence(text) == expected


@pytest.mark.parametrize(
    ("text", "where", "file"),
    [
        (WHOLE.replace("a.tflite", "no.tflite"), "[variant.a] model", "no.tflite"),
        (WHOLE.replace("a.tflite", "bins"), "[variant.a] model", "bins"),
        (WHOLE.replace("v.npz", "no.npz"), "[vectors.v] file", "no.npz"),
        (SUITE + VECTORS + 'golden = "no.npz"\n' + VARIANT, "[vectors.v] golden", "no.npz"),
        (SUITE + '[vectors.v]\nfile = "v.npy"\nlabels = "no.csv"\n' + VARIANT, "[vectors.v] labels", "no.csv"),
    ],
)  # fmt: skip
def test_absent_file_is_named_with_its_table(folder, text, where, file):
    assert sentence(text) == (
        f"suite.toml: {where}: no file {folder / file}; paths are relative to suite.toml"
    )


def test_zoo_suite_loads():
    suite = load_suite(ROOT / "hilbench" / "zoo" / "digits" / "suite.toml")
    assert len(suite.variants) == 7
    assert {v.vectors for v in suite.variants} == {"digits"}


def test_template_loads_once_the_files_are_there(folder):
    for name in ("vectors.npz", "model_fp32.tflite", "model_int8.tflite"):
        (folder / name).touch()
    suite = load(suite_template())
    assert [v.name for v in suite.variants] == ["fp32", "int8"]


def test_template_shows_every_key():
    text = re.sub(r"^# (?=[a-z_]+ = )", "", suite_template(), flags=re.MULTILINE)
    keys = (*SUITE_KEYS, *VECTORS_KEYS, *VARIANT_KEYS)
    assert [k for k in keys if not re.search(rf"^{k} = ", text, re.MULTILINE)] == []


def test_the_manual_explains_every_key():
    manual = (ROOT / "docs" / "suite.md").read_text(encoding="utf-8")
    keys = (*SUITE_KEYS, *VECTORS_KEYS, *VARIANT_KEYS)
    assert [k for k in keys if f"`{k}`" not in manual] == []
