/* Holdfast: the configuration file, and what is known of the filesystem under a path. */
#ifndef HOLDFAST_CONFIG_H
#define HOLDFAST_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include <holdfast/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A parsed configuration. Immutable once loaded: any number of threads may read one. */
typedef struct hf_config hf_config;

/* Reads a configuration (JSON). path NULL: the first that exists of HOLDFAST_CONFIG (which must
 * exist if it is set), $XDG_CONFIG_HOME/holdfast/config.json (~/.config/... where that is not set),
 * /etc/holdfast/config.json; where none exists, the built-in defaults. HOLDFAST_REDIS_URL stands in
 * for lockers.redis.url in either case. Unknown members are errors that name them. The caller frees
 * *ret_config.
 * Errors: HF_ECONFIG (place: the file, with line and column where JSON is broken), HF_EIO,
 * HF_ENOMEM. */
HF_API int hf_config_load(const char *path, hf_config **ret_config, hf_error *reterr);

/* Frees *config and sets it to NULL. Accepts NULL and a pointer to NULL. */
HF_API void hf_config_free(hf_config **config);

/* The file that was read, or NULL for the built-in defaults. Owned by config. */
HF_API const char *hf_config_path(const hf_config *config);

/* limits.document_bytes_max, in bytes. config NULL: the default (64 MiB). */
HF_API uint64_t hf_config_document_bytes_max(const hf_config *config);

/* packing.automatic: 1 (the default): handles that save pack by themselves; 0: only hf_pack does.
 * config may be NULL. */
HF_API int hf_config_packs(const hf_config *config);

/* stats.writers: 1 (the default): handles that save add what they count to a file of the store
 * (hf_get_writer_stats); 0: they keep it to themselves. config may be NULL. */
HF_API int hf_config_counts(const hf_config *config);

/* The locker's scheme for a filesystem type: the file's "filesystems" table over the built-in one.
 * config may be NULL. Never NULL: an unknown type answers "redis". Owned by config or static. */
HF_API const char *hf_config_locker_for(const hf_config *config, const char *fs_type);

/* The text of lockers.<scheme> as one JSON object (with HOLDFAST_REDIS_URL put in for redis), or
 * NULL where it is not configured. Owned by config. */
HF_API const char *hf_config_locker_options(const hf_config *config, const char *scheme);

/* What is known of the filesystem that holds a path. */
typedef struct hf_fs {
  char type[64]; /* "ext4", "nfs4", "fuse.sshfs", "overlay" ...; "unknown" */
  /* the type that decides: for overlay that of its upper layer, else the same as type */
  char acting_type[64];
  /* the mount's options, as in /proc/self/mountinfo: per mount, then per filesystem */
  char options[1024];
  char mount_point[1024];
  char source[512];
  unsigned long magic; /* f_type of statfs */
  int local;           /* 1: on the list of local filesystems, where one kernel sees every change */
  int read_only;       /* 1: mounted read-only */
} hf_fs;

/* Finds the filesystem of an existing path, by statfs and /proc/self/mountinfo.
 * Errors: HF_EIO (the path cannot be examined). Thread-safe. */
HF_API int hf_fs_detect(const char *path, hf_fs *ret_fs, hf_error *reterr);

/* A caution for those who use a locker on a filesystem whose locks do not reach all hosts (flock on
 * GPFS, on NFSv3 without a lock manager ...), as one sentence for people; NULL where there is none.
 * Static. */
HF_API const char *hf_fs_locker_caution(const hf_fs *fs, const char *scheme);

#ifdef __cplusplus
}
#endif
#endif
