/* The kernels of the set "dsp". */
#define HB_DSP_KERNELS(X)
