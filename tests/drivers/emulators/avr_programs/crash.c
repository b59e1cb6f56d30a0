/* Jumps where no flash is. */
int main(void) {
    __asm__ volatile("jmp 0x1fffe");
    for (;;) {
    }
}
