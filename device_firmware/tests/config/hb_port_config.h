/* Small, so that tests reach every limit. */
#ifndef HB_PORT_CONFIG_H
#define HB_PORT_CONFIG_H

#define HB_PACKET_BYTES     256
#define HB_RING_BYTES       64
#define HB_WINDOW_BYTES     512
#define HB_TICKS_CAPACITY   8
#define HB_PROFILE_CAPACITY 4

#endif
