/* Sizes that the core takes from the port. */
#ifndef HB_PORT_CONFIG_H
#define HB_PORT_CONFIG_H

#define HB_PACKET_BYTES     1024 /* payload */
#define HB_RING_BYTES       1024 /* not used: the UART's FIFO is the ring */
#define HB_WINDOW_BYTES     8192 /* the FIFO */
#define HB_TICKS_CAPACITY   1024
#define HB_PROFILE_CAPACITY 128

#endif
