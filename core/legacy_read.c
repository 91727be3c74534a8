#include "legacy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "sys.h"

#include "banned.h"

enum { READ_BYTES = 1 << 20, PATH_SHOWN_BYTES = HF_ERROR_PLACE_BYTES - 64 };

void hf_legacy_place(char *place, const char *path, const char *where) {
  size_t bytes = strlen(path);
  const char *cut = "";
  if (bytes > PATH_SHOWN_BYTES) {
    cut = "...";
    path += bytes - PATH_SHOWN_BYTES;
    while (((unsigned char)*path & 0xC0) == 0x80) /* not in the middle of a character */
      path++;
  }
  (void)snprintf(place, HF_ERROR_PLACE_BYTES, "%s%s: %s", cut, path, where);
}

/* Opens what a user may hand in: a file, or a pipe. */
static int open_input(const char *path, int *ret_fd, size_t *ret_size, hf_error *reterr) {
  struct stat st;
  hf_autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY); /* not the store */
  if (fd < 0 || fstat(fd, &st) != 0)                              /* not the store */
    return hf_err_sys(reterr, errno == ENOENT ? HF_ENOTFOUND : HF_EIO, errno, path,
                      "cannot be opened");
  if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
    return hf_err(reterr, HF_EINVAL, path, "neither a file nor a folder; give an index file");
  *ret_size = S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size : 0;
  *ret_fd = hf_fd_take(&fd);
  return HF_OK;
}

/* Read whole, not mapped: the older program may rewrite the file meanwhile, and a mapping of a file
 * that gets shorter ends the process. */
static int read_whole(const char *path, hf_buf *out, hf_error *reterr) {
  hf_autofd int fd = -1;
  size_t size = 0;
  int status = open_input(path, &fd, &size, reterr);
  if (status != HF_OK)
    return status;
  if (size > HF_LEGACY_FILE_BYTES_MAX)
    return hf_err(reterr, HF_ELIMIT, path, "it has %zu bytes, an index may have %zu; split it",
                  size, HF_LEGACY_FILE_BYTES_MAX);
  if (size > 0 && hf_buf_reserve(out, size + 1) != 0)
    return hf_err_nomem(reterr);
  for (int interrupted = 0; interrupted < HF_EINTR_RETRIES_MAX;) {
    if (out->used > HF_LEGACY_FILE_BYTES_MAX)
      return hf_err(reterr, HF_ELIMIT, path,
                    "it has more than the %zu bytes that an index may have",
                    HF_LEGACY_FILE_BYTES_MAX);
    if (out->allocated - out->used < 2 && hf_buf_reserve(out, READ_BYTES) != 0)
      return hf_err_nomem(reterr);
    size_t room = out->allocated - out->used - 1;
    ssize_t got = read(fd, out->data + out->used, room); /* not the store */
    if (got == 0) {
      out->data[out->used] = '\0';
      return HF_OK;
    }
    if (got > 0)
      out->used += (size_t)got;
    else if (errno == EINTR)
      interrupted++;
    else
      break;
  }
  return hf_err_sys(reterr, HF_EIO, errno, path, "cannot be read");
}

/* Where entry `number` begins in a text that is known to be an object: "line L, column C". */
static void find_entry(const hf_buf *raw, size_t number, char *where, size_t where_bytes) {
  size_t line = 1;
  size_t line_start = 0;
  size_t depth = 0;
  size_t seen = 0;
  int in_string = 0;
  int is_name = 0; /* at depth 1: a string now would be a member's name */
  size_t i = 0;
  for (; i < raw->used; i++) {
    char c = raw->data[i];
    if (c == '\n') {
      line++;
      line_start = i + 1;
    } else if (in_string) {
      if (c == '\\')
        i++;
      else if (c == '"')
        in_string = 0;
    } else if (c == '"') {
      if (depth == 1 && is_name && seen++ == number)
        break;
      in_string = 1;
      is_name = 0;
    } else if (c == '{' || c == '[') {
      is_name = ++depth == 1;
    } else if (c == '}' || c == ']') {
      depth--;
    } else if (c == ',') {
      is_name = depth == 1;
    }
  }
  (void)snprintf(where, where_bytes, "line %zu, column %zu", line, i - line_start + 1);
}

static int add_entry(hf_legacy_index *index, hf_legacy_entry **ret_entry, hf_error *reterr) {
  if (index->entries_count == HF_LEGACY_ENTRIES_MAX)
    return hf_err(reterr, HF_ELIMIT, NULL,
                  "more than %d entries; import the files in several turns", HF_LEGACY_ENTRIES_MAX);
  if (index->entries_count == index->entries_allocated) {
    size_t allocated = index->entries_allocated == 0 ? 256 : index->entries_allocated * 2;
    hf_legacy_entry *entries = realloc(index->entries, allocated * sizeof *entries);
    if (entries == NULL)
      return hf_err_nomem(reterr);
    index->entries = entries;
    index->entries_allocated = allocated;
  }
  *ret_entry = &index->entries[index->entries_count++];
  memset(*ret_entry, 0, sizeof **ret_entry);
  return HF_OK;
}

/* The entries of a text that was checked; raw is only for the place of an error. */
static int take_entries(hf_legacy_index *index, size_t file, const hf_buf *raw,
                        uint64_t document_bytes_max, hf_legacy_fields *fields, hf_error *reterr) {
  const hf_buf *text = &index->files[file].text;
  hf_json root = {text->data, text->used, HF_JSON_OBJECT};
  hf_json name;
  hf_json value;
  size_t position = 0;
  for (size_t number = 0; hf_json_next(&root, &position, &name, &value) == 1; number++) {
    hf_legacy_entry *entry = NULL;
    int edited = 0;
    int status = add_entry(index, &entry, reterr);
    if (status == HF_OK) {
      entry->file = file;
      entry->number = number;
      status =
          hf_legacy_entry_make(&name, &value, fields, entry, document_bytes_max, &edited, reterr);
    }
    if (status != HF_OK) {
      char where[64];
      if (status == HF_ENOMEM)
        return status;
      find_entry(raw, number, where, sizeof where);
      hf_legacy_place(reterr->place, index->files[file].path, where);
      return status;
    }
    index->edited_count += (uint64_t)edited;
  }
  return HF_OK;
}

int hf_legacy_read(hf_legacy_index *index, size_t file, uint64_t document_bytes_max,
                   hf_error *reterr) {
  hf_autobuf raw = {0};
  hf_legacy_file *into = &index->files[file];
  uint64_t nan_count = 0;
  int status = read_whole(into->path, &raw, reterr);
  if (status != HF_OK)
    return status;
  /* one level more than a document: the index around it */
  status = hf_json_check(raw.data != NULL ? raw.data : "", raw.used,
                         HF_JSON_OBJECT_ONLY | HF_JSON_NAN_TO_NULL, HF_DOC_NESTING_MAX + 1,
                         &into->text, &nan_count, reterr);
  if (status != HF_OK) {
    char where[HF_ERROR_PLACE_BYTES];
    (void)snprintf(where, sizeof where, "%s", reterr->place);
    if (where[0] != '\0')
      hf_legacy_place(reterr->place, into->path, where);
    return status;
  }
  index->nan_count += nan_count;
  hf_legacy_fields fields;
  memset(&fields, 0, sizeof fields);
  status = take_entries(index, file, &raw, document_bytes_max, &fields, reterr);
  hf_legacy_fields_free(&fields);
  return status;
}
