/* A handle's figures, for the parts of the core. */
#ifndef HF_CORE_HANDLE_STATS_H
#define HF_CORE_HANDLE_STATS_H

#include "store.h"

/* As hf_get_handle_stats, of a handle that this process has opened. */
hf_handle_stats hf_handle_counted(const hf_store *store);

#endif
