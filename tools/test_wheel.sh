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
    found=$(command -v $tool) && ln -s "$found" "$folder/path/$tool"
done
cd "$folder"

echo "== native board, no QEMU on the path"
PATH="$folder/path" venv/bin/hilbench demo --vectors 20 --results out | tee log
grep -q "apt-get install qemu-system-arm" log
grep -q "native" log

if qemu=$(command -v qemu-system-arm); then
    ln -s "$qemu" "$folder/path/qemu-system-arm"
    echo "== Cortex-M4 on QEMU"
    PATH="$folder/path" venv/bin/hilbench demo --board m4 --vectors 20 --results out
fi
PATH="$folder/path" venv/bin/python - <<'PY'
import hilbench, pathlib
print(hilbench.load(sorted(pathlib.Path("out").iterdir())[-1])[["board", "variant", "accuracy"]])
PY
echo "1 passed, 0 failed"
