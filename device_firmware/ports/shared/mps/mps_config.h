/* Sizes that all MPS ports share; the core takes them through hb_port_config.h. */
#ifndef HB_MPS_CONFIG_H
#define HB_MPS_CONFIG_H

#define HB_PACKET_BYTES     1024 /* payload */
#define HB_RING_BYTES       8192
#define HB_WINDOW_BYTES     (HB_RING_BYTES - 1) /* one place of the ring stays empty */
#define HB_TICKS_CAPACITY   1024
#define HB_PROFILE_CAPACITY 128

#endif
