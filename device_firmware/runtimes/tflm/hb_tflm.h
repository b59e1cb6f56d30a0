/* Why the TensorFlow Lite Micro runtime refuses a model: `reason` of struct hb_runtime_fault.
 * hilbench/board/refusals.py has the same numbers with a sentence for each. */
#ifndef HB_TFLM_H
#define HB_TFLM_H

enum hb_tflm_fault {
    HB_TFLM_NOT_TFLITE = 1, /* no sound flatbuffer of a .tflite file: - */
    HB_TFLM_SCHEMA = 2,     /* schema version: found */
    HB_TFLM_SUBGRAPHS = 3,  /* other than 1 subgraph: found */
    HB_TFLM_BOUNDARY = 4,   /* other than 1 input and 1 output: inputs << 16 | outputs */
    HB_TFLM_TENSOR = 5,     /* shape, type, data or use contradict each other: tensor */
    HB_TFLM_OPERATOR = 6,   /* names tensors or an operator code that it cannot have: operator */
    HB_TFLM_MISSING = 7,    /* no kernel is registered: builtin operator code */
    HB_TFLM_NOT_INT8 = 8,   /* an input, weight or output is not int8: operator */
    HB_TFLM_PREPARE = 9,    /* the kernel refuses the parameters: operator */
    HB_TFLM_ALLOCATE = 10,  /* refused before or after the kernels were asked: - */
    HB_TFLM_INVOKE = 11,    /* the kernel failed: operator */
    HB_TFLM_HALTED = 12,    /* an assertion of the library: operator */
    HB_TFLM_NOT_LOADED = 13 /* no model is loaded: - */
};

#endif
