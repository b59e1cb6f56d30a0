#!/bin/sh
# The wheel in a clean environment outside the checkout, with no compiler of ours on the path:
# the native board with nothing but pip, and a Cortex-M board where QEMU is found.
set -eu
wheel=$(ls -t dist/hilbench-*.whl | head -n 1)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet "$wheel"
# Only what a plain machine has: no arm-none-eabi-gcc, no make, no checkout.
mkdir "$folder/path" "$folder/empty"
for tool in sh env setpriv uname git; do
    ln -s "$(command -v $tool)" "$folder/path/$tool"
done
cd "$folder"

echo "== native board, no QEMU on the path"
PATH="$folder/path" venv/bin/hilbench demo --vectors 20 --results native >log
cat log
grep -q "not benched: m3, m4, m33, m55; .*apt-get install qemu-system-arm" log

echo "== Cortex-M4 on QEMU"
ln -s "$(command -v qemu-system-arm)" "$folder/path/qemu-system-arm"
PATH="$folder/path" venv/bin/hilbench demo --board m4 --vectors 20 --results m4

PATH="$folder/path" venv/bin/python - <<'PY'
import pathlib

import hilbench

for board in ("native", "m4"):
    (folder,) = pathlib.Path(board).iterdir()
    frame = hilbench.load(folder)
    assert set(frame["board"]) == {board}, frame
    assert len(frame) == 7, frame
    assert (frame["error"] == "").all(), frame["error"]
    assert frame["accuracy"].notna().all(), frame
    assert (frame["agreement_tflm"].dropna() == 1.0).all(), frame
    assert frame["agreement_tflm"].notna().sum() == 6, frame
PY
echo "1 passed, 0 failed"
