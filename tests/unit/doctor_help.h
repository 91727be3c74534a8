/* What the tests of the doctor share: a folder, and what is told of one. */
#ifndef HF_TESTS_DOCTOR_HELP_H
#define HF_TESTS_DOCTOR_HELP_H

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <holdfast/admin.h>

enum { CHECKS_MAX = 64 };

typedef struct report {
  size_t count;
  struct {
    char name[32];
    char text[1100];
    hf_verdict verdict;
    double value;
    char unit[16];
  } checks[CHECKS_MAX];
  hf_verdict verdict;
} report;

static char folder[64];

static inline void collect(void *context, const hf_check *check) {
  report *into = context;
  if (into->count == CHECKS_MAX)
    abort();
  snprintf(into->checks[into->count].name, 32, "%s", check->name);
  snprintf(into->checks[into->count].text, 1100, "%s", check->text);
  snprintf(into->checks[into->count].unit, 16, "%s", check->unit);
  into->checks[into->count].verdict = check->verdict;
  into->checks[into->count].value = check->value;
  into->count++;
}

static inline int find(const report *from, const char *name) {
  for (size_t i = 0; i < from->count; i++)
    if (strcmp(from->checks[i].name, name) == 0)
      return (int)i;
  return -1;
}

static inline report examine(const char *path) {
  static report result;
  hf_error error = HF_ERROR_INIT;
  memset(&result, 0, sizeof result);
  result.verdict = (hf_verdict)99;
  int status = hf_doctor(path, NULL, collect, &result, &result.verdict, &error);
  ck_assert_msg(status == 0, "%s: %s", error.place, error.message);
  hf_verdict worst = HF_VERDICT_GOOD;
  for (size_t i = 0; i < result.count; i++)
    worst = result.checks[i].verdict > worst ? result.checks[i].verdict : worst;
  ck_assert_int_eq(result.verdict, worst);
  return result;
}

static inline void expect(const report *from, const char *name, hf_verdict verdict,
                          const char *words) {
  int at = find(from, name);
  ck_assert_msg(at >= 0, "no check %s", name);
  ck_assert_msg(from->checks[at].verdict == verdict, "%s: %d: %s", name,
                (int)from->checks[at].verdict, from->checks[at].text);
  ck_assert_msg(strstr(from->checks[at].text, words) != NULL, "%s: %s", name,
                from->checks[at].text);
}

static inline void expect_empty(const char *path) {
  size_t count = 0;
  DIR *dir = opendir(path);
  ck_assert_ptr_nonnull(dir);
  for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
    int is_own = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    ck_assert_msg(is_own, "left behind: %s", entry->d_name);
    count++;
  }
  ck_assert_uint_eq(count, 2);
  closedir(dir);
}

static inline void set_up(void) {
  snprintf(folder, sizeof folder, "/tmp/hf-doctor-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
}

static inline void tear_down(void) {
  char command[96];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  ck_assert_int_eq(system(command), 0);
}

#endif
