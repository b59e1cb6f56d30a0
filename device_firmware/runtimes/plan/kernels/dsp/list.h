/* The kernels of the set "dsp". */
#define HB_DSP_KERNELS(X)                                                                          \
    X(conv_s8)                                                                                     \
    X(fc_s8)                                                                                       \
    X(depthwise3x3_s8)                                                                             \
    X(depthwise_s8)                                                                                \
    X(add_s8)                                                                                      \
    X(average_pool_s8)
