#include "legacy.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"

#include "banned.h"

static int compare_sizes(size_t a, size_t b) {
  return a < b ? -1 : a > b;
}

static int compare_times(const hf_legacy_entry *a, const hf_legacy_entry *b) {
  if (a->has_time != b->has_time)
    return a->has_time ? -1 : 1;
  if (a->has_time && a->time_us != b->time_us)
    return a->time_us < b->time_us ? -1 : 1;
  return 0;
}

/* By file, and within it: without a seq first, by time; then by seq, equal ones by time. */
static int compare_within(const void *left, const void *right) {
  const hf_legacy_entry *a = *(hf_legacy_entry *const *)left;
  const hf_legacy_entry *b = *(hf_legacy_entry *const *)right;
  if (a->file != b->file)
    return compare_sizes(a->file, b->file);
  if (a->has_seq != b->has_seq)
    return a->has_seq ? 1 : -1;
  if (a->has_seq && a->seq != b->seq)
    return a->seq < b->seq ? -1 : 1;
  int by_time = compare_times(a, b);
  return by_time != 0 ? by_time : compare_sizes(a->number, b->number);
}

/* merge_us never goes back within a file, and `number` is by now the place in the file's own order.
 */
static int compare_merged(const void *left, const void *right) {
  const hf_legacy_entry *a = *(hf_legacy_entry *const *)left;
  const hf_legacy_entry *b = *(hf_legacy_entry *const *)right;
  if (a->merge_us != b->merge_us)
    return a->merge_us < b->merge_us ? -1 : 1;
  if (a->file != b->file)
    return compare_sizes(a->file, b->file);
  return compare_sizes(a->number, b->number);
}

int hf_legacy_compare_identity(const hf_legacy_identity *a, const hf_legacy_identity *b) {
  int by_key = memcmp(a->key, b->key, sizeof a->key);
  return by_key != 0 ? by_key : memcmp(a->snapshot, b->snapshot, sizeof a->snapshot);
}

/* `number` is by now the place in the whole order. */
static int compare_identities(const void *left, const void *right) {
  const hf_legacy_entry *a = *(hf_legacy_entry *const *)left;
  const hf_legacy_entry *b = *(hf_legacy_entry *const *)right;
  int by_identity = hf_legacy_compare_identity(&a->identity, &b->identity);
  return by_identity != 0 ? by_identity : compare_sizes(a->number, b->number);
}

/* The times by which the entries first .. end, one file's, are merged with other files'. */
static void set_merge_times(hf_legacy_entry **order, size_t first, size_t end) {
  size_t timed = first;
  while (timed < end && !order[timed]->has_time)
    timed++;
  int64_t now = timed < end ? order[timed]->time_us : INT64_MAX;
  for (size_t i = first; i < end; i++) {
    if (order[i]->has_time && order[i]->time_us > now)
      now = order[i]->time_us;
    order[i]->merge_us = now;
    order[i]->number = i - first;
  }
}

/* The order within each file, before doubles are known: equal seqs that only the time could order.
 */
static void mark_equal_seqs(hf_legacy_entry **order, size_t count) {
  for (size_t i = 1; i < count; i++) {
    hf_legacy_entry *a = order[i - 1];
    hf_legacy_entry *b = order[i];
    if (a->file == b->file && a->has_seq && b->has_seq && a->seq == b->seq &&
        hf_legacy_compare_identity(&a->identity, &b->identity) != 0)
      a->by_clock = b->by_clock = 1;
  }
}

static void mark_doubles(hf_legacy_index *index) {
  hf_legacy_entry **sorted = index->by_identity;
  size_t kept = 0;
  for (size_t i = 0; i < index->entries_count; i++) {
    if (kept > 0 &&
        hf_legacy_compare_identity(&sorted[kept - 1]->identity, &sorted[i]->identity) == 0) {
      sorted[i]->is_double = 1;
      sorted[kept - 1]->by_clock |= sorted[i]->by_clock;
      continue;
    }
    sorted[kept++] = sorted[i];
  }
  index->unique_count = kept;
}

/* Where snapshots of several files are merged, every place among them rests on clocks. */
static void mark_clocks(hf_legacy_index *index) {
  size_t file = SIZE_MAX;
  int several = 0;
  for (size_t i = 0; i < index->unique_count && !several; i++) {
    several = file != SIZE_MAX && file != index->by_identity[i]->file;
    file = index->by_identity[i]->file;
  }
  for (size_t i = 0; i < index->unique_count; i++)
    if (several || !index->by_identity[i]->has_seq)
      index->by_identity[i]->by_clock = 1;
}

int hf_legacy_sort(hf_legacy_index *index, hf_error *reterr) {
  size_t count = index->entries_count;
  if (count == 0)
    return HF_OK;
  index->order = calloc(count, sizeof(hf_legacy_entry *));
  index->by_identity = calloc(count, sizeof(hf_legacy_entry *));
  if (index->order == NULL || index->by_identity == NULL)
    return hf_err_nomem(reterr);
  for (size_t i = 0; i < count; i++)
    index->order[i] = &index->entries[i];
  qsort(index->order, count, sizeof index->order[0], compare_within);
  mark_equal_seqs(index->order, count);
  for (size_t first = 0, end = 0; first < count; first = end) {
    while (end < count && index->order[end]->file == index->order[first]->file)
      end++;
    set_merge_times(index->order, first, end);
  }
  qsort(index->order, count, sizeof index->order[0], compare_merged);
  for (size_t i = 0; i < count; i++) {
    index->order[i]->number = i;
    index->by_identity[i] = index->order[i];
  }
  qsort(index->by_identity, count, sizeof index->by_identity[0], compare_identities);
  mark_doubles(index);
  mark_clocks(index);
  return HF_OK;
}
