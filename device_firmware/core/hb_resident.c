#include "hb_resident.h"

bool hb_resident_read(const HB_CONST struct hb_resident_header *section, struct hb_resident *out) {
    bool sound = section->magic == HB_RESIDENT_MAGIC && section->length <= section->capacity;
    out->plan = (const HB_CONST uint8_t *)(section + 1);
    out->sha256 = section->sha256;
    out->capacity = section->capacity;
    out->length = sound ? section->length : 0;
    return true;
}
