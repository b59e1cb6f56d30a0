/* nRF52840-DK (PCA10056), or the Arduino Nano 33 BLE: see port.mk. */
#ifndef HB_PORT_CONFIG_H
#define HB_PORT_CONFIG_H

#define HB_PACKET_BYTES     1024 /* payload */
#define HB_RING_BYTES       8192
#define HB_WINDOW_BYTES     (HB_RING_BYTES - 1) /* one place of the ring stays empty */
#define HB_TICKS_CAPACITY   1024
#define HB_PROFILE_CAPACITY 128

#define HB_UART_IRQ 2u /* UART0 */

/* A pin is 32 * port + number. */
#ifdef HB_NANO33BLE
#define HB_UART_TX 35u /* P1.03: D1, TX */
#define HB_UART_RX 42u /* P1.10: D0, RX */
#define HB_MARKER  43u /* P1.11: D2 */
#else
#define HB_UART_TX 6u  /* P0.06, to the interface chip's USB serial port */
#define HB_UART_RX 8u  /* P0.08 */
#define HB_MARKER  35u /* P1.03: D2 */
#endif

#endif
