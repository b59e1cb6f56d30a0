/* How input rows come to scratch for the depthwise kernels of 3x3: words of four channels, as
 * [group of 4 channels][column][row][4 channels], so that VLD4 takes a tile of each channel. */
#ifndef HB_MVE_SPREAD_H
#define HB_MVE_SPREAD_H

#include "mve.h"

#define HB_MVE_GROUP 4 /* channels */

struct hb_mve_rows {
    const struct hb_plan_window *window;
    const int8_t *input;
    int8_t *scratch; /* 16 zero points, then the rows */
    int32_t columns; /* in scratch */
};

/* Row y of the input, or of the padding, becomes row `row` of scratch, where a column's rows and
 * channels are `column_bytes`. Columns in the padding stay what they are. */
HB_INLINE void hb_mve_spread(const struct hb_mve_rows *r, int32_t y, int32_t row,
                             int32_t column_bytes) {
    const struct hb_plan_window *w = r->window;
    const bool inside = y >= 0 && y < w->in_h;
    const int32_t room = r->columns - w->pad_left;
    const int32_t columns = w->in_w < room ? w->in_w : room;
    const int32_t pitch = r->columns * column_bytes;
    const int32_t next = inside ? w->in_c : 0;
    const int32_t next_groups = inside ? 16 : 0;
    const int8_t *from = inside ? r->input + y * w->in_w * w->in_c : r->scratch;
    int8_t *to = r->scratch + 16 + w->pad_left * column_bytes + row * HB_MVE_GROUP;
#ifdef __ARM_FEATURE_MVE
    const uint32x4_t numbers = vidupq_n_u32(0, 1);
    uint32x4_t places =
        vaddq_n_u32(vmulq_n_u32(numbers, (uint32_t)pitch), (uint32_t)(to - column_bytes));
    for (int32_t groups = w->in_c / HB_MVE_GROUP; groups > 0; groups -= 4) {
        const int8_t *value = from;
        uint32x4_t place = places;
        __asm volatile("vctp.32 %[groups]\n\t"
                       "dls lr, %[columns]\n"
                       "1:\n\t"
                       "vpstt\n\t"
                       "vldrwt.32 q0, [%[value]]\n\t"
                       "vstrwt.32 q0, [%q[place], %[column_bytes]]!\n\t"
                       "add %[value], %[next]\n\t"
                       "le lr, 1b"
                       : [value] "+r"(value), [place] "+w"(place)
                       : [columns] "r"(columns), [groups] "r"(groups), [next] "r"(next),
                         [column_bytes] "i"(column_bytes)
                       : "lr", "q0", "memory");
        places = vaddq_n_u32(places, 4u * (uint32_t)pitch);
        from += next_groups;
    }
#else
    for (int32_t group = 0; group < w->in_c / HB_MVE_GROUP; group++) {
        for (int32_t column = 0; column < columns; column++) {
            memcpy(to + group * pitch + column * column_bytes,
                   from + column * next + group / 4 * next_groups + group % 4 * HB_MVE_GROUP,
                   HB_MVE_GROUP);
        }
    }
#endif
}

#endif
