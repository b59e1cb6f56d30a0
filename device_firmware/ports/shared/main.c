/* main() of every image whose port has no arguments to read. */
#include "hb_core.h"

int main(void) {
    hb_core_run();
}
