/* Stack high water by painting: a lower bound, as a function may skip over bytes it reserved. */
#ifndef HB_STACK_H
#define HB_STACK_H

#include <stdint.h>

void hb_stack_paint(void);
uint32_t hb_stack_bytes(void);
uint32_t hb_stack_used_bytes(void);

#endif
