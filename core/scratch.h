/* Scratch folders, removed with all that is in them. */
#ifndef HF_CORE_SCRATCH_H
#define HF_CORE_SCRATCH_H

#include <holdfast/error.h>

/* Removes the folder `name` of dirfd and what is in it, however often it must be listed for that (a
 * listing may pass over names while others are removed). What is no folder is unlinked. HF_OK also
 * where it is absent. Errors: HF_EIO. */
int hf_scratch_remove(int dirfd, const char *name, hf_error *reterr);

#endif
