/* The kernel set "portable": C99 for any target with two's complement and IEEE 754 float. */
#include "../hb_kernel.h"

extern const struct hb_kernel hb_portable_conv_s8;
extern const struct hb_kernel hb_portable_depthwise_s8;
extern const struct hb_kernel hb_portable_fc_s8;
extern const struct hb_kernel hb_portable_add_s8;
extern const struct hb_kernel hb_portable_average_pool_s8;
extern const struct hb_kernel hb_portable_max_pool_s8;
extern const struct hb_kernel hb_portable_mean_s8;
extern const struct hb_kernel hb_portable_softmax_s8;
extern const struct hb_kernel hb_portable_quantize_f32_s8;
extern const struct hb_kernel hb_portable_requantize_s8;
extern const struct hb_kernel hb_portable_dequantize_s8_f32;
extern const struct hb_kernel hb_portable_conv_f32;
extern const struct hb_kernel hb_portable_depthwise_f32;
extern const struct hb_kernel hb_portable_fc_f32;
extern const struct hb_kernel hb_portable_add_f32;
extern const struct hb_kernel hb_portable_average_pool_f32;
extern const struct hb_kernel hb_portable_max_pool_f32;
extern const struct hb_kernel hb_portable_mean_f32;
extern const struct hb_kernel hb_portable_softmax_f32;
extern const struct hb_kernel hb_portable_clamp_f32;

const char hb_kernels_name[] = "portable";

const struct hb_kernel *const hb_kernels[] = {
    &hb_portable_conv_s8,
    &hb_portable_depthwise_s8,
    &hb_portable_fc_s8,
    &hb_portable_add_s8,
    &hb_portable_average_pool_s8,
    &hb_portable_max_pool_s8,
    &hb_portable_mean_s8,
    &hb_portable_softmax_s8,
    &hb_portable_quantize_f32_s8,
    &hb_portable_requantize_s8,
    &hb_portable_dequantize_s8_f32,
    &hb_portable_conv_f32,
    &hb_portable_depthwise_f32,
    &hb_portable_fc_f32,
    &hb_portable_add_f32,
    &hb_portable_average_pool_f32,
    &hb_portable_max_pool_f32,
    &hb_portable_mean_f32,
    &hb_portable_softmax_f32,
    &hb_portable_clamp_f32,
    NULL,
};
