/* The smallest test harness that names what failed. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: in %s: not true: %s\n", __FILE__, __LINE__, __func__,          \
                    #condition);                                                                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define CHECK_EQ(got, wanted)                                                                      \
    do {                                                                                           \
        unsigned long long got_ = (unsigned long long)(got);                                       \
        unsigned long long wanted_ = (unsigned long long)(wanted);                                 \
        if (got_ != wanted_) {                                                                     \
            fprintf(stderr, "%s:%d: in %s: %s is %llu (0x%llx), not %llu (0x%llx)\n", __FILE__,    \
                    __LINE__, __func__, #got, got_, got_, wanted_, wanted_);                       \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#endif
