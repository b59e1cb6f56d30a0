/* NUCLEO-L4R5ZI (UM2179). */
#ifndef HB_PORT_CONFIG_H
#define HB_PORT_CONFIG_H

#define HB_PACKET_BYTES     1024 /* payload */
#define HB_RING_BYTES       8192
#define HB_WINDOW_BYTES     (HB_RING_BYTES - 1) /* one place of the ring stays empty */
#define HB_TICKS_CAPACITY   1024
#define HB_PROFILE_CAPACITY 128

#define HB_UART_IRQ  70u /* LPUART1 */
#define HB_UART_BAUD 115200u
#define HB_UART_TX   7u  /* PG7, to the ST-LINK's virtual COM port */
#define HB_UART_RX   8u  /* PG8 */
#define HB_MARKER    13u /* PF13: D7, where EnergyRunner listens too */

#endif
