/* Raspberry Pi Pico. */
#ifndef HB_PORT_CONFIG_H
#define HB_PORT_CONFIG_H

#define HB_PACKET_BYTES     1024 /* payload */
#define HB_RING_BYTES       8192
#define HB_WINDOW_BYTES     (HB_RING_BYTES - 1) /* one place of the ring stays empty */
#define HB_TICKS_CAPACITY   1024
#define HB_PROFILE_CAPACITY 128

#define HB_UART_IRQ  20u /* UART0 */
#define HB_UART_BAUD 115200u
#define HB_UART_TX   0u        /* GP0 */
#define HB_UART_RX   1u        /* GP1 */
#define HB_MARKER    2u        /* GP2 */
#define HB_XOSC_HZ   12000000u /* a whole number of MHz up to 15 */

#endif
