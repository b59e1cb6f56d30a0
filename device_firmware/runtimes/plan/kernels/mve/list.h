/* The kernels of the set "mve". */
#define HB_MVE_KERNELS(X)
