/* Which boot of the system the last writer of the journal belonged to: tile/boot. */
#ifndef HF_CORE_BOOT_H
#define HF_CORE_BOOT_H

#include "store.h"

#define HF_BOOT_NAME "boot"

enum { HF_BOOT_ID_BYTES = 40 };

/* The id of this boot of the system. Containers of one host have the same. */
int hf_boot_id(char boot[HF_BOOT_ID_BYTES], hf_error *reterr);

/* Does it say that somebody has appended in this boot? 1, 0, or negative. Once told, it stays. */
int hf_boot_is_told(hf_store *store, hf_error *reterr);

/* Says so, before the first append. It need not be durable: after a power loss it may say anything
 * but the next boot's id. */
int hf_boot_tell(hf_store *store, hf_error *reterr);

#endif
