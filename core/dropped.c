#include "dropped.h"

#include <string.h>

#include "log.h"
#include "plant.h"
#include "retire.h"
#include "tile.h"

#include "banned.h"

/* ---- what the log says ---- */

/* Is it in the handle's memory? *ret_head: how far the log is read; 0: nothing was ever dropped. */
static int remembered(hf_store *store, uint64_t tile, int locked, hf_drops *ret_drops,
                      uint64_t *ret_head) {
  if (!locked)
    (void)pthread_mutex_lock(&store->view_mutex);
  *ret_head = store->view.drop_count > 0 ? store->view.head : 0;
  int is = *ret_head > 0 && store->drops.head == *ret_head && store->drops.tile == tile;
  if (is)
    *ret_drops = store->drops;
  if (!locked)
    (void)pthread_mutex_unlock(&store->view_mutex);
  return is;
}

static void remember(hf_store *store, int locked, const hf_drops *drops) {
  if (!locked)
    (void)pthread_mutex_lock(&store->view_mutex);
  store->drops = *drops;
  if (!locked)
    (void)pthread_mutex_unlock(&store->view_mutex);
}

int hf_drops_of(hf_store *store, uint64_t tile, int locked, hf_drops *ret_drops, hf_error *reterr) {
  hf_autobuf text = {0};
  hf_line line;
  uint64_t head = 0;
  uint64_t seq = 0;
  if (remembered(store, tile, locked, ret_drops, &head))
    return HF_OK;
  memset(ret_drops, 0, sizeof *ret_drops);
  ret_drops->tile = tile;
  ret_drops->head = head;
  if (head == 0)
    return HF_OK;
  for (uint64_t below = head + 1;; below = seq) {
    int got = hf_named_before(store, HF_OP_DROP, tile, below, locked, &seq, &text, &line, reterr);
    if (got < 0)
      return got;
    if (got == 0)
      break;
    for (size_t i = 0; i < HF_TILE_RECORDS; i++)
      if (hf_drop_has(line.lines, i))
        ret_drops->by[i] = seq;
  }
  remember(store, locked, ret_drops);
  return HF_OK;
}

int hf_is_dropped(hf_store *store, uint64_t seq, int locked, uint64_t *ret_by, hf_error *reterr) {
  hf_drops drops;
  *ret_by = 0;
  int status = hf_drops_of(store, hf_tile_of(seq), locked, &drops, reterr);
  if (status != HF_OK)
    return status;
  *ret_by = drops.by[(seq - 1) % HF_TILE_RECORDS];
  return *ret_by != 0;
}

int hf_is_dropped_by_now(hf_store *store, uint64_t seq, uint64_t *ret_by, hf_error *reterr) {
  *ret_by = 0;
  if (HF_PLANTED(GC_BEHIND_MY_BACK))
    return 0;
  (void)pthread_mutex_lock(&store->view_mutex);
  int status = hf_log_refresh(store, 0, reterr);
  (void)pthread_mutex_unlock(&store->view_mutex);
  return status != HF_OK ? status : hf_is_dropped(store, seq, 0, ret_by, reterr);
}

/* ---- lines ---- */

#define V_1 "{\"v\":1,"

int hf_line_drop(const char *text, size_t bytes, const hf_line *line, hf_buf *out) {
  static const char v_2[] = "{\"v\":2,";
  static const char doc[] = ",\"doc\":";
  static const char blob[] = ",\"blob\":true";
  static const char dropped[] = ",\"dropped\":true";
  size_t start = out->used;
  size_t end = hf_line_body_bytes(bytes);
  if (line->doc.text != NULL)
    end = (size_t)(line->doc.text - text) - (sizeof doc - 1);
  else if (line->blob && end >= sizeof blob - 1 &&
           memcmp(text + end - (sizeof blob - 1), blob, sizeof blob - 1) == 0)
    end -= sizeof blob - 1;
  (void)hf_buf_add(out, v_2, sizeof v_2 - 1);
  (void)hf_buf_add(out, text + sizeof v_2 - 1, end - (sizeof v_2 - 1));
  if (hf_buf_add(out, dropped, sizeof dropped - 1) != 0)
    return HF_ENOMEM;
  return hf_line_add_crc(out, start) != 0 ? HF_ENOMEM : HF_OK;
}

int hf_line_can_drop(const char *text, size_t bytes, const hf_line *line) {
  return line->op == HF_OP_SAVE && !line->dropped && bytes > sizeof V_1 - 1 &&
         memcmp(text, V_1, sizeof V_1 - 1) == 0;
}

int hf_line_is_form_of(const char *there, size_t there_bytes, const char *text, size_t bytes) {
  hf_autobuf form = {0};
  hf_line line;
  if (there_bytes == bytes && memcmp(there, text, bytes) == 0)
    return 1;
  return hf_line_decode(text, bytes, &line, NULL) == HF_OK &&
         hf_line_can_drop(text, bytes, &line) && hf_line_drop(text, bytes, &line, &form) == HF_OK &&
         form.used == there_bytes && memcmp(form.data, there, there_bytes) == 0;
}

int hf_lines_are_forms_of(const char *there, size_t there_bytes, const char *text, size_t bytes) {
  if (there_bytes == bytes && memcmp(there, text, bytes) == 0)
    return 1;
  while (bytes > 0 && there_bytes > 0) {
    const char *end = memchr(text, '\n', bytes);
    const char *there_end = memchr(there, '\n', there_bytes);
    if (end == NULL || there_end == NULL ||
        !hf_line_is_form_of(there, (size_t)(there_end - there), text, (size_t)(end - text)))
      return 0;
    bytes -= (size_t)(end - text) + 1;
    there_bytes -= (size_t)(there_end - there) + 1;
    text = end + 1;
    there = there_end + 1;
  }
  return bytes == 0 && there_bytes == 0;
}
