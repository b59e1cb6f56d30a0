/* Constants that stay where the image has them: weights, op records, tables.
 *
 * On most machines that is memory like any other, and HB_CONST is nothing. An AVR reads flash with
 * other instructions than RAM: there HB_CONST is the address space __flash, the compiler chooses
 * the instruction by the pointer's type, and a pointer of the wrong kind does not compile. */
#ifndef HB_CONST_H
#define HB_CONST_H

#include <stddef.h>
#include <string.h>

#ifdef __AVR__
#include <avr/pgmspace.h>
#define HB_CONST __flash /* needs -std=gnu99 */
#else
#define HB_CONST
#endif

static inline void hb_const_copy(void *to, const HB_CONST void *from, size_t length) {
#ifdef __AVR__
    memcpy_P(to, from, length);
#else
    memcpy(to, from, length);
#endif
}

#endif
