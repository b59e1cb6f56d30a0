/* Second stage of the RP2040's boot ROM, which copies it to SRAM and calls it with the flash not yet
 * mapped: map it with the plain serial read (03h) that every flash chip has, then start the image.
 * Registers: RP2040 datasheet, "SSI: List of Registers".
 *
 * 32 bits of flash take 64 bits on one wire. Quad reads would be faster and differ by flash chip; the
 * cache of 16 KB hides most of it, and a plan is in RAM. */
    .syntax unified
    .thumb
    .text

    ldr r3, =0x18000000     /* XIP_SSI_BASE */
    movs r0, #0
    str r0, [r3, #0x08]     /* SSIENR: off while it is set up */
    movs r1, #4
    str r1, [r3, #0x14]     /* BAUDR: 125 MHz / 4, below the 50 MHz of 03h */
    ldr r1, =0x001F0300     /* 32 bits a data frame (DFS_32), TMOD "EEPROM read", one wire */
    str r1, [r3, #0x00]     /* CTRLR0 */
    str r0, [r3, #0x04]     /* CTRLR1: one data frame */
    ldr r1, =0x03000218     /* XIP_CMD 03h, INST_L 8 bits, ADDR_L 24 bits, no wait cycles */
    ldr r2, =0x180000F4     /* SPI_CTRLR0 */
    str r1, [r2]
    movs r1, #1
    str r1, [r3, #0x08]     /* SSIENR: on; from here the flash is memory */

    ldr r0, =0x10000100     /* the image's vectors */
    ldr r1, =0xE000ED08     /* VTOR */
    str r0, [r1]
    ldmia r0!, {r1, r2}
    msr msp, r1
    bx r2
    .ltorg
