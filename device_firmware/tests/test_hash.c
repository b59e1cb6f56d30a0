/* CRC-32 and SHA-256 against published and hashlib's values. */
#include "check.h"
#include "hb_crc32.h"
#include "hb_sha256.h"

#include "golden_types.h"

#include "golden.h"

static void crc32_known_answer(void) {
    const uint8_t *nine = (const uint8_t *)"123456789";
    CHECK_EQ(hb_crc32(0, nine, 9), 0xCBF43926u); /* the check value of CRC-32/ISO-HDLC */
    CHECK_EQ(hb_crc32(0, nine, 0), 0);
    for (size_t cut = 0; cut <= 9; ++cut) {
        CHECK_EQ(hb_crc32(hb_crc32(0, nine, cut), nine + cut, 9 - cut), 0xCBF43926u);
    }
}

static void sha256_is(const char *text, const char *hex) {
    uint8_t digest[HB_SHA256_BYTES];
    char got[2 * HB_SHA256_BYTES + 1];
    hb_sha256((const uint8_t *)text, strlen(text), digest);
    for (size_t i = 0; i < sizeof digest; ++i) {
        snprintf(got + 2 * i, 3, "%02x", digest[i]);
    }
    CHECK(strcmp(got, hex) == 0);
}

/* FIPS 180-4 example values (NIST, "SHA256.pdf"). */
static void sha256_examples(void) {
    sha256_is("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256_is("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_is("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    sha256_is("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopq"
              "klmnopqrlmnopqrsmnopqrstnopqrstu",
              "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
}

static void sha256_of_every_padding(void) {
    uint8_t pattern[sizeof digests / sizeof digests[0]], digest[HB_SHA256_BYTES];
    for (size_t n = 0; n < sizeof pattern; ++n) {
        pattern[n] = (uint8_t)(7 * n);
        hb_sha256(pattern, n, digest);
        CHECK(memcmp(digest, digests[n], sizeof digest) == 0);
    }
}

int main(void) {
    crc32_known_answer();
    sha256_examples();
    sha256_of_every_padding();
    (void)golden;
    puts("hash: ok");
}
