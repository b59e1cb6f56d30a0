/* The set "portable": C99 for any target with two's complement and IEEE 754 float. */
#define HB_PORTABLE_KERNELS(X)                                                                     \
    X(conv_s8)                                                                                     \
    X(depthwise_s8)                                                                                \
    X(fc_s8)                                                                                       \
    X(add_s8)                                                                                      \
    X(average_pool_s8)                                                                             \
    X(max_pool_s8)                                                                                 \
    X(mean_s8)                                                                                     \
    X(softmax_s8)                                                                                  \
    X(quantize_f32_s8)                                                                             \
    X(lut_s8)                                                                                      \
    X(binary_s8)                                                                                   \
    X(copy)                                                                                        \
    X(dequantize_s8_f32)                                                                           \
    X(conv_f32)                                                                                    \
    X(depthwise_f32)                                                                               \
    X(fc_f32)                                                                                      \
    X(binary_f32)                                                                                  \
    X(unary_f32)                                                                                   \
    X(average_pool_f32)                                                                            \
    X(max_pool_f32)                                                                                \
    X(mean_f32)                                                                                    \
    X(softmax_f32)                                                                                 \
    X(clamp_f32)                                                                                   \
    X(fc_hybrid)                                                                                   \
    X(conv_hybrid)                                                                                 \
    X(depthwise_hybrid)
