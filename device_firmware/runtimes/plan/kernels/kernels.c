/* The kernel set "portable": C99 for any target with two's complement and IEEE 754 float.
 *
 * A port without room for all of them names its own in port.mk; a plan that asks for another is
 * refused at load:
 *
 *     CFLAGS += '-DHB_KERNELS(X)=X(fc_s8) X(softmax_s8)' */
#include "../hb_kernel.h"

#ifdef HB_KERNELS
#define NAME(kernel) " " #kernel
#define LIST         ":" HB_KERNELS(NAME)
#else
#define LIST
#define HB_KERNELS(X)                                                                              \
    X(conv_s8)                                                                                     \
    X(depthwise_s8)                                                                                \
    X(fc_s8)                                                                                       \
    X(add_s8)                                                                                      \
    X(average_pool_s8)                                                                             \
    X(max_pool_s8)                                                                                 \
    X(mean_s8)                                                                                     \
    X(softmax_s8)                                                                                  \
    X(quantize_f32_s8)                                                                             \
    X(requantize_s8)                                                                               \
    X(dequantize_s8_f32)                                                                           \
    X(conv_f32)                                                                                    \
    X(depthwise_f32)                                                                               \
    X(fc_f32)                                                                                      \
    X(add_f32)                                                                                     \
    X(average_pool_f32)                                                                            \
    X(max_pool_f32)                                                                                \
    X(mean_f32)                                                                                    \
    X(softmax_f32)                                                                                 \
    X(clamp_f32)
#endif

#define DECLARE(kernel) extern const struct hb_kernel hb_portable_##kernel;
#define ADDRESS(kernel) &hb_portable_##kernel,

HB_KERNELS(DECLARE)

const char hb_kernels_name[] = "portable" LIST;

const struct hb_kernel *const hb_kernels[] = {HB_KERNELS(ADDRESS) NULL};
