/* Arduino Uno: 2048 bytes of RAM, of which
 *
 *     176  constants that are not read through HB_CONST: texts, kernel and type tables
 *     744  the core: a packet 204, ticks 64, profile 64, histogram 256, state
 *     286  the port: ring, counter
 *     248  pool: arena and vectors (the zoo's MLP: 80, and two vectors of 80); the plan is in flash
 *       2  guard
 *     592  stack (port.mk); 519 used, by LOAD's SHA-256
 *
 * The linker gives to the pool what is left. */
#ifndef HB_PORT_CONFIG_H
#define HB_PORT_CONFIG_H

#define HB_PACKET_BYTES 192 /* the smallest that a HELLO_REPLY fits */
#define HB_RING_BYTES   256 /* the most that an index of one byte can tell */
/* Two packets: one that is being worked on has left the ring, where the other is. Many small
 * requests with long answers can overflow it; then some are lost, counted, and asked again. */
#define HB_WINDOW_BYTES     (2 * (HB_PACKET_BYTES + 16))
#define HB_TICKS_CAPACITY   16 /* 64 bytes */
#define HB_PROFILE_CAPACITY 8  /* 64 bytes */

#endif
