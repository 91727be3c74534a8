/* Planted bugs of the redis locker (core/base/plant.h): they lie in its scripts. */
#include "redis_state.h"

#ifdef HF_TEST_PLANTS

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "plant.h"

#include "banned.h"

/* The script with one piece replaced; a piece that is not there would plant nothing. */
static char *replaced(const char *text, const char *piece, const char *by) {
  hf_buf out = {0};
  const char *found = strstr(text, piece);
  if (found == NULL)
    abort();
  (void)hf_buf_add(&out, text, (size_t)(found - text));
  (void)hf_buf_add_text(&out, by);
  (void)hf_buf_add_text(&out, found + strlen(piece));
  return hf_buf_take(&out);
}

char *hf_redis_planted_text(hf_redis_script_name script) {
  const char *text = hf_redis_scripts[script].text;
  if (HF_PLANTED(RELEASE_ANY) && script == HF_REDIS_SCRIPT_release)
    return replaced(text, "if not is_mine() then", "if false then");
  if (HF_PLANTED(RENEW_LOST) && script == HF_REDIS_SCRIPT_renew)
    return replaced(text, "if not is_mine() then", "if false then");
  if (HF_PLANTED(DEAD_WAITER))
    return replaced(text, "said) > 0 then", "said) >= 0 then");
  return NULL;
}

#else
typedef int hf_no_redis_plants; /* a file may not be empty */
#endif
