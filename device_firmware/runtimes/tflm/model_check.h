// What TensorFlow Lite Micro takes on trust of a .tflite file.
#ifndef HB_TFLM_MODEL_CHECK_H
#define HB_TFLM_MODEL_CHECK_H

#include "hb_runtime.h"
#include "hb_tflm.h"

#include "tensorflow/lite/micro/micro_op_resolver.h"

namespace hb {

// Returns the model in [bytes, bytes + length), or null with a reason (hb_tflm.h). A sound model
// has one subgraph with one input and one output; whatever it names exists; what an operator reads
// is a constant, the input, or was written before; constants are as long as their shapes say; there
// is a kernel for every operator, and all of them compute in int8. `memory` may be written to.
const tflite::Model *check_model(const uint8_t *bytes, size_t length,
                                 const tflite::MicroOpResolver &operators, uint8_t *memory,
                                 size_t memory_bytes, struct hb_runtime_fault *fault);

} // namespace hb

#endif
