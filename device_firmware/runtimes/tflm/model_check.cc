#include "model_check.h"

#include "tensorflow/lite/micro/micro_interpreter.h" // TFLITE_SCHEMA_VERSION
#include "tensorflow/lite/schema/schema_generated.h"
#include "tensorflow/lite/schema/schema_utils.h"

namespace hb {
namespace {

constexpr uint64_t kMaxBytes = INT32_MAX; // sizes in TFLM are int

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

bool check_tensor(const tflite::Model *model, const tflite::Tensor *tensor) {
    uint64_t bytes = element_bytes(tensor->type());
    for (uint32_t i = 0; i < size_of(tensor->shape()); i++) {
        const int32_t dimension = tensor->shape()->Get(i);
        if (dimension <= 0 || bytes * static_cast<uint32_t>(dimension) > kMaxBytes) {
            return false;
        }
        bytes *= static_cast<uint32_t>(dimension);
    }
    if (bytes == 0u || tensor->buffer() >= size_of(model->buffers())) {
        return false;
    }
    const auto *quantisation = tensor->quantization();
    if (quantisation != nullptr &&
        size_of(quantisation->scale()) != size_of(quantisation->zero_point())) {
        return false;
    }
    const uint32_t constant_bytes = size_of(model->buffers()->Get(tensor->buffer())->data());
    return constant_bytes == 0u || constant_bytes >= bytes;
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

tflite::TensorType type_of(const tflite::SubGraph *graph, int32_t tensor) {
    return graph->tensors()->Get(static_cast<uint32_t>(tensor))->type();
}

// Beside int8 there are int32 inputs: biases, shapes, axes. The first input is the activation.
bool computes_in_int8(const tflite::SubGraph *graph, const tflite::Operator *op) {
    for (uint32_t i = 0; i < op->inputs()->size(); i++) {
        const int32_t tensor = op->inputs()->Get(i);
        if (tensor < 0 && i != 0u) {
            continue; // an input that was left out
        }
        if (tensor < 0 || (type_of(graph, tensor) != tflite::TensorType_INT8 &&
                           (i == 0u || type_of(graph, tensor) != tflite::TensorType_INT32))) {
            return false;
        }
    }
    return type_of(graph, op->outputs()->Get(0)) == tflite::TensorType_INT8;
}

bool check_operator(const tflite::Model *model, const tflite::SubGraph *graph, uint32_t index,
                    const tflite::MicroOpResolver &operators, struct hb_runtime_fault *fault) {
    const tflite::Operator *op = graph->operators()->Get(index);
    const uint32_t tensors = graph->tensors()->size();
    if (op->opcode_index() >= size_of(model->operator_codes()) ||
        !exist(op->inputs(), -1, tensors) || !exist(op->outputs(), 0, tensors)) {
        return refuse(fault, HB_TFLM_OPERATOR, index);
    }
    const auto code = tflite::GetBuiltinCode(model->operator_codes()->Get(op->opcode_index()));
    if (operators.FindOp(code) == nullptr) {
        return refuse(fault, HB_TFLM_MISSING, static_cast<uint32_t>(code));
    }
    return computes_in_int8(graph, op) || refuse(fault, HB_TFLM_NOT_INT8, index);
}

bool check(const tflite::Model *model, const tflite::MicroOpResolver &operators,
           struct hb_runtime_fault *fault) {
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
    if (inputs != 1u || outputs != 1u || !exist(graph->inputs(), 0, tensors) ||
        !exist(graph->outputs(), 0, tensors)) {
        return refuse(fault, HB_TFLM_BOUNDARY, inputs << 16 | (outputs & 0xFFFFu));
    }
    for (uint32_t i = 0; i < tensors; i++) {
        if (!check_tensor(model, graph->tensors()->Get(i))) {
            return refuse(fault, HB_TFLM_TENSOR, i);
        }
    }
    if (size_of(graph->operators()) == 0u || size_of(graph->operators()) > UINT16_MAX) {
        return refuse(fault, HB_TFLM_OPERATOR, size_of(graph->operators()));
    }
    for (uint32_t i = 0; i < graph->operators()->size(); i++) {
        if (!check_operator(model, graph, i, operators, fault)) {
            return false;
        }
    }
    return true;
}

} // namespace

const tflite::Model *check_model(const uint8_t *bytes, size_t length,
                                 const tflite::MicroOpResolver &operators,
                                 struct hb_runtime_fault *fault) {
    flatbuffers::Verifier verifier(bytes, length);
    if (!tflite::VerifyModelBuffer(verifier)) {
        refuse(fault, HB_TFLM_NOT_TFLITE, 0u);
        return nullptr;
    }
    const tflite::Model *model = tflite::GetModel(bytes);
    return check(model, operators, fault) ? model : nullptr;
}

} // namespace hb
