/* The kernels of the set "fpu". */
#define HB_FPU_KERNELS(X)                                                                          \
    X(conv_f32)                                                                                    \
    X(depthwise_f32)
