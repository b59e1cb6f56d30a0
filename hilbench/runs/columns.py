"""The columns of the frame: name, dtype, unit, meaning, and how sessions become one row.

python -c 'from hilbench.runs.columns import markdown; print(markdown(), end="")' > docs/frame.md
"""

from __future__ import annotations

from hilbench.runs.column import Column
from hilbench.runs.energy_columns import ENERGY_COLUMNS

COLUMNS = (
    Column("run_id", "string", "", "cell", "name of the run's folder"),
    Column("state", "string", "", "cell", "of the run: complete, interrupted (or killed), failed"),
    Column("board", "string", "", "cell", "id in boards.toml"),
    Column("variant", "string", "", "cell", "name in suite.toml"),
    Column("error", "string", "", "cell", "type and sentence of what failed; empty when nothing did"),
    Column("port", "string", "", "cell", "C port of the firmware"),
    Column("chip", "string", "", "cell", "what the board says of itself"),
    Column("emulated", "boolean", "", "cell", "not hardware"),
    Column("emulator", "string", "", "cell", "name and version; empty for a real board"),
    Column("time_base", "string", "", "first", "what a tick counts: cycles, instructions, host, time, unknown (a program behind a PTY)"),
    Column("unit", "string", "", "first", "of the latency columns but latency_us"),
    Column("counter_hz", "float64", "Hz", "median", "rate of the board's counter"),
    Column("clock_source", "string", "", "first", "how the board knows that rate: register, measured, declared"),
    Column("port_untested", "boolean", "", "cell", "nobody has run this port on a real board yet"),
    Column("runtime", "string", "", "cell", "on-device executor"),
    Column("kernels", "string", "", "cell", "its operator code"),
    Column("technique", "string", "", "cell", "compression technique"),
    Column("parent", "string", "", "cell", "variant it was compressed from"),
    Column("model", "string", "", "cell", "file name of the .tflite"),
    Column("model_sha256", "string", "", "cell", "of the .tflite file"),
    Column("plan_sha256", "string", "", "cell", "of what the board executes"),
    Column("image_build_id", "string", "", "cell", "of the firmware image"),
    Column("image_sha256", "string", "", "cell", "of the firmware image's ELF"),
    Column("vectors_name", "string", "", "cell", "table in suite.toml"),
    Column("vectors_sha256", "string", "", "cell", "of the vector file, also when a subset ran"),
    Column("vectors_n", "float64", "", "cell", "vectors that ran in each session"),
    Column("quantise", "string", "", "cell", "what the host did to the vectors: none, or scale and zero point"),
    Column("sessions", "int64", "", "cell", "sessions measured; the n of every statistic"),
    Column("sessions_planned", "int64", "", "cell", "sessions asked for"),
    Column("warm_up", "int64", "", "cell", "untimed inferences before the timed ones"),
    Column("iterations", "int64", "", "cell", "timed inferences asked for in each session"),
    Column("inferences", "float64", "", "sum", "timed inferences"),
    Column("ticks_stored", "float64", "", "sum", "of these, how many were kept one by one; fewer: no median"),
    Column("latency_median", "float64", "`unit`", "median", "median inference of a session; over sessions their median"),
    Column("latency_mean", "float64", "`unit`", "median", "mean inference of a session"),
    Column("latency_min", "float64", "`unit`", "min", "fastest inference of all sessions"),
    Column("latency_max", "float64", "`unit`", "max", "slowest inference of all sessions"),
    Column("latency_cold", "float64", "`unit`", "median", "first inference after loading, not among the others"),
    Column("latency_resolution", "float64", "`unit`", "first", "one tick: no finer difference can be seen"),
    Column("latency_spread", "float64", "", "cell", "(max - min) / median of the session medians"),
    Column("latency_us", "float64", "us", "median", "latency_median as time; where time_base is host, time, or cycles of a declared board clock"),
    Column("restore_mean", "float64", "`unit`", "median", "restoring the input before an inference, outside its latency"),
    Column("restore", "string", "", "first", "who restores the input: board or host"),
    *ENERGY_COLUMNS,
    Column("accuracy_metric", "string", "", "first", "top1, auc, mse; empty for none"),
    Column("accuracy", "float64", "", "median", "of the board's own outputs"),
    Column("accuracy_low", "float64", "", "median", "95 % confidence interval: Wilson, Hanley-McNeil, normal"),
    Column("accuracy_high", "float64", "", "median", "its upper end"),
    Column("tflm", "string", "", "cell", "TensorFlow Lite Micro's version, or why outputs are not compared with it; empty for float32"),
    Column("reference", "string", "", "cell", "host interpreter, or why outputs are not compared with it"),
    Column("reference_accuracy", "float64", "", "cell", "of the host interpreter on the same vectors"),
    Column("agreement_tflm", "float64", "", "min", "share of vectors whose output equals TFLM's bit by bit; models with int8 operators"),
    Column("agreement_reference", "float64", "", "min", "the same with the host interpreter"),
    Column("lsb_max_reference", "float64", "LSB", "max", "largest difference to the host interpreter; int8 only"),
    Column("lsb_histogram", "string", "", "first", "JSON: difference to the host interpreter in LSB to number of output elements"),
    Column("relative_max_reference", "float64", "", "max", "largest difference over max abs(output) of the host interpreter; float32 only"),
    Column("outputs_equal", "boolean", "", "all", "every iteration of a vector gave the same output"),
    Column("tflite_bytes", "float64", "B", "cell", "size of the .tflite file"),
    Column("zlib_bytes", "float64", "B", "cell", "the same compressed (zlib, level 9)"),
    Column("plan_bytes", "float64", "B", "cell", "size of what the board executes"),
    Column("arena_bytes", "float64", "B", "cell", "RAM for tensors: as planned, or as the board reports it"),
    Column("model_bytes", "float64", "B", "max", "board memory that the loaded model takes"),
    Column("vector_bytes", "float64", "B", "max", "board memory for inputs and kept outputs; the harness's, not the model's"),
    Column("stack_bytes", "float64", "B", "max", "stack reserved"),
    Column("stack_used_bytes", "float64", "B", "max", "stack high-water mark by painting: a lower bound"),
    Column("pool_bytes", "float64", "B", "cell", "memory that the image offers to model, arena and vectors"),
    Column("flash_text_bytes", "float64", "B", "cell", "image: code"),
    Column("flash_rodata_bytes", "float64", "B", "cell", "image: constants"),
    Column("flash_data_bytes", "float64", "B", "cell", "image: initial values of variables, in RAM as well"),
    Column("flash_bytes", "float64", "B", "cell", "image: sum of the three, without the model"),
    Column("ram_bss_bytes", "float64", "B", "cell", "image: zeroed and uninitialised memory, stack included"),
    Column("ram_bytes", "float64", "B", "cell", "image: bss and data; the pool comes beside it"),
    Column("image_sections", "string", "", "cell", "JSON: section name to bytes"),
    Column("model_from", "string", "", "first", "how the model came: link, probe, image (flashed with it), kept"),
    Column("slots", "float64", "", "first", "vectors that fit on the board at once; 0: one inference per request"),
    Column("link_bytes_sent", "float64", "B", "median", "to the board, in a session"),
    Column("link_bytes_received", "float64", "B", "median", "from the board, in a session"),
    Column("link_retransmitted_packets", "float64", "", "sum", "sent again"),
    Column("link_bad_packets_host", "float64", "", "sum", "that the host dropped"),
    Column("link_bad_packets_board", "float64", "", "sum", "that the board dropped"),
    Column("link_runs_repeated", "float64", "", "sum", "requests to run that had to be asked again"),
    Column("recoveries", "float64", "", "sum", "times that the board had to be brought back because a plain reset was not enough"),
    Column("wall_s", "float64", "s", "median", "host time of a session, reset to last output"),
)  # fmt: skip

SESSION_COLUMNS = (
    *(c for c in COLUMNS if c.over == "cell" and c.name in {"run_id", "board", "variant"}),
    Column("session", "int64", "", "cell", "from 1"),
    *(c for c in COLUMNS if c.over != "cell"),
)
"""Of sessions_frame: the figures of one session."""

OPERATOR_COLUMNS = (
    Column("run_id", "string", "", "cell", "name of the run's folder"),
    Column("board", "string", "", "cell", "id in boards.toml"),
    Column("variant", "string", "", "cell", "name in suite.toml"),
    Column("operator", "int64", "", "cell", "index in the plan"),
    Column("name", "string", "", "cell", "operators fused into it"),
    Column("kernel", "string", "", "cell", "code that runs it"),
    Column("macs", "int64", "", "cell", "multiply-accumulates of one inference"),
    Column("output_shape", "string", "", "cell", "e.g. 1x8x8x16"),
    Column("unit", "string", "", "first", "of latency"),
    Column("latency", "float64", "`unit`", "median", "of one inference, profiling included"),
    Column("energy_uj", "float64", "uJ", "median", "gross, of one inference; only with --energy-operators"),
    Column("energy_absolute_uj", "float64", "uJ", "median", "half-width of the interval that holds it with 95 %"),
    Column("share_percent", "float64", "%", "cell", "of the profiled inference; sums to 100"),
)  # fmt: skip

COMPARISON_COLUMNS = (
    Column("run_id", "string", "", "cell", "name of the run's folder"),
    Column("board", "string", "", "cell", "id in boards.toml"),
    Column("a", "string", "", "cell", "variant"),
    Column("b", "string", "", "cell", "variant that took turns with it: A B B A"),
    Column("sessions", "int64", "", "cell", "of each"),
    Column("ratio", "float64", "", "cell", "gross energy of A over that of B"),
    Column("expanded", "float64", "", "cell", "half-width of its 95 % interval, relative"),
    Column("coverage_k", "float64", "", "cell", "Student's factor of it"),
    Column("gain_cancels", "boolean", "", "cell", "same meter, same ranges: its gain plays no part"),
    Column("says", "string", "", "cell", "the same in words"),
)  # fmt: skip


def markdown() -> str:
    """Return docs/frame.md."""
    return "\n".join(
        [
            "# The frame",
            "",
            "`hilbench.load(run)` gives one row per board x variant. `hilbench.runs.sessions_frame(run)`",
            "gives one per session, `hilbench.runs.operators_frame(run)` one per operator. The sealed",
            "run folder holds them as `frame.csv`, `sessions.csv`, `operators.csv` and `comparisons.csv`,",
            "and as Parquet where pyarrow is installed. A Parquet file's metadata name the run",
            "(`hilbench.run_id`), the schema (`hilbench.schema_version`) and what a row is; each column's",
            "field metadata have its `unit` and `meaning`. Frames are the same with pandas 2 and 3:",
            "`string` and `boolean` are pandas' extension dtypes. This page is",
            "`hilbench.runs.columns.markdown()`.",
            "",
            "A number that was not measured is NaN, never 0; a boolean is NA, a string is empty. A cell",
            "that failed has its row, with `error`. The session (reset to reset) is the unit of",
            "replication: *over sessions* says how a cell's sessions become its row (each: whatever any",
            "of them says, once); — marks what is no figure of a session. `latency_*` are in the row's",
            "`unit`: instructions of an emulator are not a time, and rows of another `time_base` must",
            "not be compared with each other.",
            "",
            *_table(COLUMNS),
            "",
            "## sessions_frame",
            "",
            "`run_id`, `board`, `variant`, `session` (from 1), and every column above that is a figure of",
            "a session.",
            "",
            "## operators_frame",
            "",
            *_table(OPERATOR_COLUMNS),
            "",
            "## comparisons_frame",
            "",
            "Of `hilbench run --abba A B`: one row per board with a power meter.",
            "",
            *_table(COMPARISON_COLUMNS),
            "",
        ]
    )


def _table(columns: tuple[Column, ...]) -> list[str]:
    rows = ["| column | dtype | unit | over sessions | meaning |", "|---|---|---|---|---|"]
    for c in columns:
        over = "—" if c.over == "cell" else c.over
        rows.append(f"| `{c.name}` | {c.dtype} | {c.unit} | {over} | {c.meaning} |")
    return rows
