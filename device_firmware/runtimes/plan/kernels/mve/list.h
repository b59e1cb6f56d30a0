/* The set "mve": Helium's integer instructions (Cortex-M55). */
#define HB_MVE_KERNELS(X)                                                                          \
    X(conv_s8)                                                                                     \
    X(depthwise_3x3_s8)                                                                            \
    X(depthwise_3x3_s2_s8)                                                                         \
    X(depthwise_s8)                                                                                \
    X(fc_s8)                                                                                       \
    X(add_s8)                                                                                      \
    X(average_pool_s8)
