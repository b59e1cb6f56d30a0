/* The plan format. Generated from hilbench/models/planner/ by
 * python -m hilbench.models.planner.generate_c: do not edit. See device_firmware/PLAN.md. */
/* clang-format off */
#ifndef HB_PLAN_H
#define HB_PLAN_H

#include <stdint.h>

#define HB_PLAN_MAGIC     0x504e4248u
#define HB_PLAN_VERSION   1u
#define HB_PLAN_ALIGNMENT 16u

enum hb_plan_kind {
    HB_PLAN_CONV_S8 = 1,
    HB_PLAN_DEPTHWISE_S8 = 2,
    HB_PLAN_FC_S8 = 3,
    HB_PLAN_ADD_S8 = 4,
    HB_PLAN_AVERAGE_POOL_S8 = 5,
    HB_PLAN_MAX_POOL_S8 = 6,
    HB_PLAN_MEAN_S8 = 7,
    HB_PLAN_SOFTMAX_S8 = 8,
    HB_PLAN_QUANTIZE_F32_S8 = 9,
    HB_PLAN_DEQUANTIZE_S8_F32 = 11,
    HB_PLAN_LUT_S8 = 12,
    HB_PLAN_BINARY_S8 = 13,
    HB_PLAN_COPY = 14,
    HB_PLAN_CONV_F32 = 33,
    HB_PLAN_DEPTHWISE_F32 = 34,
    HB_PLAN_FC_F32 = 35,
    HB_PLAN_AVERAGE_POOL_F32 = 37,
    HB_PLAN_MAX_POOL_F32 = 38,
    HB_PLAN_MEAN_F32 = 39,
    HB_PLAN_SOFTMAX_F32 = 40,
    HB_PLAN_CLAMP_F32 = 41,
    HB_PLAN_BINARY_F32 = 42,
    HB_PLAN_UNARY_F32 = 43,
    HB_PLAN_FC_HYBRID = 48,
    HB_PLAN_CONV_HYBRID = 49,
    HB_PLAN_DEPTHWISE_HYBRID = 50,
    HB_PLAN_CONV_S8_DSP = 64,
    HB_PLAN_FC_S8_DSP = 65,
    HB_PLAN_DEPTHWISE3X3_S8_DSP = 66,
    HB_PLAN_DEPTHWISE_S8_DSP = 67,
    HB_PLAN_ADD_S8_DSP = 68,
    HB_PLAN_AVERAGE_POOL_S8_DSP = 69,
    HB_PLAN_CONV_S8_MVE = 96,
    HB_PLAN_DEPTHWISE_3X3_S8_MVE = 97,
    HB_PLAN_DEPTHWISE_S8_MVE = 98,
    HB_PLAN_FC_S8_MVE = 99,
    HB_PLAN_ADD_S8_MVE = 100,
    HB_PLAN_AVERAGE_POOL_S8_MVE = 101,
    HB_PLAN_DEPTHWISE_3X3_S2_S8_MVE = 102,
    HB_PLAN_CONV_F32_FPU = 128,
    HB_PLAN_DEPTHWISE_F32_FPU = 129,
};

enum hb_plan_fault {
    HB_PLAN_FAULT_NONE = 0,
    HB_PLAN_FAULT_TOO_SHORT = 1, /* the plan ends before its header does */
    HB_PLAN_FAULT_MAGIC = 2, /* these bytes are not a plan */
    HB_PLAN_FAULT_VERSION = 3, /* the plan is of another format version than the firmware */
    HB_PLAN_FAULT_LENGTH = 4, /* the plan's length is not the one that its header states */
    HB_PLAN_FAULT_SECTION = 5, /* operator table or constants lie outside the plan, or are misaligned */
    HB_PLAN_FAULT_BOUNDARY = 6, /* input or output lie outside the arena, or are misaligned */
    HB_PLAN_FAULT_KIND = 7, /* the firmware has no kernel of this kind */
    HB_PLAN_FAULT_RECORD = 8, /* an operator record has the wrong size */
    HB_PLAN_FAULT_TENSOR = 9, /* a tensor lies outside the arena, or is misaligned */
    HB_PLAN_FAULT_CONSTANT = 10, /* a constant lies outside the plan, or is misaligned */
    HB_PLAN_FAULT_SHAPE = 11, /* shapes of an operator contradict each other */
    HB_PLAN_FAULT_PARAMETER = 12, /* a requantisation parameter is outside its range */
    HB_PLAN_FAULT_NOT_LOADED = 13, /* no plan is loaded */
};

struct hb_plan_header {
    uint32_t magic;
    uint16_t version;
    uint16_t operators; /* how many records */
    uint32_t length; /* of the whole plan in bytes */
    uint32_t arena_bytes; /* input, output and scratch included */
    uint32_t operators_offset; /* first record, from the start of the plan */
    uint32_t constants_offset; /* constants section, from the start of the plan */
    uint32_t input; /* arena offset */
    uint32_t input_bytes;
    uint32_t output; /* arena offset */
    uint32_t output_bytes;
    uint32_t reserved_0; /* 0 */
    uint32_t reserved_1; /* 0 */
};
typedef char hb_plan_header_is_48_bytes[sizeof(struct hb_plan_header) == 48 ? 1 : -1];

struct hb_plan_head {
    uint16_t kind;
    uint16_t bytes; /* of this record, head included */
    uint32_t input; /* arena offset */
    uint32_t output; /* arena offset */
};
typedef char hb_plan_head_is_12_bytes[sizeof(struct hb_plan_head) == 12 ? 1 : -1];

struct hb_plan_window {
    uint16_t in_h;
    uint16_t in_w;
    uint16_t in_c;
    uint16_t out_h;
    uint16_t out_w;
    uint16_t out_c;
    uint16_t kernel_h;
    uint16_t kernel_w;
    uint16_t stride_h;
    uint16_t stride_w;
    uint16_t dilation_h;
    uint16_t dilation_w;
    uint16_t pad_top;
    uint16_t pad_left;
};
typedef char hb_plan_window_is_28_bytes[sizeof(struct hb_plan_window) == 28 ? 1 : -1];

struct hb_plan_quantised {
    int16_t input_zero_point;
    int16_t output_zero_point;
    int16_t minimum;
    int16_t maximum;
};
typedef char hb_plan_quantised_is_8_bytes[sizeof(struct hb_plan_quantised) == 8 ? 1 : -1];

struct hb_plan_range {
    float minimum;
    float maximum;
};
typedef char hb_plan_range_is_8_bytes[sizeof(struct hb_plan_range) == 8 ? 1 : -1];

struct hb_plan_broadcast {
    uint16_t mode; /* 0 add, 1 subtract, 2 subtract from input 2, 3 multiply, 4 max, 5 min */
    uint16_t constant; /* 1: input 2 is a constant */
    uint32_t input_2; /* arena offset, or constant */
    uint32_t size_0;
    uint32_t size_1;
    uint32_t size_2;
    uint32_t size_3;
    uint32_t stride_1_0;
    uint32_t stride_1_1;
    uint32_t stride_1_2;
    uint32_t stride_1_3;
    uint32_t stride_2_0;
    uint32_t stride_2_1;
    uint32_t stride_2_2;
    uint32_t stride_2_3;
};
typedef char hb_plan_broadcast_is_56_bytes[sizeof(struct hb_plan_broadcast) == 56 ? 1 : -1];

struct hb_plan_reduce {
    uint32_t kept_0;
    uint32_t kept_1;
    uint32_t kept_stride_0;
    uint32_t kept_stride_1;
    uint32_t summed_0;
    uint32_t summed_1;
    uint32_t summed_stride_0;
    uint32_t summed_stride_1;
};
typedef char hb_plan_reduce_is_32_bytes[sizeof(struct hb_plan_reduce) == 32 ? 1 : -1];

struct hb_plan_conv_s8 {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_quantised quantised;
    uint32_t weights; /* constant: int8 */
    uint32_t bias; /* constant: int32 per channel, input zero point folded in */
    uint32_t multipliers; /* constant: int32 */
    uint32_t shifts; /* constant: int8 */
    uint32_t border_bias; /* constant: int32 per channel, of windows that reach over the border */
};
typedef char hb_plan_conv_s8_is_68_bytes[sizeof(struct hb_plan_conv_s8) == 68 ? 1 : -1];

struct hb_plan_depthwise_s8 {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_quantised quantised;
    uint32_t weights; /* constant: int8 */
    uint32_t bias; /* constant: int32 per channel, input zero point folded in */
    uint32_t multipliers; /* constant: int32 */
    uint32_t shifts; /* constant: int8 */
    uint32_t border_bias; /* constant: int32 per channel, of windows that reach over the border */
};
typedef char hb_plan_depthwise_s8_is_68_bytes[sizeof(struct hb_plan_depthwise_s8) == 68 ? 1 : -1];

struct hb_plan_fc_s8 {
    struct hb_plan_head head;
    struct hb_plan_quantised quantised;
    uint32_t rows;
    uint32_t depth;
    uint32_t units;
    uint32_t scales; /* 1, or one per unit */
    uint32_t weights; /* constant: int8 */
    uint32_t bias; /* constant: int32 per channel, input zero point folded in */
    uint32_t multipliers; /* constant: int32 */
    uint32_t shifts; /* constant: int8 */
};
typedef char hb_plan_fc_s8_is_52_bytes[sizeof(struct hb_plan_fc_s8) == 52 ? 1 : -1];

struct hb_plan_add_s8 {
    struct hb_plan_head head;
    struct hb_plan_quantised quantised;
    int16_t input_2_zero_point;
    uint16_t reserved; /* 0 */
    uint32_t input_2; /* arena offset */
    uint32_t count;
    int32_t multiplier_1;
    int32_t shift_1;
    int32_t multiplier_2;
    int32_t shift_2;
    int32_t multiplier;
    int32_t shift;
};
typedef char hb_plan_add_s8_is_56_bytes[sizeof(struct hb_plan_add_s8) == 56 ? 1 : -1];

struct hb_plan_average_pool_s8 {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_quantised quantised;
};
typedef char hb_plan_average_pool_s8_is_48_bytes[sizeof(struct hb_plan_average_pool_s8) == 48 ? 1 : -1];

struct hb_plan_max_pool_s8 {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_quantised quantised;
};
typedef char hb_plan_max_pool_s8_is_48_bytes[sizeof(struct hb_plan_max_pool_s8) == 48 ? 1 : -1];

struct hb_plan_mean_s8 {
    struct hb_plan_head head;
    struct hb_plan_reduce reduce;
    struct hb_plan_quantised quantised;
    int32_t multiplier;
    int32_t shift;
};
typedef char hb_plan_mean_s8_is_60_bytes[sizeof(struct hb_plan_mean_s8) == 60 ? 1 : -1];

struct hb_plan_softmax_s8 {
    struct hb_plan_head head;
    uint32_t rows;
    uint32_t depth;
    int32_t multiplier;
    int32_t shift;
    int32_t diff_min;
};
typedef char hb_plan_softmax_s8_is_32_bytes[sizeof(struct hb_plan_softmax_s8) == 32 ? 1 : -1];

struct hb_plan_quantize_f32_s8 {
    struct hb_plan_head head;
    struct hb_plan_quantised quantised;
    uint32_t count;
    float scale;
};
typedef char hb_plan_quantize_f32_s8_is_28_bytes[sizeof(struct hb_plan_quantize_f32_s8) == 28 ? 1 : -1];

struct hb_plan_dequantize_s8_f32 {
    struct hb_plan_head head;
    struct hb_plan_quantised quantised;
    uint32_t count;
    float scale;
};
typedef char hb_plan_dequantize_s8_f32_is_28_bytes[sizeof(struct hb_plan_dequantize_s8_f32) == 28 ? 1 : -1];

struct hb_plan_lut_s8 {
    struct hb_plan_head head;
    uint32_t count;
    uint32_t table; /* constant: 256 int8, of -128 first */
};
typedef char hb_plan_lut_s8_is_20_bytes[sizeof(struct hb_plan_lut_s8) == 20 ? 1 : -1];

struct hb_plan_binary_s8 {
    struct hb_plan_head head;
    struct hb_plan_broadcast broadcast;
    struct hb_plan_quantised quantised;
    int16_t input_2_zero_point;
    uint16_t reserved; /* 0 */
    int32_t multiplier_1;
    int32_t shift_1;
    int32_t multiplier_2;
    int32_t shift_2;
    int32_t multiplier;
    int32_t shift;
};
typedef char hb_plan_binary_s8_is_104_bytes[sizeof(struct hb_plan_binary_s8) == 104 ? 1 : -1];

struct hb_plan_copy {
    struct hb_plan_head head;
    uint32_t in_offset;
    uint32_t out_offset;
    uint32_t block; /* bytes that lie together in both tensors */
    uint32_t fill_bytes; /* of the output that are filled first; 0: none */
    uint32_t fill_value; /* 4 bytes, repeated */
    uint32_t size_0;
    uint32_t size_1;
    uint32_t size_2;
    uint32_t size_3;
    uint32_t size_4;
    int32_t in_stride_0;
    int32_t in_stride_1;
    int32_t in_stride_2;
    int32_t in_stride_3;
    int32_t in_stride_4;
    int32_t out_stride_0;
    int32_t out_stride_1;
    int32_t out_stride_2;
    int32_t out_stride_3;
    int32_t out_stride_4;
};
typedef char hb_plan_copy_is_92_bytes[sizeof(struct hb_plan_copy) == 92 ? 1 : -1];

struct hb_plan_conv_f32 {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_range range;
    uint32_t weights; /* constant: float32 */
    uint32_t bias; /* constant: float32 per channel */
};
typedef char hb_plan_conv_f32_is_56_bytes[sizeof(struct hb_plan_conv_f32) == 56 ? 1 : -1];

struct hb_plan_depthwise_f32 {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_range range;
    uint32_t weights; /* constant: float32 */
    uint32_t bias; /* constant: float32 per channel */
};
typedef char hb_plan_depthwise_f32_is_56_bytes[sizeof(struct hb_plan_depthwise_f32) == 56 ? 1 : -1];

struct hb_plan_fc_f32 {
    struct hb_plan_head head;
    struct hb_plan_range range;
    uint32_t rows;
    uint32_t depth;
    uint32_t units;
    uint32_t weights; /* constant: float32 */
    uint32_t bias; /* constant: float32 per channel */
};
typedef char hb_plan_fc_f32_is_40_bytes[sizeof(struct hb_plan_fc_f32) == 40 ? 1 : -1];

struct hb_plan_average_pool_f32 {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_range range;
};
typedef char hb_plan_average_pool_f32_is_48_bytes[sizeof(struct hb_plan_average_pool_f32) == 48 ? 1 : -1];

struct hb_plan_max_pool_f32 {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_range range;
};
typedef char hb_plan_max_pool_f32_is_48_bytes[sizeof(struct hb_plan_max_pool_f32) == 48 ? 1 : -1];

struct hb_plan_mean_f32 {
    struct hb_plan_head head;
    struct hb_plan_reduce reduce;
    struct hb_plan_range range;
};
typedef char hb_plan_mean_f32_is_52_bytes[sizeof(struct hb_plan_mean_f32) == 52 ? 1 : -1];

struct hb_plan_softmax_f32 {
    struct hb_plan_head head;
    uint32_t rows;
    uint32_t depth;
    float beta;
};
typedef char hb_plan_softmax_f32_is_24_bytes[sizeof(struct hb_plan_softmax_f32) == 24 ? 1 : -1];

struct hb_plan_clamp_f32 {
    struct hb_plan_head head;
    struct hb_plan_range range;
    uint32_t count;
};
typedef char hb_plan_clamp_f32_is_24_bytes[sizeof(struct hb_plan_clamp_f32) == 24 ? 1 : -1];

struct hb_plan_binary_f32 {
    struct hb_plan_head head;
    struct hb_plan_broadcast broadcast;
    struct hb_plan_range range;
};
typedef char hb_plan_binary_f32_is_76_bytes[sizeof(struct hb_plan_binary_f32) == 76 ? 1 : -1];

struct hb_plan_unary_f32 {
    struct hb_plan_head head;
    uint32_t mode; /* 0 leaky relu, 1 hard swish, 2 logistic, 3 tanh */
    float alpha; /* slope below 0 of leaky relu */
    uint32_t count;
};
typedef char hb_plan_unary_f32_is_24_bytes[sizeof(struct hb_plan_unary_f32) == 24 ? 1 : -1];

struct hb_plan_fc_hybrid {
    struct hb_plan_head head;
    struct hb_plan_range range;
    uint32_t rows;
    uint32_t depth;
    uint32_t units;
    uint32_t scratch; /* arena offset: the quantised input */
    uint32_t asymmetric; /* 1: the input gets a zero point */
    uint32_t weights; /* constant: int8 */
    uint32_t bias; /* constant: float32 per channel */
    uint32_t weight_scales; /* constant: float32, one per channel; fc: one */
};
typedef char hb_plan_fc_hybrid_is_52_bytes[sizeof(struct hb_plan_fc_hybrid) == 52 ? 1 : -1];

struct hb_plan_conv_hybrid {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_range range;
    uint32_t scratch; /* arena offset: the quantised input */
    uint32_t asymmetric; /* 1: the input gets a zero point */
    uint32_t weights; /* constant: int8 */
    uint32_t bias; /* constant: float32 per channel */
    uint32_t weight_scales; /* constant: float32, one per channel; fc: one */
};
typedef char hb_plan_conv_hybrid_is_68_bytes[sizeof(struct hb_plan_conv_hybrid) == 68 ? 1 : -1];

struct hb_plan_depthwise_hybrid {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_range range;
    uint32_t scratch; /* arena offset: the quantised input */
    uint32_t asymmetric; /* 1: the input gets a zero point */
    uint32_t weights; /* constant: int8 */
    uint32_t bias; /* constant: float32 per channel */
    uint32_t weight_scales; /* constant: float32, one per channel; fc: one */
};
typedef char hb_plan_depthwise_hybrid_is_68_bytes[sizeof(struct hb_plan_depthwise_hybrid) == 68 ? 1 : -1];

struct hb_plan_conv_s8_dsp {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_quantised quantised;
    uint32_t filters; /* constant: per two output channels */
    uint32_t scratch; /* arena offset */
    uint32_t linear; /* 0: results below the output's zero point are clamped */
};
typedef char hb_plan_conv_s8_dsp_is_60_bytes[sizeof(struct hb_plan_conv_s8_dsp) == 60 ? 1 : -1];

struct hb_plan_fc_s8_dsp {
    struct hb_plan_head head;
    struct hb_plan_quantised quantised;
    uint32_t rows;
    uint32_t depth;
    uint32_t units;
    uint32_t filters; /* constant: per four units */
};
typedef char hb_plan_fc_s8_dsp_is_36_bytes[sizeof(struct hb_plan_fc_s8_dsp) == 36 ? 1 : -1];

struct hb_plan_depthwise3x3_s8_dsp {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_quantised quantised;
    uint32_t filters; /* constant: per channel */
    uint32_t scratch; /* arena offset */
    uint32_t linear; /* 0: results below the output's zero point are clamped */
    uint32_t vertical; /* 1: lines are columns, weights are transposed */
};
typedef char hb_plan_depthwise3x3_s8_dsp_is_64_bytes[sizeof(struct hb_plan_depthwise3x3_s8_dsp) == 64 ? 1 : -1];

struct hb_plan_depthwise_s8_dsp {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_quantised quantised;
    uint32_t filters; /* constant: per four channels */
    uint32_t linear; /* 0: results below the output's zero point are clamped */
};
typedef char hb_plan_depthwise_s8_dsp_is_56_bytes[sizeof(struct hb_plan_depthwise_s8_dsp) == 56 ? 1 : -1];

struct hb_plan_add_s8_dsp {
    struct hb_plan_head head;
    struct hb_plan_quantised quantised;
    int16_t input_2_zero_point;
    uint16_t halved; /* 1 or 2: the input that is only halved */
    uint32_t input_2; /* arena offset */
    uint32_t count;
    int32_t other_multiplier; /* of the other input */
    int32_t other_shift; /* to the right */
    int32_t multiplier;
    int32_t shift; /* to the right */
};
typedef char hb_plan_add_s8_dsp_is_48_bytes[sizeof(struct hb_plan_add_s8_dsp) == 48 ? 1 : -1];

struct hb_plan_average_pool_s8_dsp {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_quantised quantised;
};
typedef char hb_plan_average_pool_s8_dsp_is_48_bytes[sizeof(struct hb_plan_average_pool_s8_dsp) == 48 ? 1 : -1];

struct hb_plan_conv_s8_mve {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_quantised quantised;
    uint32_t away; /* 1: negative halves round away from zero; 0: never seen */
    uint32_t batch; /* of a step: output rows, or pixels where windows are pixels */
    uint32_t scratch; /* arena offset */
    uint32_t weights; /* constant: int8, [block][step][4 channels][16 of depth] */
    uint32_t scales; /* constant: bias, multiplier, shift of each block */
};
typedef char hb_plan_conv_s8_mve_is_68_bytes[sizeof(struct hb_plan_conv_s8_mve) == 68 ? 1 : -1];

struct hb_plan_depthwise_3x3_s8_mve {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_quantised quantised;
    uint32_t away; /* 1: negative halves round away from zero; 0: never seen */
    uint32_t scratch; /* arena offset */
    uint32_t weights; /* constant: int8, [channel][4 columns][4 rows], 4 zeros behind */
    uint32_t scales; /* constant: int32 bias, multiplier, shift of each channel */
};
typedef char hb_plan_depthwise_3x3_s8_mve_is_64_bytes[sizeof(struct hb_plan_depthwise_3x3_s8_mve) == 64 ? 1 : -1];

struct hb_plan_depthwise_s8_mve {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_quantised quantised;
    uint32_t away; /* 1: negative halves round away from zero; 0: never seen */
    uint32_t scratch; /* arena offset */
    uint32_t weights; /* constant: int8, [group][tap][8 channels], taps even */
    uint32_t scales; /* constant: of each group, even channels then odd */
};
typedef char hb_plan_depthwise_s8_mve_is_64_bytes[sizeof(struct hb_plan_depthwise_s8_mve) == 64 ? 1 : -1];

struct hb_plan_fc_s8_mve {
    struct hb_plan_head head;
    struct hb_plan_quantised quantised;
    uint32_t rows;
    uint32_t depth;
    uint32_t units;
    uint32_t away; /* 1: negative halves round away from zero; 0: never seen */
    uint32_t scratch; /* arena offset; unused where depth is a multiple of 16 */
    uint32_t weights; /* constant: int8, [block][step][4 channels][16 of depth] */
    uint32_t bias; /* constant: int32 per unit, padded to a block */
    int32_t multiplier;
    int32_t shift;
};
typedef char hb_plan_fc_s8_mve_is_56_bytes[sizeof(struct hb_plan_fc_s8_mve) == 56 ? 1 : -1];

struct hb_plan_add_s8_mve {
    struct hb_plan_head head;
    struct hb_plan_quantised quantised;
    int16_t input_2_zero_point;
    uint16_t second; /* 1: the second input is the scaled one, the other is halved */
    uint32_t input_2; /* arena offset */
    uint32_t count;
    int32_t scaled_multiplier;
    int32_t scaled_shift;
    int32_t multiplier;
    int32_t shift;
    uint32_t away; /* 1: negative halves round away from zero; 0: never seen */
};
typedef char hb_plan_add_s8_mve_is_52_bytes[sizeof(struct hb_plan_add_s8_mve) == 52 ? 1 : -1];

struct hb_plan_average_pool_s8_mve {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_quantised quantised;
};
typedef char hb_plan_average_pool_s8_mve_is_48_bytes[sizeof(struct hb_plan_average_pool_s8_mve) == 48 ? 1 : -1];

struct hb_plan_depthwise_3x3_s2_s8_mve {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_quantised quantised;
    uint32_t away; /* 1: negative halves round away from zero; 0: never seen */
    uint32_t scratch; /* arena offset */
    uint32_t weights; /* constant: int8, 6 zeros, 3 columns of 3 rows, 1 zero a channel */
    uint32_t scales; /* constant: bias, multiplier, shift of each block */
};
typedef char hb_plan_depthwise_3x3_s2_s8_mve_is_64_bytes[sizeof(struct hb_plan_depthwise_3x3_s2_s8_mve) == 64 ? 1 : -1];

struct hb_plan_conv_f32_fpu {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_range range;
    uint32_t filters; /* constant: per four output channels */
    uint32_t scratch; /* arena offset: four windows, if any is gathered */
};
typedef char hb_plan_conv_f32_fpu_is_56_bytes[sizeof(struct hb_plan_conv_f32_fpu) == 56 ? 1 : -1];

struct hb_plan_depthwise_f32_fpu {
    struct hb_plan_head head;
    struct hb_plan_window window;
    struct hb_plan_range range;
    uint32_t filters; /* constant: per eight channels */
};
typedef char hb_plan_depthwise_f32_fpu_is_52_bytes[sizeof(struct hb_plan_depthwise_f32_fpu) == 52 ? 1 : -1];

#endif
