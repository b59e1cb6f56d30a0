#include "model_check.h"

#include "shapes.h"

#include "tensorflow/lite/micro/micro_interpreter.h" // TFLITE_SCHEMA_VERSION
#include "tensorflow/lite/schema/schema_generated.h"
#include "tensorflow/lite/schema/schema_utils.h"

#include <cstring>

namespace hb {
namespace {

constexpr uint64_t kMaxBytes = INT32_MAX; // sizes in TFLM are int

// A set of tensors, one bit each.
class Tensors {
  public:
    Tensors(uint8_t *bits, uint32_t count) : bits_(bits) { std::memset(bits, 0, bytes(count)); }
    static size_t bytes(uint32_t count) { return count / 8u + 1u; }
    bool has(uint32_t tensor) const { return (bits_[tensor / 8u] >> (tensor % 8u) & 1u) != 0u; }
    void add(uint32_t tensor) {
        bits_[tensor / 8u] = static_cast<uint8_t>(bits_[tensor / 8u] | 1u << (tensor % 8u));
    }

  private:
    uint8_t *bits_;
};

struct Graph {
    const tflite::Model *model;
    const tflite::SubGraph *graph;
    const tflite::MicroOpResolver &operators;
    Tensors written; // by the operators so far; the input is among them

    const tflite::Tensor *tensor(int32_t index) const {
        return graph->tensors()->Get(static_cast<uint32_t>(index));
    }
};

bool refuse(struct hb_runtime_fault *fault, enum hb_tflm_fault reason, uint32_t position) {
    fault->reason = static_cast<uint32_t>(reason);
    fault->position = position;
    return false;
}

template <typename T> uint32_t size_of(const flatbuffers::Vector<T> *vector) {
    return vector == nullptr ? 0u : vector->size();
}

// 0: a type that no registered kernel knows.
uint64_t element_bytes(tflite::TensorType type) {
    switch (type) {
    case tflite::TensorType_INT8:
        return 1u;
    case tflite::TensorType_INT16:
        return 2u;
    case tflite::TensorType_INT32:
    case tflite::TensorType_FLOAT32:
        return 4u;
    case tflite::TensorType_INT64:
        return 8u;
    default:
        return 0u;
    }
}

const flatbuffers::Vector<uint8_t> *data_of(const tflite::Model *model,
                                            const tflite::Tensor *tensor) {
    return model->buffers()->Get(tensor->buffer())->data();
}

bool is_constant(const Graph &in, int32_t tensor) {
    return size_of(data_of(in.model, in.tensor(tensor))) != 0u;
}

bool check_tensor(const tflite::Model *model, const tflite::Tensor *tensor) {
    uint64_t bytes = element_bytes(tensor->type());
    for (uint32_t i = 0; i < size_of(tensor->shape()); i++) {
        const int32_t dimension = tensor->shape()->Get(i);
        if (dimension <= 0 || bytes * static_cast<uint32_t>(dimension) > kMaxBytes) {
            return false;
        }
        bytes *= static_cast<uint32_t>(dimension);
    }
    if (bytes == 0u || tensor->is_variable() || tensor->buffer() >= size_of(model->buffers())) {
        return false;
    }
    const auto *quantisation = tensor->quantization();
    if (quantisation != nullptr &&
        size_of(quantisation->scale()) != size_of(quantisation->zero_point())) {
        return false;
    }
    const uint32_t data_bytes = size_of(data_of(model, tensor));
    return data_bytes == 0u || data_bytes >= bytes;
}

bool check_tensors(const tflite::Model *model, struct hb_runtime_fault *fault) {
    const auto *tensors = model->subgraphs()->Get(0)->tensors();
    for (uint32_t i = 0; i < tensors->size(); i++) {
        if (!check_tensor(model, tensors->Get(i))) {
            return refuse(fault, HB_TFLM_TENSOR, i);
        }
    }
    return true;
}

bool exist(const flatbuffers::Vector<int32_t> *tensors, int32_t lowest, uint32_t count) {
    for (uint32_t i = 0; i < size_of(tensors); i++) {
        const int32_t tensor = tensors->Get(i);
        if (tensor < lowest || (tensor >= 0 && static_cast<uint32_t>(tensor) >= count)) {
            return false;
        }
    }
    return size_of(tensors) != 0u;
}

// Beside int8 there are int32 inputs: biases, shapes, axes. The first input is the activation.
bool computes_in_int8(const Graph &in, const tflite::Operator *op) {
    for (uint32_t i = 0; i < op->inputs()->size(); i++) {
        const int32_t tensor = op->inputs()->Get(i);
        if (tensor < 0 && i != 0u) {
            continue; // an input that was left out
        }
        if (tensor < 0 || (in.tensor(tensor)->type() != tflite::TensorType_INT8 &&
                           (i == 0u || in.tensor(tensor)->type() != tflite::TensorType_INT32))) {
            return false;
        }
    }
    return in.tensor(op->outputs()->Get(0))->type() == tflite::TensorType_INT8;
}

// Everything that an operator reads is there, and it overwrites nothing.
bool in_order(Graph &in, const tflite::Operator *op) {
    for (uint32_t i = 0; i < op->inputs()->size(); i++) {
        const int32_t tensor = op->inputs()->Get(i);
        if (tensor >= 0 && !is_constant(in, tensor) &&
            !in.written.has(static_cast<uint32_t>(tensor))) {
            return false;
        }
    }
    for (uint32_t i = 0; i < op->outputs()->size(); i++) {
        const int32_t tensor = op->outputs()->Get(i);
        if (is_constant(in, tensor) || in.written.has(static_cast<uint32_t>(tensor))) {
            return false;
        }
        in.written.add(static_cast<uint32_t>(tensor));
    }
    return true;
}

bool check_operator(Graph &in, uint32_t index, struct hb_runtime_fault *fault) {
    const tflite::Operator *op = in.graph->operators()->Get(index);
    const uint32_t tensors = in.graph->tensors()->size();
    if (op->opcode_index() >= size_of(in.model->operator_codes()) ||
        !exist(op->inputs(), -1, tensors) || !exist(op->outputs(), 0, tensors) ||
        !in_order(in, op)) {
        return refuse(fault, HB_TFLM_OPERATOR, index);
    }
    const auto code = tflite::GetBuiltinCode(in.model->operator_codes()->Get(op->opcode_index()));
    if (in.operators.FindOp(code) == nullptr) {
        return refuse(fault, HB_TFLM_MISSING, static_cast<uint32_t>(code));
    }
    if (!computes_in_int8(in, op)) {
        return refuse(fault, HB_TFLM_NOT_INT8, index);
    }
    const int32_t axes = op->inputs()->size() > 1u ? op->inputs()->Get(1) : -1;
    const bool are_numbers = axes >= 0 && in.tensor(axes)->type() == tflite::TensorType_INT32;
    const auto *second = are_numbers ? data_of(in.model, in.tensor(axes)) : nullptr;
    return shapes_agree(*in.graph, *op, code, second) || refuse(fault, HB_TFLM_PREPARE, index);
}

bool check_operators(Graph &in, struct hb_runtime_fault *fault) {
    const uint32_t count = size_of(in.graph->operators());
    if (count == 0u || count > UINT16_MAX) {
        return refuse(fault, HB_TFLM_OPERATOR, count);
    }
    const int32_t input = in.graph->inputs()->Get(0);
    const int32_t output = in.graph->outputs()->Get(0);
    if (is_constant(in, input)) {
        return refuse(fault, HB_TFLM_TENSOR, static_cast<uint32_t>(input));
    }
    in.written.add(static_cast<uint32_t>(input));
    for (uint32_t i = 0; i < count; i++) {
        if (!check_operator(in, i, fault)) {
            return false;
        }
    }
    return (output != input && in.written.has(static_cast<uint32_t>(output))) ||
           refuse(fault, HB_TFLM_TENSOR, static_cast<uint32_t>(output));
}

bool check_boundary(const tflite::Model *model, struct hb_runtime_fault *fault) {
    if (model->version() != TFLITE_SCHEMA_VERSION) {
        return refuse(fault, HB_TFLM_SCHEMA, model->version());
    }
    if (size_of(model->subgraphs()) != 1u) {
        return refuse(fault, HB_TFLM_SUBGRAPHS, size_of(model->subgraphs()));
    }
    const tflite::SubGraph *graph = model->subgraphs()->Get(0);
    const uint32_t inputs = size_of(graph->inputs());
    const uint32_t outputs = size_of(graph->outputs());
    const uint32_t tensors = size_of(graph->tensors());
    return (inputs == 1u && outputs == 1u && exist(graph->inputs(), 0, tensors) &&
            exist(graph->outputs(), 0, tensors)) ||
           refuse(fault, HB_TFLM_BOUNDARY, inputs << 16 | (outputs & 0xFFFFu));
}

} // namespace

const tflite::Model *check_model(const uint8_t *bytes, size_t length,
                                 const tflite::MicroOpResolver &operators, uint8_t *memory,
                                 size_t memory_bytes, struct hb_runtime_fault *fault) {
    flatbuffers::Verifier verifier(bytes, length);
    if (!tflite::VerifyModelBuffer(verifier)) {
        refuse(fault, HB_TFLM_NOT_TFLITE, 0u);
        return nullptr;
    }
    const tflite::Model *model = tflite::GetModel(bytes);
    if (!check_boundary(model, fault) || !check_tensors(model, fault)) {
        return nullptr;
    }
    const tflite::SubGraph *graph = model->subgraphs()->Get(0);
    if (Tensors::bytes(graph->tensors()->size()) > memory_bytes) {
        refuse(fault, HB_TFLM_ALLOCATE, 0u); // the library would need far more than a bit of each
        return nullptr;
    }
    Graph in = {model, graph, operators, Tensors(memory, graph->tensors()->size())};
    return check_operators(in, fault) ? model : nullptr;
}

} // namespace hb
