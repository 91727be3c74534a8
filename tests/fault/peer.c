/* doctor --peer: what several processes find out about a mount, each case with another mount. The
 * verdict must be able to turn bad for each thing that it promises.
 *
 *     peer [--case NAME] */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib_peer.h"

#include "manifest.h"

static char folder[FAULT_PATH_BYTES];

/* ---- two members on two hosts, one mount ---- */

static const peer_told *two(void (*set)(void), int first_host, int second_host) {
  const peer_member members[] = {{.host = first_host, .set = set},
                                 {.host = second_host, .set = set}};
  const peer_told *told = peer_run(folder, members, 2);
  peer_expect_same(told, 2);
  peer_expect_empty(folder, NULL);
  return told;
}

static void sound(void) {
  const peer_told *told = two(peer_mount_shared, 1, 2);
  peer_expect(told, "peers", HF_VERDICT_GOOD, "2 on 2 hosts: host");
  peer_expect(told, "publish", HF_VERDICT_GOOD, "link: 200 names");
  peer_expect(told, "marks", HF_VERDICT_GOOD, "each time");
  peer_expect(told, "flock", HF_VERDICT_GOOD, "on 2 hosts");
  peer_expect(told, "fcntl", HF_VERDICT_GOOD, "on 2 hosts");
  peer_expect(told, "burst", HF_VERDICT_GOOD, "of 120 names");
  peer_expect(told, "clocks", HF_VERDICT_GOOD, "ms apart");
  peer_expect(told, "locker", HF_VERDICT_GOOD, "flock: ");
  peer_expect_result(told, 1, "flock", HF_VERDICT_GOOD);
}

/* Processes of one host show nothing about several. */
static void one_host(void) {
  const peer_told *told = two(peer_mount_shared, 1, 1);
  peer_expect(told, "peers", HF_VERDICT_CAUTION, "proves nothing about several hosts");
  peer_expect(told, "flock", HF_VERDICT_GOOD, "ran on one host");
  peer_expect_result(told, 1, "redis", HF_VERDICT_CAUTION);
}

static void local(void) {
  hf_fs fs;
  hf_error error = HF_ERROR_INIT;
  fault_must(hf_fs_detect(folder, &fs, &error), &error, "hf_fs_detect");
  if (!fs.local)
    return; /* where a container hides the disk nothing is local */
  const peer_told *told = two(NULL, 1, 1);
  peer_expect(told, "peers", HF_VERDICT_GOOD, "is local");
  peer_expect_result(told, 1, "flock", HF_VERDICT_GOOD);
  told = two(NULL, 1, 2); /* two kernels, and a store would believe one */
  peer_expect(told, "peers", HF_VERDICT_BAD, "on the list of local filesystems");
  peer_expect_result(told, 0, NULL, HF_VERDICT_BAD);
}

static void replaces(void) {
  const peer_told *told = two(peer_mount_replaces, 1, 2);
  peer_expect(told, "publish", HF_VERDICT_BAD, "changed their owner");
  peer_expect_result(told, 0, NULL, HF_VERDICT_BAD);
}

static void both_win(void) {
  const peer_told *told = two(peer_mount_both_win, 1, 2);
  peer_expect(told, "publish", HF_VERDICT_BAD, "both had won");
  peer_expect_result(told, 0, NULL, HF_VERDICT_BAD);
}

static void does_nothing(void) {
  const peer_told *told = two(peer_mount_does_nothing, 1, 2);
  peer_expect(told, "publish", HF_VERDICT_BAD, "of 200 names 20 were not there");
  peer_expect_result(told, 0, NULL, HF_VERDICT_BAD);
}

static void renames(void) {
  const peer_told *told = two(peer_mount_no_links, 1, 2);
  peer_expect(told, "publish", HF_VERDICT_GOOD, "renameat2: 200 names");
  peer_expect_result(told, 1, "flock", HF_VERDICT_GOOD);
  told = two(peer_mount_rename_replaces, 1, 2);
  peer_expect(told, "publish", HF_VERDICT_BAD, "changed their owner");
  peer_expect_result(told, 0, NULL, HF_VERDICT_BAD);
}

static void loses_replies(void) {
  const peer_told *told = two(peer_mount_loses_replies, 1, 2);
  peer_expect(told, "publish", HF_VERDICT_GOOD, "a store reads back");
  peer_expect_result(told, 1, "flock", HF_VERDICT_GOOD);
}

static void local_flock(void) {
  const peer_told *told = two(peer_mount_local_flock, 1, 2);
  peer_expect(told, "flock", HF_VERDICT_CAUTION, "holds on one host only");
  peer_expect(told, "fcntl", HF_VERDICT_GOOD, "on 2 hosts");
  peer_expect(told, "locker", HF_VERDICT_GOOD, "redis: flock does not exclude between hosts");
  peer_expect_result(told, 1, "redis", HF_VERDICT_CAUTION);
}

static void other_flocks(void) {
  const peer_told *told = two(peer_mount_no_flock, 1, 2);
  peer_expect(told, "flock", HF_VERDICT_CAUTION, "is not to be had here");
  peer_expect_result(told, 1, "redis", HF_VERDICT_CAUTION);
  told = two(peer_mount_stuck_flock, 1, 2);
  peer_expect(told, "flock", HF_VERDICT_CAUTION, "of no use");
  peer_expect_result(told, 1, "redis", HF_VERDICT_CAUTION);
  told = two(peer_mount_granting_flock, 1, 1);
  peer_expect(told, "flock", HF_VERDICT_CAUTION, "granted to two at once on one host");
  peer_expect_result(told, 1, "redis", HF_VERDICT_CAUTION);
}

static void old_lengths(void) {
  const peer_told *told = two(peer_mount_old_lengths, 1, 2);
  peer_expect(told, "marks", HF_VERDICT_BAD, "readers would miss acknowledged saves");
  peer_expect_result(told, 0, NULL, HF_VERDICT_BAD);
}

/* A client that remembers absent names does no harm: a store goes by marks. */
static void absent_names(void) {
  const peer_told *told = two(peer_mount_absent_names, 1, 2);
  peer_expect(told, "names", HF_VERDICT_GOOD,
              "seen after >= 5 s by looking for it again and again, ");
  peer_expect(told, "marks", HF_VERDICT_GOOD, "each time");
  peer_expect_result(told, 1, "flock", HF_VERDICT_GOOD);
}

static void slow_names(void) {
  const peer_told *told = two(peer_mount_slow_names, 1, 2);
  peer_expect(told, "burst", HF_VERDICT_CAUTION, "a store makes a client forget by a link");
  peer_expect_result(told, 1, "flock", HF_VERDICT_CAUTION);
}

/* ---- more of them, and less ---- */

static void three(void) {
  const peer_member members[] = {{.host = 1, .set = peer_mount_local_flock},
                                 {.host = 2, .set = peer_mount_local_flock, .start_after_ms = 300},
                                 {.host = 1, .set = peer_mount_local_flock, .start_after_ms = 100}};
  const peer_told *told = peer_run(folder, members, 3);
  peer_expect_same(told, 3);
  peer_expect(told, "peers", HF_VERDICT_GOOD, "3 on 2 hosts");
  peer_expect(told, "flock", HF_VERDICT_CAUTION, "holds on one host only");
  peer_expect_result(told, 1, "redis", HF_VERDICT_CAUTION);
  peer_expect_empty(folder, NULL);
}

/* Two pairs at once in one folder. */
static void two_pairs(void) {
  const peer_member one = {.host = 1, .set = peer_mount_shared, .wants = 2, .timeout_ms = 60000};
  peer_member members[4] = {one, one, one, one};
  for (int i = 0; i < 4; i++)
    members[i].host = i + 1;
  const peer_told *told = peer_run(folder, members, 4);
  for (size_t i = 0; i < 4; i++)
    peer_expect_same(&told[i], 1);
  for (size_t i = 0; i < 4; i++) {
    size_t same = 0;
    for (size_t j = 0; j < 4; j++)
      same += strcmp(told[i].checks[0].text, told[j].checks[0].text) == 0;
    FAULT_CHECK(same == 2, "\"%s\" was said by %zu", told[i].checks[0].text, same);
    peer_expect_result(&told[i], 1, "flock", HF_VERDICT_GOOD);
  }
  peer_expect_empty(folder, NULL);
}

static void expect_failed(const peer_told *told, int status, const char *words) {
  FAULT_CHECK(told->status == status && strstr(told->error.message, words) != NULL,
              "it answered %s, \"%s\"; it should be %s, \"...%s...\"", hf_status_name(told->status),
              told->error.message, hf_status_name(status), words);
}

static void nobody(void) {
  const peer_member member = {.host = 1, .set = peer_mount_shared, .wants = 2, .timeout_ms = 1000};
  const peer_told *told = peer_run(folder, &member, 1);
  expect_failed(told, HF_ENOTFOUND, "1 of 2 peers came");
  FAULT_CHECK(told->took_ms >= 1000 && told->took_ms < 20000, "after %lld ms",
              (long long)told->took_ms);
  peer_expect_empty(folder, NULL);
}

static void other_number(void) {
  const peer_member members[] = {{.host = 1, .set = peer_mount_shared, .wants = 3},
                                 {.host = 2, .set = peer_mount_shared, .wants = 2}};
  const peer_told *told = peer_run(folder, members, 2);
  expect_failed(&told[0], HF_EINVAL, "waits for 2 peers, this one for 3");
  expect_failed(&told[1], HF_EINVAL, "waits for 3 peers, this one for 2");
  peer_expect_empty(folder, NULL);
}

static void gives_up(void) {
  const peer_member members[] = {{.host = 1, .set = peer_mount_shared},
                                 {.host = 2, .set = peer_fail_in_race}};
  const peer_told *told = peer_run(folder, members, 2);
  expect_failed(&told[1], HF_EIO, "cannot make a mark longer");
  expect_failed(&told[0], HF_EIO, "the peer on host2 (pid ");
  expect_failed(&told[0], HF_EIO, "gave up (cannot make a mark longer");
  FAULT_CHECK(told[0].took_ms < 20000, "it took %lld ms to notice", (long long)told[0].took_ms);
  peer_expect_empty(folder, NULL);
}

static void make_old(const char *name) {
  char path[FAULT_PATH_BYTES];
  const struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};
  fault_path(path, folder, name);
  FAULT_CHECK(utimensat(AT_FDCWD, path, times, 0) == 0, "cannot set the time of %s", name);
}

static void each_name(const char *path, void (*fn)(const char *name)) {
  char below[FAULT_PATH_BYTES];
  char line[FAULT_PATH_BYTES];
  (void)snprintf(below, sizeof below, "ls -A %.400s", path);
  FILE *names = popen(below, "r");
  FAULT_CHECK(names != NULL, "cannot run ls");
  while (fgets(line, sizeof line, names) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    (void)snprintf(below, sizeof below, "doctor-peer/%.400s", line);
    fn(below);
  }
  (void)pclose(names);
}

/* A peer is killed in the middle: the other one ends with an error that names it. What it leaves is
 * in nobody's way, and is removed when it is old. */
static void killed(void) {
  char lobby[FAULT_PATH_BYTES];
  const peer_member members[] = {{.host = 1, .set = peer_mount_shared, .timeout_ms = 3000},
                                 {.host = 2, .set = peer_die_in_race, .timeout_ms = 3000}};
  const peer_told *told = peer_run(folder, members, 2);
  FAULT_CHECK(told[1].status == 1, "it was not killed");
  expect_failed(&told[0], HF_EIO, "the peer on host2 (pid ");
  expect_failed(&told[0], HF_EIO, "was killed");
  FAULT_CHECK(told[0].took_ms < 30000, "it took %lld ms to notice", (long long)told[0].took_ms);
  peer_expect_empty(folder, "doctor-peer");
  const peer_member next[] = {{.host = 1, .set = peer_mount_shared},
                              {.host = 2, .set = peer_mount_shared}};
  told = peer_run(folder, next, 2);
  peer_expect_same(told, 2);
  peer_expect_result(told, 1, "flock", HF_VERDICT_GOOD);
  peer_expect_empty(folder, "doctor-peer");
  fault_path(lobby, folder, "doctor-peer");
  each_name(lobby, make_old);
  (void)two(peer_mount_shared, 1, 2); /* expects an empty folder */
}

/* ---- the record ---- */

static int init_here(const char *locker, int force, hf_info *ret_info, hf_error *error) {
  hf_init_options options = {.locker = locker, .force = force};
  peer_table = hf_sys_real;
  peer_be_shared();
  hf_sys = &peer_table;
  int status = hf_init(folder, &options, ret_info, error);
  hf_sys = &hf_sys_real;
  return status;
}

static void expect_refused(const char *locker, const char *words) {
  hf_error error = HF_ERROR_INIT;
  int status = init_here(locker, 0, NULL, &error);
  FAULT_CHECK(status == HF_ECONFIG && strstr(error.message, words) != NULL,
              "init --locker %s answered %s, \"%s\"; it should refuse: \"...%s...\"", locker,
              hf_status_name(status), error.message, words);
}

static void record(void (*set)(void), int second_host) {
  const peer_member members[] = {{.host = 1, .set = set, .record = 1},
                                 {.host = second_host, .set = set, .record = 1}};
  const peer_told *told = peer_run(folder, members, 2);
  peer_expect_same(told, 2);
}

static void forget(void) {
  char path[FAULT_PATH_BYTES];
  fault_path(path, folder, "holdfast.peer.json");
  FAULT_CHECK(unlink(path) == 0, "nothing was recorded");
}

static void init_asks(void) {
  hf_error error = HF_ERROR_INIT;
  hf_info info;
  expect_refused("none", "holdfast doctor DIR --peer --record on two hosts at once");
  record(peer_mount_shared, 1);
  expect_refused("none", "of one host alone");
  forget();
  record(peer_mount_old_lengths, 2);
  expect_refused("none", "no store is safe here");
  forget();
  record(peer_mount_local_flock, 2);
  peer_expect_empty(folder, "holdfast.peer.json");
  expect_refused("flock", "flock does not exclude between hosts");
  fault_must(init_here("none", 0, &info, &error), &error, "init --locker none");
  FAULT_CHECK(!info.forced && strstr(info.peer, "\"flock\":\"not-across\"") != NULL,
              "forced %d, peer %s", info.forced, info.peer);
  hf_store *store = fault_open(folder);
  fault_must(hf_store_info(store, &info, &error), &error, "hf_store_info");
  FAULT_CHECK(strstr(info.peer, "\"hosts\":2") != NULL, "the manifest lost it: %s", info.peer);
  hf_close(&store);
  fault_verify(folder);
}

static void init_by_force(void) {
  hf_error error = HF_ERROR_INIT;
  hf_info info;
  fault_must(init_here("flock", 1, &info, &error), &error, "init --force");
  FAULT_CHECK(info.forced && info.peer[0] == '\0', "forced %d, peer %s", info.forced, info.peer);
  hf_store *store = fault_open(folder);
  fault_must(hf_store_info(store, &info, &error), &error, "hf_store_info");
  FAULT_CHECK(info.forced, "the manifest forgot that it was forced");
  hf_close(&store);
}

static void write_file(const char *path, const char *text, size_t bytes) {
  FILE *file = fopen(path, "wb");
  FAULT_CHECK(file != NULL && fwrite(text, 1, bytes, file) == bytes && fclose(file) == 0,
              "cannot write %s", path);
}

static void read_file(const char *path, char *text, size_t bytes) {
  FILE *file = fopen(path, "rb");
  FAULT_CHECK(file != NULL, "cannot read %s", path);
  size_t got = fread(text, 1, bytes - 1, file);
  text[got] = '\0';
  (void)fclose(file);
}

/* In a store it becomes a member of the manifest, and nothing else changes: not even a member that
 * this version does not know. */
static void into_manifest(void) {
  char path[FAULT_PATH_BYTES];
  char text[4096];
  hf_autobuf with = {0};
  hf_error error = HF_ERROR_INIT;
  fault_init(folder, "flock");
  fault_path(path, folder, "holdfast.json");
  read_file(path, text, sizeof text);
  *strstr(text, ",\"crc\"") = '\0';
  (void)hf_buf_printf(&with, "%s,\"later\":{\"a\":[1,2.50]}", text);
  fault_must(hf_manifest_seal(&with, 0, &error), &error, "hf_manifest_seal");
  write_file(path, with.data, with.used);
  *strstr(with.data, ",\"crc\"") = '\0';
  for (int round = 0; round < 2; round++) {
    record(peer_mount_shared, 2);
    read_file(path, text, sizeof text);
    FAULT_CHECK(strncmp(text, with.data, strlen(with.data)) == 0,
                "the manifest was %s..., and is %s", with.data, text);
    const char *first = strstr(text, ",\"peer\":{\"at\":\"");
    FAULT_CHECK(first != NULL, "nothing was recorded: %s", text);
    FAULT_CHECK(strstr(first + 8, "\"peer\":{") == NULL, "recorded twice: %s", text);
  }
  fault_verify(folder);
}

/* locker set flock goes by what was recorded, too. */
static void locker_set(void) {
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  fault_init(folder, "none");
  record(peer_mount_local_flock, 2);
  hf_store *store = fault_open(folder);
  int status = hf_set_locker(store, "flock", NULL, &seq, &error);
  FAULT_CHECK(status == HF_ECONFIG && strstr(error.message, "doctor --peer has not shown") != NULL,
              "locker set answered %s, \"%s\"", hf_status_name(status), error.message);
  hf_close(&store);
  record(peer_mount_shared, 2);
  store = fault_open(folder);
  status = hf_set_locker(store, "flock", NULL, &seq, &error);
  FAULT_CHECK(status == 1 && seq == 1, "locker set answered %d, seq %llu: %s", status,
              (unsigned long long)seq, error.message);
  hf_info info;
  hf_close(&store);
  store = fault_open(folder);
  fault_must(hf_store_info(store, &info, &error), &error, "hf_store_info");
  FAULT_CHECK(strstr(info.peer, "\"flock\":\"hosts\"") != NULL && strcmp(info.locker, "flock") == 0,
              "the manifest has the locker %s, peer %s", info.locker, info.peer);
  hf_close(&store);
}

/* ---- all cases ---- */

static const struct {
  const char *name;
  const char *text;
  void (*run)(void);
} cases[] = {
    {"sound", "two hosts, a mount without a fault", sound},
    {"one-host", "two processes of one host", one_host},
    {"local", "a local filesystem, of one host and of two", local},
    {"replaces", "link replaces a name", replaces},
    {"both-win", "link answers 0 to both", both_win},
    {"does-nothing", "link answers 0, and makes no name", does_nothing},
    {"renames", "no links: renames, which replace or not", renames},
    {"loses-replies", "link is done, and answers EEXIST", loses_replies},
    {"local-flock", "flock holds within a host", local_flock},
    {"other-flocks", "flock is refused, is kept, or is granted to all", other_flocks},
    {"old-lengths", "lengths are remembered for 200 ms", old_lengths},
    {"absent-names", "absent names are remembered", absent_names},
    {"slow-names", "a name is not there at the first look", slow_names},
    {"three", "three peers on two hosts", three},
    {"two-pairs", "four peers that want to be two each", two_pairs},
    {"nobody", "nobody else comes", nobody},
    {"other-number", "they want other numbers of peers", other_number},
    {"gives-up", "a peer fails in the middle", gives_up},
    {"killed", "a peer is killed in the middle", killed},
    {"init-asks", "init takes a record over, or refuses", init_asks},
    {"init-by-force", "init --force", init_by_force},
    {"into-manifest", "a record in a store", into_manifest},
    {"locker-set", "locker set goes by the record", locker_set},
};

int main(int argc, char **argv) {
  const char *only = fault_option_text(argc, argv, "--case", NULL);
  size_t ran = 0;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    if (only != NULL && strcmp(only, cases[i].name) != 0)
      continue;
    fault_context("%s (%s)", cases[i].name, cases[i].text);
    fault_path(folder, fault_folder_in_memory(), "place");
    FAULT_CHECK(mkdir(folder, 0777) == 0, "cannot make %s", folder);
    int64_t began_us = fault_now_us();
    cases[i].run();
    fault_remove_tree(folder);
    (void)printf("peer %-14s: %s (%lld ms)\n", cases[i].name, cases[i].text,
                 (long long)(fault_now_us() - began_us) / 1000);
    (void)fflush(stdout);
    ran++;
  }
  FAULT_CHECK(ran > 0, "there is no case %s", only);
  return 0;
}
