/* hb_port_resident() of ports whose plan is in flash. */
#include "hb_port.h"
#include "hb_resident.h"

extern uint8_t hb_resident_capacity[]; /* its address is the number, from image.ld */

__attribute__((section(".hb_resident"), aligned(16),
               used)) static const struct hb_resident_header section = {
    .magic = HB_RESIDENT_MAGIC, .capacity = (uint32_t)hb_resident_capacity};

bool hb_port_resident(struct hb_resident *out) {
    const struct hb_resident_header *header = &section;
    __asm("" : "+r"(header)); /* the host writes into the image: it is not what is compiled here */
    return hb_resident_read(header, out);
}
