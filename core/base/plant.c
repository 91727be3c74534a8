#include "plant.h"

#ifdef HF_TEST_PLANTS

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "banned.h"

hf_plant hf_planted = HF_PLANT_NONE;
unsigned hf_test_hash_bits = 64;

static int pause_place = -1;
static atomic_ulong pause_countdown;
static int all_is_shared;

void (*hf_test_at_pause)(hf_pause place);

void hf_pause_here(hf_pause place) {
  if (hf_test_at_pause != NULL)
    hf_test_at_pause(place);
  if (pause_place == (int)place && atomic_fetch_sub(&pause_countdown, 1) == 1)
    (void)kill(getpid(), SIGSTOP);
}

int hf_test_shared(void) {
  return all_is_shared;
}

/* The high bits stay: by them an index guesses where a hash stands. */
uint64_t hf_test_hash(uint64_t hash) {
  return hash >> (64 - hf_test_hash_bits) << (64 - hf_test_hash_bits);
}

const char *hf_test_boot(void) {
  return getenv("HF_TEST_BOOT");
}

const char *hf_test_machine(void) {
  return getenv("HF_TEST_MACHINE");
}

/* A misspelt switch would let a test of nothing pass, so it ends the program. */
static _Noreturn void refuse(const char *name, const char *value) {
  (void)fprintf(stderr, "%s=%s: there is no such planted bug, place or switch\n", name, value);
  _Exit(125);
}

static const char *wanted(const char *name) {
  const char *value = getenv(name);
  return value != NULL && value[0] != '\0' ? value : NULL;
}

static void read_pause(void) {
  static const char *const places[] = {
#define HF_PAUSE_TEXT(name, text) text,
      HF_PAUSE_LIST(HF_PAUSE_TEXT)
#undef HF_PAUSE_TEXT
  };
  const char *value = wanted("HF_PAUSE");
  if (value == NULL)
    return;
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    size_t bytes = strlen(places[i]);
    char *end = NULL;
    if (strncmp(value, places[i], bytes) != 0 || value[bytes] != ':')
      continue;
    unsigned long number = strtoul(value + bytes + 1, &end, 10);
    if (number == 0 || *end != '\0')
      break;
    pause_place = (int)i;
    atomic_store(&pause_countdown, number);
    return;
  }
  refuse("HF_PAUSE", value);
}

static void read_switch(const char *name, int *ret_switch) {
  const char *value = wanted(name);
  if (value != NULL && strcmp(value, "1") != 0 && strcmp(value, "0") != 0)
    refuse(name, value);
  *ret_switch = value != NULL && value[0] == '1';
}

static void read_hash_bits(void) {
  static const char name[] = "HF_TEST_HASH_BITS";
  const char *value = wanted(name);
  char *end = NULL;
  if (value == NULL)
    return;
  unsigned long bits = strtoul(value, &end, 10);
  if (*end != '\0' || bits < 1 || bits > 64)
    refuse(name, value);
  hf_test_hash_bits = (unsigned)bits;
}

static void read_plant(void) {
  static const char *const names[] = {
#define HF_PLANT_NAME(name, text) #name,
      HF_PLANT_LIST(HF_PLANT_NAME)
#undef HF_PLANT_NAME
  };
  const char *value = wanted("HF_PLANT");
  if (value == NULL)
    return;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strcmp(names[i], value) == 0) {
      hf_planted = (hf_plant)i;
      return;
    }
  }
  refuse("HF_PLANT", value);
}

/* Tests switch these on in programs that they start: by the environment. */
__attribute__((constructor)) static void read_environment(void) {
  read_plant();
  read_pause();
  read_hash_bits();
  read_switch("HF_TEST_SHARED", &all_is_shared);
}

#else
typedef int hf_no_plants; /* a file may not be empty */
#endif
