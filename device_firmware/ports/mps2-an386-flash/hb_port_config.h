#ifndef HB_PORT_CONFIG_H
#define HB_PORT_CONFIG_H

#include "an386.h"

#endif
