"""Train, compress and convert the digits zoo: seven .tflite files and their held-out vectors.

    python tools/make_zoo.py            # write hilbench/zoo/digits, print the tables
    python tools/make_zoo.py --check    # make into a temporary folder, compare the hashes

Needs the extra `zoo` (tensorflow-cpu, tf-keras, tensorflow-model-optimization, scikit-learn); the
files it writes are tracked, so running hilbench needs none of that. About two minutes on one core.
Afterwards `tools/make_golden.py` renews the outputs that the int8 variants must give.
"""

from __future__ import annotations

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # tfmot rejects Keras 3
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # its kernels pick a summation order per machine
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras as keras
from make_golden import DIGITS, quantise, sha256, write_sums
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tensorflow.lite.python import schema_py_generated as schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEED = 20
HELD_OUT = 450
BATCH = 32
TARGET_SPARSITY = 0.8
CLUSTERS = 16
TEMPERATURE = 2.0  # distillation: softens the teacher
SMOOTHING = 0.1  # of labels: without it nearly every int8 softmax saturates and proves little
HARD_WEIGHT = 0.3  # distillation: share of the true labels in the loss
ALLOWED = {
    "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "AVERAGE_POOL_2D", "MAX_POOL_2D",
    "MEAN", "SOFTMAX", "RESHAPE", "QUANTIZE", "DEQUANTIZE",
}  # fmt: skip
WEIGHTED = {"CONV_2D": 0, "FULLY_CONNECTED": 0, "DEPTHWISE_CONV_2D": 3}  # -> output-channel axis

Model = Any  # tf_keras ships no types
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Digits:
    """x: float32 [n, 8, 8, 1] in 0..1 (pixel / 16); y: uint8 [n]."""

    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array


def load_data() -> Digits:
    raw = load_digits()
    x = (raw.images / 16.0).astype(np.float32)[..., np.newaxis]
    y = raw.target.astype(np.uint8)
    parts = train_test_split(x, y, test_size=HELD_OUT, stratify=y, random_state=SEED)
    x_train, x_test, y_train, y_test = parts
    return Digits(x_train, y_train, x_test, y_test)


# --- architectures ---------------------------------------------------------------------------


def conv_bn(x: Any, layer: Any, relu: bool = True) -> Any:
    x = keras.layers.BatchNormalization()(layer(x))
    return keras.layers.ReLU()(x) if relu else x


def build_cnn() -> Model:
    """About 35 k parameters, most of them in one dense layer; one residual block."""
    layers = keras.layers
    image = keras.Input((8, 8, 1))
    x = skip = conv_bn(image, layers.Conv2D(16, 3, padding="same"))
    x = conv_bn(x, layers.DepthwiseConv2D(3, padding="same"))
    x = conv_bn(x, layers.Conv2D(16, 1), relu=False)
    x = layers.ReLU()(layers.Add()([x, skip]))
    x = conv_bn(x, layers.Conv2D(32, 1))
    x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dense(64, activation="relu")(x)
    return keras.Model(image, layers.Dense(10, activation="softmax")(x), name="cnn")


def build_student() -> Model:
    """About 5 k parameters; returns logits, so that the softened loss can see them."""
    layers = keras.layers
    image = keras.Input((8, 8, 1))
    x = conv_bn(image, layers.Conv2D(16, 3, padding="same"))
    x = layers.AveragePooling2D()(x)
    x = conv_bn(x, layers.Conv2D(32, 3, padding="same"))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10)(x), name="student")


def build_mlp() -> Model:
    """64-16-10: 1,210 parameters, small enough for 32 KB of flash and 2 KB of RAM."""
    layers = keras.layers
    image = keras.Input((8, 8, 1))
    x = layers.Dense(16, activation="relu")(layers.Flatten()(image))
    return keras.Model(image, layers.Dense(10, activation="softmax")(x), name="mlp")


# --- training --------------------------------------------------------------------------------


def one_hot(y: Array) -> Array:
    return np.eye(10, dtype=np.float32)[y]


def fit(
    model: Model,
    data: Digits,
    epochs: int,
    rate: float,
    *,
    y: Array | None = None,
    loss: Any = None,
    callbacks: tuple[Any, ...] = (),
) -> Model:
    """Adam with a cosine decay to zero; batches are shuffled by the global seed.

    No early stopping, so the held-out part plays no role in training.
    """
    steps = epochs * -(-len(data.x_train) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps)
    smoothed = keras.losses.CategoricalCrossentropy(label_smoothing=SMOOTHING)
    model.compile(keras.optimizers.Adam(schedule), loss or smoothed)
    targets = one_hot(data.y_train) if y is None else y
    model.fit(data.x_train, targets, BATCH, epochs, verbose=0, callbacks=list(callbacks))
    return model


def copy_of(model: Model) -> Model:
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    return clone


def train_cnn(data: Digits) -> Model:
    return fit(build_cnn(), data, epochs=40, rate=2e-3)


def train_qat(data: Digits, cnn: Model) -> Model:
    """Fine-tune with simulated int8.

    Many epochs because tfmot's activation ranges start at -6..6 and move by 0.1 % a step: after ten
    epochs every ReLU output would still waste over a third of its int8 range on negative values.
    """
    aware = tfmot.quantization.keras.quantize_model(copy_of(cnn))
    return fit(aware, data, epochs=100, rate=2e-4)


def train_pruned(data: Digits, cnn: Model) -> Model:
    """Magnitude pruning; tfmot leaves depthwise kernels (144 weights here) dense."""
    sparsity = tfmot.sparsity.keras
    steps_per_epoch = -(-len(data.x_train) // BATCH)
    schedule = sparsity.PolynomialDecay(0.3, TARGET_SPARSITY, 0, 12 * steps_per_epoch, frequency=20)
    pruned = sparsity.prune_low_magnitude(copy_of(cnn), pruning_schedule=schedule)
    fit(pruned, data, epochs=30, rate=2e-3, callbacks=(sparsity.UpdatePruningStep(),))
    return sparsity.strip_pruning(pruned)


def train_clustered(data: Digits, cnn: Model) -> Model:
    """Weight sharing; tfmot leaves depthwise kernels unclustered."""
    cluster = tfmot.clustering.keras
    init = cluster.CentroidInitialization.KMEANS_PLUS_PLUS
    shared = cluster.cluster_weights(
        copy_of(cnn), number_of_clusters=CLUSTERS, cluster_centroids_init=init
    )
    fit(shared, data, epochs=15, rate=5e-4)
    return cluster.strip_clustering(shared)


def train_student(data: Digits, cnn: Model) -> Model:
    """Hinton et al., Distilling the Knowledge in a Neural Network (arXiv 1503.02531)."""
    probabilities = cnn.predict(data.x_train, batch_size=BATCH, verbose=0)
    softened = tf.nn.softmax(np.log(probabilities + 1e-9) / TEMPERATURE).numpy()
    both = np.concatenate([one_hot(data.y_train), softened], axis=1)

    def loss(targets: Any, logits: Any) -> Any:
        hard, soft = targets[:, :10], targets[:, 10:]
        cross_entropy = tf.nn.softmax_cross_entropy_with_logits
        at_one = cross_entropy(hard, logits)
        # T^2 keeps the gradient of the soft part as large as that of the hard part.
        at_t = TEMPERATURE**2 * cross_entropy(soft, logits / TEMPERATURE)
        return HARD_WEIGHT * at_one + (1 - HARD_WEIGHT) * at_t

    logits = fit(build_student(), data, epochs=80, rate=4e-3, y=both, loss=loss)
    return keras.Model(logits.input, keras.layers.Softmax()(logits.output), name="student")


def train_mlp(data: Digits) -> Model:
    return fit(build_mlp(), data, epochs=80, rate=4e-3)


# --- conversion ------------------------------------------------------------------------------


def to_tflite(model: Model, representative: Array | None) -> bytes:
    """float32 [1, 8, 8, 1] model without `representative` vectors [n, 8, 8, 1], else full int8."""

    def infer(image: Any) -> Any:
        return model(image, training=False)

    # A fixed batch of 1: a free one would add SHAPE, STRIDED_SLICE and PACK before each RESHAPE.
    spec = tf.TensorSpec((1, 8, 8, 1), tf.float32, name="image")
    function = tf.function(infer).get_concrete_function(spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    if representative is not None:

        def vectors() -> Iterator[list[Array]]:
            for vector in representative:
                yield [vector[np.newaxis]]

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = vectors
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def make(folder: Path) -> dict[str, bytes]:
    """Write every model and the vectors; returns file stem -> .tflite bytes."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    data = load_data()

    def seeded(train: Callable[..., Model], *args: Any) -> Model:
        keras.backend.clear_session()  # layer names, hence file bytes, depend on what came before
        keras.utils.set_random_seed(SEED)
        return train(data, *args)

    cnn = seeded(train_cnn)
    trained = {
        "cnn_int8": cnn,
        "cnn_qat_int8": seeded(train_qat, cnn),
        "cnn_pruned80_int8": seeded(train_pruned, cnn),
        "cnn_clustered16_int8": seeded(train_clustered, cnn),
        "student_int8": seeded(train_student, cnn),
        "mlp_int8": seeded(train_mlp),
    }
    models = {"cnn_fp32": to_tflite(cnn, None)}
    models |= {stem: to_tflite(model, data.x_train) for stem, model in trained.items()}
    for stem, content in models.items():
        (folder / f"{stem}.tflite").write_bytes(content)
    np.savez_compressed(folder / "vectors.npz", x=data.x_test, y=data.y_test)
    return models


# --- what came out ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Tensor:
    """One tensor of a .tflite file; `constant` holds its data where it has any."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    constant: Array | None

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


@dataclass(frozen=True)
class Operator:
    """One operator with its tensors; optional inputs that are absent are left out."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def read_operators(content: bytes) -> list[Operator]:
    """The operators of the one subgraph in order of execution."""
    flat = schema.Model.GetRootAsModel(content, 0)
    graph = flat.Subgraphs(0)
    dtypes = {0: "float32", 2: "int32", 9: "int8"}
    codes = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}

    def tensor(index: int) -> Tensor:
        t = graph.Tensors(index)
        shape = tuple(int(n) for n in t.ShapeAsNumpy()) if t.ShapeLength() else ()
        dtype = dtypes[t.Type()]
        raw = flat.Buffers(t.Buffer())
        constant = None
        if raw.DataLength():
            constant = raw.DataAsNumpy().view(dtype).reshape(shape)
        return Tensor(t.Name().decode(), shape, dtype, constant)

    operators = []
    for i in range(graph.OperatorsLength()):
        op = graph.Operators(i)
        code = flat.OperatorCodes(op.OpcodeIndex())
        name = codes[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        inputs = tuple(tensor(j) for j in op.InputsAsNumpy() if j >= 0)
        operators.append(Operator(name, inputs, tuple(tensor(j) for j in op.OutputsAsNumpy())))
    return operators


def parameter_count(operators: list[Operator]) -> int:
    """Weights and biases as deployed: batch normalisation is folded by then."""
    constants = [t for op in operators if op.name in WEIGHTED for t in op.inputs[1:]]
    return sum(t.constant.size for t in constants if t.constant is not None)


def reference_accuracy(content: bytes, x: Array, y: Array) -> float:
    """Top-1 with LiteRT's reference kernels; int8 models get vectors quantised as hilbench does."""
    resolver = tf.lite.experimental.OpResolverType.BUILTIN_REF
    interpreter = tf.lite.Interpreter(model_content=content, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    if source["dtype"] is np.int8:
        x = quantise(x, *source["quantization"])
    correct = 0
    for vector, label in zip(x, y, strict=True):
        interpreter.set_tensor(source["index"], vector[np.newaxis])
        interpreter.invoke()
        correct += int(interpreter.get_tensor(sink["index"]).argmax() == label)
    return correct / len(y)


def distinct_per_channel(weights: Array, axis: int) -> int:
    """The largest number of distinct values that one output channel holds."""
    channels = np.moveaxis(weights, axis, 0)
    return max(len(np.unique(channel)) for channel in channels)


def print_models(models: dict[str, bytes], x: Array, y: Array) -> None:
    print("\n| variant | parameters | .tflite bytes | zlib-9 bytes | host top-1 |")
    print("|---|---:|---:|---:|---:|")
    for stem, content in models.items():
        count = parameter_count(read_operators(content))
        packed = len(zlib.compress(content, 9))
        accuracy = reference_accuracy(content, x, y)
        print(f"| {stem} | {count:,} | {len(content):,} | {packed:,} | {accuracy:.4f} |")


def print_weights(models: dict[str, bytes]) -> None:
    print("\n| variant | operator | weights | zeros | distinct in tensor | most in a channel |")
    print("|---|---|---|---:|---:|---:|")
    for stem, content in models.items():
        for i, op in enumerate(read_operators(content)):
            if op.name not in WEIGHTED:
                continue
            weights = op.inputs[1].constant
            assert weights is not None, f"{stem}: operator {i} has no constant weights"
            zeros = float((weights == 0).mean())
            distinct, most = (
                len(np.unique(weights)),
                distinct_per_channel(weights, WEIGHTED[op.name]),
            )
            print(
                f"| {stem} | {i} {op.name} | {op.inputs[1]} | {zeros:.1%} | {distinct} | {most} |"
            )


def print_operators(models: dict[str, bytes]) -> None:
    for stem, content in models.items():
        print(f"\n{stem}")
        for i, op in enumerate(read_operators(content)):
            if op.name not in ALLOWED:
                raise SystemExit(f"{stem}: operator {i} is {op.name}, which the zoo may not use")
            inputs, outputs = (" ".join(map(str, ts)) for ts in (op.inputs, op.outputs))
            print(f"  {i} {op.name:18s} {inputs} -> {outputs}")


def check(made: Path, kept: Path) -> None:
    names = sorted(p.name for p in made.iterdir())
    different = [n for n in names if sha256(made / n) != sha256(kept / n)]
    if different:
        raise SystemExit(f"different from {kept}: {', '.join(different)}")
    print(f"\n{len(names)} files identical to {kept}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="make again and compare, write nothing"
    )
    parser.add_argument("--folder", type=Path, default=DIGITS, help="suite folder (%(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) if args.check else args.folder
        models = make(folder)
        vectors = np.load(folder / "vectors.npz")
        print_models(models, vectors["x"], vectors["y"])
        print_weights(models)
        print_operators(models)
        if args.check:
            check(folder, args.folder)
        else:
            write_sums(folder)


if __name__ == "__main__":
    main()
