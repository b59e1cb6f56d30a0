#include "hb_sha256.h"

#include <string.h>

#define BLOCK_BYTES 64u

static const HB_CONST uint32_t round_constants[64] = {
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u,
    0xab1c5ed5u, 0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu,
    0x9bdc06a7u, 0xc19bf174u, 0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu,
    0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau, 0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u,
    0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u, 0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu,
    0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u, 0xa2bfe8a1u, 0xa81a664bu,
    0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u, 0x19a4c116u,
    0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u,
    0xc67178f2u,
};

#ifdef __AVR__
/* By whole bytes, which are moves, then bit by bit to either side: a shift by a distance is a loop
 * there, and all of SHA-256 takes three times as long. */
__attribute__((always_inline)) static inline uint32_t rotate_right(uint32_t value, unsigned by) {
    const unsigned whole = (by + 4) / 8 * 8;
    value = whole > 0 ? (value >> whole) | (value << (32u - whole)) : value;
    for (unsigned i = whole; i < by; ++i) {
        value = (value >> 1) | (value << 31);
    }
    for (unsigned i = by; i < whole; ++i) {
        value = (value << 1) | (value >> 31);
    }
    return value;
}
#else
static uint32_t rotate_right(uint32_t value, unsigned by) {
    return (value >> by) | (value << (32u - by));
}
#endif

/* FIPS 180-4 section 6.2.2; the message schedule lives in 16 words that are reused. */
static void compress(uint32_t state[8], const uint8_t *block) {
    uint32_t w[16], s[8];
    for (unsigned i = 0; i < 16; ++i) {
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    }
    memcpy(s, state, sizeof s);
    for (unsigned i = 0; i < 64; ++i) {
        if (i >= 16) {
            uint32_t w15 = w[(i + 1) & 15u], w2 = w[(i + 14) & 15u];
            w[i & 15u] += (rotate_right(w15, 7) ^ rotate_right(w15, 18) ^ (w15 >> 3)) +
                          w[(i + 9) & 15u] +
                          (rotate_right(w2, 17) ^ rotate_right(w2, 19) ^ (w2 >> 10));
        }
        uint32_t sum1 = rotate_right(s[4], 6) ^ rotate_right(s[4], 11) ^ rotate_right(s[4], 25);
        uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
        uint32_t t1 = s[7] + sum1 + choice + round_constants[i] + w[i & 15u];
        uint32_t sum0 = rotate_right(s[0], 2) ^ rotate_right(s[0], 13) ^ rotate_right(s[0], 22);
        uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
        s[7] = s[6];
        s[6] = s[5];
        s[5] = s[4];
        s[4] = s[3] + t1;
        s[3] = s[2];
        s[2] = s[1];
        s[1] = s[0];
        s[0] = t1 + sum0 + majority;
    }
    for (unsigned i = 0; i < 8; ++i) {
        state[i] += s[i];
    }
}

void hb_sha256(const HB_CONST uint8_t *data, size_t length, uint8_t digest[HB_SHA256_BYTES]) {
    uint32_t state[8] = {0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au,
                         0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u};
    uint8_t block[BLOCK_BYTES];
    size_t left = length;
    for (; left >= BLOCK_BYTES; left -= BLOCK_BYTES, data += BLOCK_BYTES) {
        hb_const_copy(block, data, BLOCK_BYTES);
        compress(state, block);
    }
    memset(block, 0, sizeof block);
    if (left > 0) {
        hb_const_copy(block, data, left);
    }
    block[left] = 0x80;
    if (left >= BLOCK_BYTES - 8) {
        compress(state, block);
        memset(block, 0, sizeof block);
    }
    uint64_t bits = (uint64_t)length * 8;
    for (unsigned i = 0; i < 8; ++i) {
        block[BLOCK_BYTES - 1 - i] = (uint8_t)(bits >> (8 * i));
    }
    compress(state, block);
    for (unsigned i = 0; i < HB_SHA256_BYTES; ++i) {
        digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
    }
}
