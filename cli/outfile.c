#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "errors.h"

enum { OUTFILE_MODE = 0666, TEMPORARY_TRIES_MAX = 16 };

static int cannot(const hf_cli *cli, const char *path, const char *what, int number) {
  return hf_cli_failed(cli, path, "%s: %s", what, strerror(number));
}

/* The name that a rename would replace: that of the file itself, not of a symbolic link to it. */
static char *resolved(const char *path) {
  char *real = realpath(path, NULL);
  return real != NULL || errno == ENOMEM ? real : strdup(path);
}

static int open_temporary(const hf_cli *cli, hf_cli_outfile *file, const struct stat *old) {
  size_t bytes = strlen(file->path) + 32;
  int fd = -1;
  file->temporary = malloc(bytes);
  if (file->temporary == NULL)
    return hf_cli_no_memory(cli);
  for (int i = 0; fd < 0 && i < TEMPORARY_TRIES_MAX; i++) {
    (void)snprintf(file->temporary, bytes, "%s.%ld-%d.tmp", file->path, (long)getpid(), i);
    fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, OUTFILE_MODE);
    if (fd < 0 && errno != EEXIST)
      break;
  }
  if (fd < 0) {
    int number = errno; /* the name that was asked for says more than that of the temporary file */
    int status = cannot(cli, file->path,
                        number == ENOENT || number == ENOTDIR ? "its folder cannot be found"
                                                              : "cannot be made",
                        number);
    free(file->temporary);
    file->temporary = NULL;
    return status;
  }
  if (old != NULL && fchmod(fd, old->st_mode & 07777) != 0)
    hf_cli_warning(cli, file->path, "its permissions could not be kept: %s", strerror(errno));
  file->stream = fdopen(fd, "w");
  if (file->stream == NULL) {
    (void)close(fd);
    return hf_cli_no_memory(cli);
  }
  return HF_CLI_DONE;
}

int hf_cli_outfile_open(const hf_cli *cli, const char *path, hf_cli_outfile *file) {
  struct stat st;
  memset(file, 0, sizeof *file);
  if (path[0] == '\0')
    return hf_cli_usage(cli, "--out", "wants a file; it is empty");
  file->path = resolved(path);
  if (file->path == NULL)
    return hf_cli_no_memory(cli);
  int exists = stat(file->path, &st) == 0;
  if (exists && S_ISDIR(st.st_mode))
    return hf_cli_failed(cli, path, "is a folder, not a file");
  if (!exists || S_ISREG(st.st_mode))
    return open_temporary(cli, file, exists ? &st : NULL);
  file->stream = fopen(file->path, "we");
  return file->stream != NULL ? HF_CLI_DONE : cannot(cli, path, "cannot be opened", errno);
}

static int fsync_folder(const hf_cli *cli, const hf_cli_outfile *file) {
  char *copy = strdup(file->path);
  if (copy == NULL)
    return hf_cli_no_memory(cli);
  int status = HF_CLI_DONE;
  int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || fsync(fd) != 0)
    status = cannot(cli, file->path, "its folder cannot be made durable", errno);
  if (fd >= 0)
    (void)close(fd);
  free(copy);
  return status;
}

int hf_cli_outfile_commit(const hf_cli *cli, hf_cli_outfile *file) {
  FILE *stream = file->stream;
  const char *path = file->path;
  if (fflush(stream) != 0 || ferror(stream))
    return cannot(cli, path, "cannot be written", errno);
  if (file->temporary != NULL && fsync(fileno(stream)) != 0)
    return cannot(cli, path, "cannot be made durable", errno);
  file->stream = NULL;
  if (fclose(stream) != 0)
    return cannot(cli, path, "cannot be written", errno);
  if (file->temporary == NULL)
    return HF_CLI_DONE;
  if (rename(file->temporary, path) != 0)
    return cannot(cli, path, "the finished file cannot be moved there", errno);
  free(file->temporary);
  file->temporary = NULL;
  return fsync_folder(cli, file);
}

void hf_cli_outfile_close(hf_cli_outfile *file) {
  if (file->stream != NULL)
    (void)fclose(file->stream); /* what it holds is given up */
  if (file->temporary != NULL)
    (void)unlink(file->temporary);
  free(file->temporary);
  free(file->path);
  memset(file, 0, sizeof *file);
}
