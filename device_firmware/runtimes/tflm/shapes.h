// Kernels of TensorFlow Lite Micro write as much as their parameters say, however large the output
// is.
#ifndef HB_TFLM_SHAPES_H
#define HB_TFLM_SHAPES_H

#include "tensorflow/lite/schema/schema_generated.h"

namespace hb {

// Is the output of an operator as large as what its kernel will write? The operator's tensors
// exist, its first input and its weights are there. `axes` are the constants of MEAN.
bool shapes_agree(const tflite::SubGraph &graph, const tflite::Operator &op,
                  tflite::BuiltinOperator code, const flatbuffers::Vector<uint8_t> *axes);

} // namespace hb

#endif
