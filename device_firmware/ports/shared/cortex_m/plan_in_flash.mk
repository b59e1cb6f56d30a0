# For a port.mk, after cortex_m.mk: models are executed in place from flash, one plan per image.
RESIDENT_SOURCE := ports/shared/cortex_m/plan_in_flash.c
