/* Netduino Plus 2: STM32F405RG with a crystal of 25 MHz. Another F405/F407 board differs here. */
#ifndef HB_PORT_CONFIG_H
#define HB_PORT_CONFIG_H

#define HB_PACKET_BYTES     1024 /* payload */
#define HB_RING_BYTES       8192
#define HB_WINDOW_BYTES     (HB_RING_BYTES - 1) /* one place of the ring stays empty */
#define HB_TICKS_CAPACITY   1024
#define HB_PROFILE_CAPACITY 128

#define HB_UART_IRQ  37u /* USART1 */
#define HB_UART_BAUD 115200u
#define HB_HSE_HZ    25000000u /* a whole number of MHz from 1 to 63 */
#define HB_UART_TX   6u        /* PB6: the pin marked SDA */
#define HB_UART_RX   7u        /* PB7: the pin marked SCL */
#define HB_MARKER    13u       /* PB13: D13 */

#endif
