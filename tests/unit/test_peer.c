/* doctor --peer: reports as they are sent, and what is judged from them. That real peers come to
 * these reports is shown by tests/fault/peer. */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "peer_report.h"

static hf_peer_report reports[3];
static hf_peer_findings found;

/* Three peers, the first two on one host, who found nothing wrong. */
static void set_up(void) {
  memset(reports, 0, sizeof reports);
  for (int i = 0; i < 3; i++) {
    hf_peer_report *one = &reports[i];
    hf_peer_plain(one->host, sizeof one->host, i < 2 ? "near" : "far");
    hf_peer_plain(one->boot, sizeof one->boot, i < 2 ? "1" : "2");
    hf_peer_plain(one->filesystem, sizeof one->filesystem, "nfs4");
    one->pid = 100 + i;
    one->can_link = one->can_rename = 1;
    one->marks_checked = 50 + i;
    one->burst_names = 2 * HF_PEER_BURST_NAMES;
    for (int name = 0; name < HF_PEER_RACE_NAMES; name++) {
      one->answered[name] = name % 3 == i ? HF_PEER_WON : HF_PEER_EXISTS;
      one->at_once[name] = one->at_end[name] = hf_peer_digit((size_t)name % 3);
    }
    memset(one->flock_held, HF_PEER_REFUSED, 3);
    memset(one->fcntl_held, HF_PEER_REFUSED, 3);
    memset(one->flock_freed, HF_PEER_NOT_TRIED, 3);
    memset(one->fcntl_freed, HF_PEER_NOT_TRIED, 3);
    one->flock_held[i] = one->fcntl_held[i] = HF_PEER_NOT_TRIED;
    one->flock_freed[(i + 2) % 3] = one->fcntl_freed[(i + 2) % 3] = HF_PEER_GRANTED;
  }
}

static void judge_some(size_t count) {
  const hf_peer_report *all[] = {&reports[0], &reports[1], &reports[2]};
  hf_peer_judge(all, count, 0, &found);
}

static void expect(int is_safe, const char *locker) {
  judge_some(3);
  ck_assert_int_eq(found.is_safe, is_safe);
  ck_assert_int_eq(found.locker == NULL, locker == NULL);
  if (locker != NULL)
    ck_assert_str_eq(found.locker, locker);
}

START_TEST(a_sound_one) {
  expect(1, "flock");
  ck_assert_uint_eq(found.peers, 3);
  ck_assert_uint_eq(found.hosts, 2);
  ck_assert_uint_eq(found.agreed, HF_PEER_RACE_NAMES);
  ck_assert_int_eq(found.flock, HF_REACH_HOSTS);
  ck_assert_int_eq(found.marks_checked, 50);
}
END_TEST

START_TEST(sent_and_read) {
  hf_autobuf text = {0};
  hf_peer_report read;
  reports[0].ahead_us = INT64_MIN;
  reports[0].file_ahead_us = INT64_MAX;
  reports[0].name_ms = HF_PEER_NOT_SEEN;
  hf_peer_plain(reports[0].host, sizeof reports[0].host, "a\"b\\c\n\xC3\xA4");
  ck_assert_str_eq(reports[0].host, "a?b?c???");
  ck_assert_int_eq(hf_peer_report_encode(&reports[0], &text, NULL), HF_OK);
  ck_assert_int_eq(hf_peer_report_decode(text.data, text.used, &read, NULL), HF_OK);
  ck_assert_mem_eq(&read, &reports[0], sizeof read);
  for (size_t cut = 0; cut < text.used; cut++)
    ck_assert_int_eq(hf_peer_report_decode(text.data, cut, &read, NULL), HF_EVERSION);
  ck_assert_int_eq(hf_peer_report_decode("{}", 2, &read, NULL), HF_EVERSION);
}
END_TEST

/* Each of these makes the mount unsafe, with any locker. */
static const char *const wrongs[] = {"replaced", "other owner", "absent", "lied",   "failed",
                                     "stale",    "unseen mark", "local",  "option", "no link"};

START_TEST(what_is_unsafe) {
  hf_peer_report *one = &reports[_i % 3];
  switch (_i) {
  case 0:
    one->at_once[7] = one->at_once[8];
    break;
  case 1:
    one->at_end[7] = one->at_end[8];
    break;
  case 2:
    one->at_end[7] = HF_PEER_NOBODY;
    break;
  case 3:
    one->answered[4] = one->answered[5] = HF_PEER_WON;
    break;
  case 4:
    one->answered[3] = one->answered[5] = HF_PEER_FAILED;
    one->race_errno = EIO;
    break;
  case 5:
    one->marks_stale = 1;
    break;
  case 6:
    one->mark_ms = HF_PEER_NOT_SEEN;
    break;
  case 7:
    one->is_local = 1;
    break;
  case 8:
    one->is_refused = 1;
    break;
  default:
    one->can_link = 0;
    break;
  }
  expect(0, NULL);
  ck_assert_msg(found.locker == NULL, "%s", wrongs[_i]);
}
END_TEST

/* None of these does: a store reads back, goes by marks, and needs no clock. */
START_TEST(what_is_harmless) {
  reports[0].answered[0] = HF_PEER_EXISTS; /* a reply was lost */
  reports[1].answered[1] = HF_PEER_FAILED;
  reports[1].name_ms = reports[2].folder_ms = HF_PEER_NOT_SEEN;
  reports[2].burst_mark = 3;
  reports[2].ahead_us = INT64_C(86400000000);
  reports[1].fcntl_held[0] = HF_PEER_GRANTED;
  expect(1, "flock");
  ck_assert_uint_eq(found.lost, 2);
  ck_assert_int_eq(found.name_ms, HF_PEER_NOT_SEEN);
  ck_assert_int_eq(found.clocks_apart_us, INT64_C(86400000000));
  ck_assert_int_eq(found.fcntl, HF_REACH_NOBODY);
}
END_TEST

START_TEST(how_far_flock_reaches) {
  reports[2].flock_held[0] = HF_PEER_GRANTED; /* far has it while near has */
  expect(1, "redis");
  ck_assert_int_eq(found.flock, HF_REACH_NOT_FAR);
  reports[1].flock_held[0] = HF_PEER_GRANTED;
  expect(1, "redis");
  ck_assert_int_eq(found.flock, HF_REACH_NOBODY);
  set_up();
  reports[0].flock_freed[2] = HF_PEER_REFUSED; /* closed, and not given back */
  expect(1, "redis");
  ck_assert_int_eq(found.flock, HF_REACH_NOBODY);
  set_up();
  reports[1].flock_errno = ENOLCK;
  expect(1, "redis");
  ck_assert_int_eq(found.flock, HF_REACH_NOTHING);
}
END_TEST

START_TEST(hosts_are_boot_ids) {
  judge_some(2);
  ck_assert_uint_eq(found.hosts, 1);
  ck_assert_int_eq(found.flock, HF_REACH_HOST);
  set_up();
  reports[2].boot[0] = '\0'; /* not known: not another one */
  expect(1, "redis");
  ck_assert_uint_eq(found.hosts, 1);
  for (int i = 0; i < 3; i++)
    reports[i].is_local = 1;
  expect(1, "flock"); /* one kernel, and flock excludes in it */
}
END_TEST

int main(void) {
  Suite *suite = suite_create("peer");
  TCase *tcase = tcase_create("peer");
  tcase_add_checked_fixture(tcase, set_up, NULL);
  tcase_add_test(tcase, a_sound_one);
  tcase_add_test(tcase, sent_and_read);
  tcase_add_loop_test(tcase, what_is_unsafe, 0, sizeof wrongs / sizeof wrongs[0]);
  tcase_add_test(tcase, what_is_harmless);
  tcase_add_test(tcase, how_far_flock_reaches);
  tcase_add_test(tcase, hosts_are_boot_ids);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
