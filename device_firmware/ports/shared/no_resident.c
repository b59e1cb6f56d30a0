/* hb_port_resident() of every port whose models are loaded into the pool. */
#include "hb_port.h"

bool hb_port_resident(struct hb_resident *out) {
    (void)out;
    return false;
}
