/* A host process: sizes are generous, so that the link and not the board is the limit. */
#ifndef HB_PORT_CONFIG_H
#define HB_PORT_CONFIG_H

#define HB_PACKET_BYTES     4096
#define HB_RING_BYTES       1024 /* not used: the PTY is the ring */
#define HB_WINDOW_BYTES     65536
#define HB_TICKS_CAPACITY   65536
#define HB_PROFILE_CAPACITY 256

#endif
