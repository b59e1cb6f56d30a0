/* Which kernels this image has. Every set is a folder with a list.h; the sets beside "portable" are
 * there where the processor has their instructions.
 *
 * A port without room for all portable kernels names its own in port.mk; a plan that asks for
 * another is refused at load:
 *
 *     CFLAGS += '-DHB_KERNELS(X)=X(fc_s8) X(softmax_s8)' */
#include "hb_kernel.h"

#ifdef HB_KERNELS
#define NAME(kernel) " " #kernel
#define LIST         ":" HB_KERNELS(NAME)
#else
#define LIST
#include "portable/list.h"
#define HB_KERNELS HB_PORTABLE_KERNELS
#endif

#define DECLARE(kernel) extern const struct hb_kernel hb_portable_##kernel;
#define ADDRESS(kernel) &hb_portable_##kernel,
HB_KERNELS(DECLARE)

#ifdef HB_WITH_DSP
#include "dsp/list.h"
#define DECLARE_DSP(kernel) extern const struct hb_kernel hb_dsp_##kernel;
#define ADDRESS_DSP(kernel) &hb_dsp_##kernel,
#define DSP                 " dsp"
HB_DSP_KERNELS(DECLARE_DSP)
#else
#define DSP
#define ADDRESS_DSP(kernel)
#define HB_DSP_KERNELS(X)
#endif

#ifdef HB_WITH_MVE
#include "mve/list.h"
#define DECLARE_MVE(kernel) extern const struct hb_kernel hb_mve_##kernel;
#define ADDRESS_MVE(kernel) &hb_mve_##kernel,
#define MVE                 " mve"
HB_MVE_KERNELS(DECLARE_MVE)
#else
#define MVE
#define ADDRESS_MVE(kernel)
#define HB_MVE_KERNELS(X)
#endif

#ifdef HB_WITH_FPU
#include "fpu/list.h"
#define DECLARE_FPU(kernel) extern const struct hb_kernel hb_fpu_##kernel;
#define ADDRESS_FPU(kernel) &hb_fpu_##kernel,
#define FPU                 " fpu"
HB_FPU_KERNELS(DECLARE_FPU)
#else
#define FPU
#define ADDRESS_FPU(kernel)
#define HB_FPU_KERNELS(X)
#endif

const char hb_kernels_name[] = "portable" DSP MVE FPU LIST;

const struct hb_kernel *const hb_kernels[] = {HB_KERNELS(ADDRESS) HB_DSP_KERNELS(
    ADDRESS_DSP) HB_MVE_KERNELS(ADDRESS_MVE) HB_FPU_KERNELS(ADDRESS_FPU) NULL};
