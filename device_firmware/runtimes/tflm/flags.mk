# TensorFlow Lite Micro: TFLM_LIB is the static library and TFLM_INCLUDE the tree of headers that the
# user built by TFLM's own instructions; docs/runtimes.md has them.
ifeq ($(and $(wildcard $(TFLM_LIB)),$(wildcard $(TFLM_INCLUDE)/tensorflow/lite/micro/micro_interpreter.h)),)
$(error RUNTIME=tflm needs TFLM_LIB=…/libtensorflow-microlite.a (is "$(TFLM_LIB)") and TFLM_INCLUDE=…, the folder with tensorflow/lite/micro (is "$(TFLM_INCLUDE)"); docs/runtimes.md says how to make both)
endif

# Their place in a checkout of TFLM, and in a tree made by create_tflm_tree.py.
TFLM_PLACES := $(TFLM_INCLUDE)/tensorflow/lite/micro/tools/make/downloads $(TFLM_INCLUDE)/third_party
TFLM_FOLDERS := $(TFLM_INCLUDE) $(wildcard $(foreach place,$(TFLM_PLACES),\
	$(place)/flatbuffers/include $(place)/gemmlowp $(place)/ruy))
TFLM_SYMBOLS := $(shell $(or $(CROSS),)nm $(TFLM_LIB) 2> /dev/null | grep -c 'T arm_convolve_s8$$')
TFLM_CMSIS_NN := $(filter-out 0,$(TFLM_SYMBOLS))

CXXFLAGS = -std=c++17 -fno-exceptions -fno-rtti -fno-threadsafe-statics -Wall -Wextra -Wconversion \
	-Wshadow -Werror -Iinclude $(TFLM_FOLDERS:%=-isystem %) -DTF_LITE_STATIC_MEMORY \
	-DTF_LITE_STRIP_ERROR_STRINGS $(if $(TFLM_CMSIS_NN),-DCMSIS_NN) \
	-DHB_TFLM_KERNELS='"$(if $(TFLM_CMSIS_NN),cmsis-nn,reference)"' \
	-DHB_TFLM_LIBRARY='"$(shell sha256sum $(TFLM_LIB) | cut -c 1-8)"'
RUNTIME_LDFLAGS = -Wl,--wrap=abort,--wrap=__assert_func,--wrap=__assert_fail
RUNTIME_LIBRARIES = $(TFLM_LIB)
