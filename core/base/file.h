/* Files of a store: whole reads, new files, folders, all by descriptors of folders and without
 * following symbolic links. */
#ifndef HF_BASE_FILE_H
#define HF_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include <holdfast/error.h>

#include "buf.h"

/* Opens the folder `name` below dirfd. HF_EIO (a symbolic link or a file there: said so), never
 * follows a link. */
int hf_dir_open(int dirfd, const char *name, int *ret_fd, hf_error *reterr);

/* Makes the folder (mode 0777 less umask) where it is absent, and opens it. *ret_made (may be
 * NULL): 1 if made now. */
int hf_dir_make(int dirfd, const char *name, int *ret_fd, int *ret_made, hf_error *reterr);

/* fsync of a folder that is open. */
int hf_dir_fsync(int fd, const char *place, hf_error *reterr);

/* Appends the whole regular file to out; looks again where another host removed it under our hands
 * (ESTALE). 1; 0: there is no such name; negative: HF_EIO (a symbolic
 * link, a folder or a device there is refused with words), HF_ELIMIT (longer than bytes_max),
 * HF_ENOMEM. */
int hf_file_read(int dirfd, const char *name, size_t bytes_max, hf_buf *out, hf_error *reterr);

/* Makes a new file (O_EXCL), writes all, fsyncs it where `durable`, closes it with its result
 * checked. On failure the name is removed again. HF_EEXIST where the name exists. */
int hf_file_create(int dirfd, const char *name, const void *bytes, size_t count, int durable,
                   hf_error *reterr);

/* The same under a name that is random, so that nobody else makes it, without O_EXCL: Linux's
 * client of NFSv4 sets the times of a file that it made exclusively by a further request, and asks
 * once more whether it may be linked (seen on 6.1). A file that is there all the same is met:
 * HF_EEXIST where it has bytes or a second name. */
int hf_file_create_alone(int dirfd, const char *name, const void *bytes, size_t count, int durable,
                         hf_error *reterr);

/* A folder's entries but "." and "..". fn's result other than 0 stops and is returned. */
typedef int (*hf_dir_entry_fn)(void *context, const char *name, hf_error *reterr);
int hf_dir_each(int dirfd, const char *place, hf_dir_entry_fn fn, void *context, hf_error *reterr);

#endif
