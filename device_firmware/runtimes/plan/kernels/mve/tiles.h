/* Depthwise 3x3, stride 1: a tile of 4x4 values holds the windows of 2x2 outputs, and is 16 bytes.
 *
 * The rows in use lie in scratch as [group of 4 channels][column][4 rows][4 channels], so that VLD4
 * takes four tiles, one per channel, to registers. A window is a tile times the nine weights at one
 * of four places. Tiles go from right to left: of an odd width the last one writes an output too
 * many, which its neighbours write again. */
#ifndef HB_MVE_TILES_H
#define HB_MVE_TILES_H

#include "mve.h"

/* A group's weights are [4 channels][4 columns][4 rows], the first column and the last row zeros;
 * behind the last group follow four zeros. */
#define HB_MVE_TILE_WEIGHTS 64

struct hb_mve_tile_scales {
    int32_t bias, multiplier, shift;
};

/* The assembly knows the offsets. */
struct hb_mve_tiles {
    const int8_t *tile;                      /* 0: the rightmost */
    const int8_t *weights;                   /* 4 */
    const struct hb_mve_tile_scales *scales; /* 8 */
    const int8_t *weights_end;               /* 12: without the four zeros */
    int32_t count;                           /* 16: tiles in a row */
    int32_t zero_point;                      /* 20: of the output */
    int32_t next_tile;   /* 24: from left of a group's last to the next group's first */
    int32_t next_output; /* 28 */
    int32_t away;        /* 32 */
    int32_t step;        /* 36: bytes between tiles in the output */
    uint32_t lanes;      /* 40: which of the four to write, 4 bits each */
    uint32_t reserved;   /* 44 */
    int8_t *output[4];   /* 48: of the rightmost: top left, top right, bottom left, right */
};

#ifdef __ARM_FEATURE_MVE

/* Tile q, one channel, becomes its four results: windows at the left (r0, r4) and one column to the
 * right (r2, r6), at the top (r0, r2) and, with all rows moved up, one row down (r4, r6). r3:
 * weights, r5: scales. */
#define HB_MVE_TILE(q, left, right)                                                                \
    "vldrw.32 q4, [r3, #" left "]\n\t"                                                             \
    "ldm r5!, {r8, r10, r12}\n\t"                                                                  \
    "vmladav.s8 r0, " q ", q4\n\t"                                                                 \
    "vldrw.32 q5, [r3, #" right "]\n\t"                                                            \
    "vmladav.s8 r2, " q ", q5\n\t"                                                                 \
    "vshr.u32 " q ", " q ", #8\n\t"                                                                \
    "vmladav.s8 r4, " q ", q4\n\t"                                                                 \
    "vmladav.s8 r6, " q ", q5\n\t"                                                                 \
    "vmov " q "[2], " q "[0], r0, r4\n\t"                                                          \
    "vmov " q "[3], " q "[1], r2, r6\n\t"                                                          \
    "vadd.i32 " q ", " q ", r8\n\t"                                                                \
    "vqrdmulh.s32 " q ", " q ", r10\n\t"                                                           \
    "vqdmlah.s32 " q ", " q ", r9\n\t"                                                             \
    "vrshl.s32 " q ", r12\n\t"

/* r1: tile, r7: p, r9: away, r11: step. */
#define HB_MVE_TILES(turn)                                                                         \
    "ldm r7, {r1, r3, r5}\n\t"                                                                     \
    "ldr r8, [r7, #40]\n\t"                                                                        \
    "vmsr p0, r8\n\t"                                                                              \
    "ldrd r9, r11, [r7, #32]\n\t"                                                                  \
    "vldrw.32 q6, [r7, #48]\n"                                                                     \
    "1:\n\t"                                                                                       \
    "ldr r8, [r7, #16]\n\t"                                                                        \
    "dls lr, r8\n"                                                                                 \
    "2:\n\t"                                                                                       \
    "vld40.8 {q0, q1, q2, q3}, [r1]\n\t"                                                           \
    "vld41.8 {q0, q1, q2, q3}, [r1]\n\t"                                                           \
    "vld42.8 {q0, q1, q2, q3}, [r1]\n\t"                                                           \
    "vld43.8 {q0, q1, q2, q3}, [r1]\n\t"                                                           \
    "sub r1, r1, #32\n\t" turn HB_MVE_TILE("q0", "4", "0") HB_MVE_TILE("q1", "20", "16")           \
        HB_MVE_TILE("q2", "36", "32") HB_MVE_TILE("q3", "52", "48") "ldr r8, [r7, #20]\n\t"        \
                                                                    "sub r5, r5, #48\n\t"          \
                                                                    "vqmovnb.s32 q4, q0\n\t"       \
                                                                    "vqmovnb.s32 q5, q1\n\t"       \
                                                                    "vqmovnt.s32 q4, q2\n\t"       \
                                                                    "vqmovnt.s32 q5, q3\n\t"       \
                                                                    "vqadd.s16 q4, q4, r8\n\t"     \
                                                                    "vqadd.s16 q5, q5, r8\n\t"     \
                                                                    "vqmovnb.s16 q4, q4\n\t"       \
                                                                    "vqmovnt.s16 q4, q5\n\t"       \
                                                                    "vpst\n\t"                     \
                                                                    "vstrwt.32 q4, [q6]\n\t"       \
                                                                    "vsub.i32 q6, q6, r11\n\t"     \
                                                                    "le lr, 2b\n\t"                \
                                                                    "ldrd r8, r10, [r7, #24]\n\t"  \
                                                                    "ldr r12, [r7, #12]\n\t"       \
                                                                    "add r1, r1, r8\n\t"           \
                                                                    "vadd.i32 q6, q6, r10\n\t"     \
                                                                    "add r3, r3, #64\n\t"          \
                                                                    "add r5, r5, #48\n\t"          \
                                                                    "cmp r3, r12\n\t"              \
                                                                    "bne 1b"

#define HB_MVE_TILES_ASM(turn)                                                                     \
    __asm volatile(HB_MVE_TILES(turn)                                                              \
                   : "+r"(r7)                                                                      \
                   :                                                                               \
                   : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12",    \
                     "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6", "cc", "memory")

__attribute__((noinline)) static void hb_mve_tiles_upright(const struct hb_mve_tiles *p) {
    register const struct hb_mve_tiles *r7 __asm("r7") = p;
    HB_MVE_TILES_ASM("");
}

/* The scratch rows 0 and 1 hold the tiles' rows 2 and 3. */
__attribute__((noinline)) static void hb_mve_tiles_turned(const struct hb_mve_tiles *p) {
    register const struct hb_mve_tiles *r7 __asm("r7") = p;
    HB_MVE_TILES_ASM("vrev32.16 q0, q0\n\tvrev32.16 q1, q1\n\t"
                     "vrev32.16 q2, q2\n\tvrev32.16 q3, q3\n\t");
}

#else

/* One channel of one output: its window begins in tile column x and row y. */
static int8_t hb_mve_tile_output(const struct hb_mve_tiles *p, const int8_t *tile,
                                 const int8_t *weights, const struct hb_mve_tile_scales *scales,
                                 int32_t y, int32_t x, int32_t turn) {
    uint32_t sum = (uint32_t)scales->bias;
    for (int32_t column = 0; column < 3; column++) {
        for (int32_t row = 0; row < 3; row++) {
            const int32_t value = tile[(x + column) * 16 + (y + row + turn) % 4 * 4];
            sum += (uint32_t)(value * weights[4 + column * 4 + row]);
        }
    }
    int32_t scaled[4];
    vstrwq_s32(scaled, hb_mve_scale(vdupq_n_s32((int32_t)sum), vdupq_n_s32(scales->multiplier),
                                    vdupq_n_s32(scales->shift), p->away));
    return (int8_t)hb_clamp(hb_clamp(scaled[0], INT16_MIN, INT16_MAX) + p->zero_point, INT8_MIN,
                            INT8_MAX);
}

static void hb_mve_tiles(const struct hb_mve_tiles *p, int32_t turn) {
    const int8_t *tile = p->tile;
    const struct hb_mve_tile_scales *scales = p->scales;
    int8_t *output[4] = {p->output[0], p->output[1], p->output[2], p->output[3]};
    for (const int8_t *weights = p->weights; weights != p->weights_end;
         weights += HB_MVE_TILE_WEIGHTS, scales += 4) {
        for (int32_t i = 0; i < p->count; i++, tile -= 32) {
            for (uint32_t lane = 0; lane < 4u; lane++, output[lane - 1u] -= p->step) {
                for (int32_t c = 0; (p->lanes >> (4u * lane) & 1u) != 0u && c < 4; c++) {
                    output[lane][c] =
                        hb_mve_tile_output(p, tile + c, weights + 16 * c, scales + c,
                                           (int32_t)(lane / 2u), (int32_t)(lane % 2u), turn);
                }
            }
        }
        tile += p->next_tile;
        for (uint32_t lane = 0; lane < 4u; lane++) {
            output[lane] += p->next_output;
        }
    }
}

static void hb_mve_tiles_upright(const struct hb_mve_tiles *p) {
    hb_mve_tiles(p, 0);
}

static void hb_mve_tiles_turned(const struct hb_mve_tiles *p) {
    hb_mve_tiles(p, 2);
}

#endif

#endif
