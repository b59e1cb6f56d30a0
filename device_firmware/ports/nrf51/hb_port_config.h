/* 16 KB of RAM: about 11 KB of it are left for model, arena and vectors. */
#ifndef HB_PORT_CONFIG_H
#define HB_PORT_CONFIG_H

#define HB_PACKET_BYTES     256 /* payload */
#define HB_RING_BYTES       1024
#define HB_WINDOW_BYTES     (HB_RING_BYTES - 1) /* one place of the ring stays empty */
#define HB_TICKS_CAPACITY   256
#define HB_PROFILE_CAPACITY 32

#endif
