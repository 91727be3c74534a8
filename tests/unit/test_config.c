/* The configuration: what it may say, and what is said where it may not. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <holdfast/config.h>
#include <holdfast/locker.h>

static char folder[64];
static char path[80];

static void set_up(void) {
  snprintf(folder, sizeof folder, "/tmp/hf-config-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/c.json", folder);
  ck_assert_int_eq(unsetenv("HOLDFAST_CONFIG"), 0);
  ck_assert_int_eq(unsetenv("HOLDFAST_REDIS_URL"), 0);
  ck_assert_int_eq(unsetenv("XDG_CONFIG_HOME"), 0);
  ck_assert_int_eq(setenv("HOME", folder, 1), 0);
}

static void tear_down(void) {
  char command[96];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  ck_assert_int_eq(system(command), 0);
}

static void write_file(const char *name, const char *text) {
  FILE *file = fopen(name, "w");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_ge(fputs(text, file), 0);
  ck_assert_int_eq(fclose(file), 0);
}

static hf_config *load(const char *text) {
  hf_config *config = NULL;
  hf_error error = HF_ERROR_INIT;
  write_file(path, text);
  int status = hf_config_load(path, &config, &error);
  ck_assert_msg(status == 0, "%s: %s: %s", text, error.place, error.message);
  return config;
}

static hf_error refuse(const char *text) {
  hf_config *config = NULL;
  hf_error error = HF_ERROR_INIT;
  write_file(path, text);
  ck_assert_msg(hf_config_load(path, &config, &error) == HF_ECONFIG, "accepted: %s", text);
  ck_assert_ptr_null(config);
  ck_assert_int_eq(error.code, HF_ECONFIG);
  ck_assert_msg(strncmp(error.place, path, strlen(path)) == 0, "%s", error.place);
  return error;
}

START_TEST(the_defaults) {
  hf_config *config = NULL;
  ck_assert_int_eq(hf_config_load(NULL, &config, NULL), 0);
  ck_assert_ptr_null(hf_config_path(config));
  ck_assert_uint_eq(hf_config_document_bytes_max(config), 64 * 1024 * 1024);
  ck_assert_ptr_null(hf_config_locker_options(config, "redis"));
  ck_assert_ptr_null(hf_config_locker_options(config, NULL));
  hf_config_free(&config);
  ck_assert_ptr_null(config);
  hf_config_free(&config);
  hf_config_free(NULL);
  ck_assert_uint_eq(hf_config_document_bytes_max(NULL), 64 * 1024 * 1024);
  ck_assert_ptr_null(hf_config_path(NULL));
  ck_assert_ptr_null(hf_config_locker_options(NULL, "redis"));
}
END_TEST

START_TEST(the_built_in_table) {
  const char *const local[] = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs"};
  const char *const shared[] = {"nfs",        "nfs4",    "cifs",    "smb3",       "lustre",
                                "ceph",       "gpfs",    "beegfs",  "glusterfs",  "9p",
                                "virtiofs",   "fuse",    "fuseblk", "fuse.sshfs", "fuse.ext4",
                                "fuse.tmpfs", "unknown", "overlay", "ramfs",      "vfat",
                                "",           "ext4 ",   "EXT4",    "ext",        "nfs4."};
  for (size_t i = 0; i < sizeof local / sizeof local[0]; i++)
    ck_assert_str_eq(hf_config_locker_for(NULL, local[i]), "flock");
  for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++)
    ck_assert_str_eq(hf_config_locker_for(NULL, shared[i]), "redis");
  ck_assert_str_eq(hf_config_locker_for(NULL, NULL), "redis");
}
END_TEST

START_TEST(the_files_table_comes_first) {
  hf_config *config = load("{\"filesystems\":{\"nfs4\":\"flock\",\"xfs\":\"none\","
                           "\"fuse\":\"flock\",\"fuse.sshfs\":\"none\"}}");
  ck_assert_str_eq(hf_config_path(config), path);
  ck_assert_str_eq(hf_config_locker_for(config, "nfs4"), "flock");
  ck_assert_str_eq(hf_config_locker_for(config, "xfs"), "none");
  ck_assert_str_eq(hf_config_locker_for(config, "ext4"), "flock");
  ck_assert_str_eq(hf_config_locker_for(config, "nfs"), "redis");
  ck_assert_str_eq(hf_config_locker_for(config, "fuse.sshfs"), "none");
  ck_assert_str_eq(hf_config_locker_for(config, "fuse.other"), "flock");
  ck_assert_str_eq(hf_config_locker_for(config, "fuse"), "flock");
  ck_assert_str_eq(hf_config_locker_for(config, "fuseblk"), "redis");
  ck_assert_str_eq(hf_config_locker_for(config, NULL), "redis");
  hf_config_free(&config);
}
END_TEST

static const char whole[] =
    "{ \"filesystems\": { \"nfs4\": \"redis\", \"xfs\": \"flock\" },\n"
    "  \"lockers\": { \"redis\": { \"url\": \"redis://127.0.0.1:6379/0\", \"lease_ms\": 10000,\n"
    "    \"user\": \"u\", \"password_file\": \"/p\", \"sentinels\": [\"10.0.0.1:26379\"],\n"
    "    \"master\": \"m\", \"prefix\": \"holdfast\" } },\n"
    "  \"limits\": { \"document_bytes_max\": 67108865 } }\n";

START_TEST(everything_that_may_stand) {
  hf_config *config = load(whole);
  ck_assert_uint_eq(hf_config_document_bytes_max(config), 67108865);
  const char *options = hf_config_locker_options(config, "redis");
  ck_assert_ptr_nonnull(options);
  ck_assert_ptr_nonnull(strstr(options, "redis://127.0.0.1:6379/0"));
  ck_assert_ptr_nonnull(strstr(options, "26379"));
  ck_assert_ptr_null(hf_config_locker_options(config, "flock"));
  hf_config_free(&config);
  config = load("{}");
  hf_config_free(&config);
  config = load(" {\"filesystems\":{},\"lockers\":{\"flock\":{},\"none\":{}},\"limits\":{}} ");
  ck_assert_ptr_null(hf_config_locker_options(config, "flock"));
  hf_config_free(&config);
}
END_TEST

START_TEST(redis_url_of_the_environment) {
  ck_assert_int_eq(setenv("HOLDFAST_REDIS_URL", "redis://:secret@h:1/2", 1), 0);
  hf_config *config = load(whole);
  const char *options = hf_config_locker_options(config, "redis");
  ck_assert_ptr_nonnull(strstr(options, "redis://:secret@h:1/2"));
  ck_assert_ptr_null(strstr(options, "127.0.0.1"));
  ck_assert_ptr_nonnull(strstr(options, "\"lease_ms\":10000"));
  hf_config_free(&config);
  config = load("{\"lockers\":{\"redis\":{\"lease_ms\":500}}}");
  ck_assert_ptr_nonnull(strstr(hf_config_locker_options(config, "redis"), "secret"));
  hf_config_free(&config);
  config = load("{}");
  ck_assert_str_eq(hf_config_locker_options(config, "redis"),
                   "{\"url\":\"redis://:secret@h:1/2\"}");
  hf_config_free(&config);
  ck_assert_int_eq(hf_config_load(NULL, &config, NULL), 0); /* no file at all */
  ck_assert_ptr_nonnull(strstr(hf_config_locker_options(config, "redis"), "secret"));
  hf_config_free(&config);
  ck_assert_int_eq(setenv("HOLDFAST_REDIS_URL", "", 1), 0); /* empty is not set */
  config = load("{}");
  ck_assert_ptr_null(hf_config_locker_options(config, "redis"));
  hf_config_free(&config);
}
END_TEST

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X256 X64 X64 X64 X64

/* Each refusal, with words that its message must have. */
static const struct {
  const char *text;
  const char *words;
} refusals[] = {
    {"{\"lokers\":{}}", "no setting lokers; is lockers meant"},
    {"{\"color\":1}", "no setting color; here may stand: filesystems, lockers, limits"},
    {"{\"lockers\":{\"redis\":{\"leas_ms\":1}}}", "lockers.redis.leas_ms; is lease_ms meant"},
    {"{\"lockers\":{\"redis\":{\"password\":\"x\"}}}",
     "lockers.redis.password; here may stand: url"},
    {"{\"lockers\":{\"reddis\":{}}}", "no setting lockers.reddis; is redis meant"},
    {"{\"lockers\":{\"zookeeper\":{}}}", "no setting lockers.zookeeper"},
    {"{\"lockers\":{\"flock\":{\"a\":1}}}", "lockers.flock: this locker has no options"},
    {"{\"lockers\":{\"none\":{\"a\":1}}}", "lockers.none: this locker has no options"},
    {"{\"limits\":{\"document_byte_max\":1}}", "is document_bytes_max meant"},
    {"{\"limits\":{\"document_bytes_max\":0}}", "1 to 1073741824"},
    {"{\"limits\":{\"document_bytes_max\":1073741825}}", "1 to 1073741824"},
    {"{\"limits\":{\"document_bytes_max\":1.5}}", "whole number"},
    {"{\"limits\":{\"document_bytes_max\":-1}}", "whole number"},
    {"{\"limits\":{\"document_bytes_max\":1e400}}", "whole number"},
    {"{\"limits\":{\"document_bytes_max\":\"1\"}}", "whole number"},
    {"{\"limits\":[]}", "limits must be an object, not an array"},
    {"{\"lockers\":null}", "lockers must be an object, not null"},
    {"{\"lockers\":{\"redis\":\"x\"}}", "lockers.redis must be an object, not a string"},
    {"{\"filesystems\":{\"nfs\":1}}", "filesystems.nfs must be a locker's name, not a number"},
    {"{\"filesystems\":{\"nfs\":true}}", "not true or false"},
    {"{\"filesystems\":{\"nfs\":\"flok\"}}", "there is no locker \"flok\"; is meant: flock"},
    {"{\"filesystems\":{\"nfs\":\"auto\"}}", "there is no locker \"auto\""},
    {"{\"filesystems\":{\"\":\"flock\"}}", "1 to 63 characters"},
    {"{\"filesystems\":{\"0123456789012345678901234567890123456789012345678901234567890123\":"
     "\"flock\"}}",
     "1 to 63 characters"},
    {"{\"filesystems\":{\"nfs\":\"flock\",\"nfs\":\"none\"}}", "filesystems.nfs stands twice"},
    {"{\"limits\":{},\"limits\":{}}", "limits stands twice"},
    {"{\"lockers\":{\"redis\":{\"lease_ms\":0}}}", "lockers.redis.lease_ms must be a whole number"},
    {"{\"lockers\":{\"redis\":{\"lease_ms\":\"1\"}}}", "lockers.redis.lease_ms"},
    {"{\"lockers\":{\"redis\":{\"url\":7}}}", "lockers.redis.url must be a string, not a number"},
    {"{\"lockers\":{\"redis\":{\"sentinels\":\"h:1\"}}}", "sentinels must be an array of strings"},
    {"{\"limits\":{\"" X256 "\":1}}", "x...; here may stand"},
    {"{\"lockers\":{\"redis\":{\"sentinels\":[\"h:1\",2]}}}", "sentinels must be an array"},
    {"[]", "object"},
    {"", ""},
    {"{\"limits\":{}", ""},
    {"{\"limits\":{},}", ""},
    {"{\"limits\":{\"document_bytes_max\":010}}", ""},
    {"{} // no comments", ""},
    {"{\"limits\":{}} {}", ""},
    {"\xEF\xBB\xBF{}", ""},
    {"{\"a\":[[[[[[[[[[1]]]]]]]]]]}", ""},
};

START_TEST(refused_by_name) {
  hf_error error = refuse(refusals[_i].text);
  ck_assert_msg(strstr(error.message, refusals[_i].words) != NULL, "%s: '%s' lacks '%s'",
                refusals[_i].text, error.message, refusals[_i].words);
  ck_assert_uint_gt(strlen(error.message), 0);
}
END_TEST

START_TEST(broken_json_has_a_place) {
  hf_error error = refuse("{\n  \"limits\": {\n    \"document_bytes_max\" 5\n} }");
  char expected[128];
  snprintf(expected, sizeof expected, "%s: line 3, column", path);
  ck_assert_msg(strncmp(error.place, expected, strlen(expected)) == 0, "%s", error.place);
}
END_TEST

/* A password in a url never shows up in an error. */
START_TEST(no_secret_in_an_error) {
  const char *const texts[] = {
      "{\"lockers\":{\"redis\":{\"url\":[\"redis://u:sesame@h\"]}}}",
      "{\"lockers\":{\"redis\":{\"url\":\"redis://u:sesame@h\",\"x\":1}}}",
      "{\"lockers\":{\"redis\":{\"url\":\"redis://u:sesame@h\" \"prefix\":1}}}",
      "{\"lockers\":{\"redis\":{\"url\":\"redis://u:sesame@h}}}",
      "{\"lockers\":{\"redis\":\"redis://u:sesame@h\"}}",
      "{\"lockers\":\"redis://u:sesame@h\"}",
  };
  ck_assert_int_eq(setenv("HOLDFAST_REDIS_URL", "redis://u:sesame@h", 1), 0);
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    hf_error error = refuse(texts[i]);
    ck_assert_msg(strstr(error.message, "sesame") == NULL, "%s", error.message);
    ck_assert_ptr_null(strstr(error.place, "sesame"));
  }
}
END_TEST

START_TEST(where_it_is_looked_for) {
  hf_config *config = NULL;
  hf_error error = HF_ERROR_INIT;
  char name[128];
  snprintf(name, sizeof name, "%s/.config", folder);
  ck_assert_int_eq(mkdir(name, 0777), 0);
  snprintf(name, sizeof name, "%s/.config/holdfast", folder);
  ck_assert_int_eq(mkdir(name, 0777), 0);
  snprintf(name, sizeof name, "%s/.config/holdfast/config.json", folder);
  write_file(name, "{}");
  ck_assert_int_eq(hf_config_load(NULL, &config, NULL), 0);
  ck_assert_str_eq(hf_config_path(config), name);
  hf_config_free(&config);

  ck_assert_int_eq(setenv("XDG_CONFIG_HOME", "relative", 1), 0); /* to be ignored */
  ck_assert_int_eq(hf_config_load(NULL, &config, NULL), 0);
  ck_assert_str_eq(hf_config_path(config), name);
  hf_config_free(&config);

  snprintf(name, sizeof name, "%s/xdg", folder);
  ck_assert_int_eq(mkdir(name, 0777), 0);
  ck_assert_int_eq(setenv("XDG_CONFIG_HOME", name, 1), 0);
  ck_assert_int_eq(hf_config_load(NULL, &config, NULL), 0);
  ck_assert_ptr_null(hf_config_path(config)); /* nothing there: the defaults */
  hf_config_free(&config);
  snprintf(name, sizeof name, "%s/xdg/holdfast", folder);
  ck_assert_int_eq(mkdir(name, 0777), 0);
  snprintf(name, sizeof name, "%s/xdg/holdfast/config.json", folder);
  ck_assert_int_eq(symlink("../../target.json", name), 0);
  ck_assert_int_eq(hf_config_load(NULL, &config, NULL), 0); /* it leads nowhere */
  hf_config_free(&config);
  char target[128];
  snprintf(target, sizeof target, "%s/target.json", folder);
  write_file(target, "{\"limits\":{\"document_bytes_max\":5}}");
  ck_assert_int_eq(hf_config_load(NULL, &config, NULL), 0); /* links are followed */
  ck_assert_uint_eq(hf_config_document_bytes_max(config), 5);
  hf_config_free(&config);

  ck_assert_int_eq(setenv("HOLDFAST_CONFIG", "/nonexistent/c.json", 1), 0);
  ck_assert_int_eq(hf_config_load(NULL, &config, &error), HF_ECONFIG);
  ck_assert_str_eq(error.place, "/nonexistent/c.json");
  ck_assert_ptr_nonnull(strstr(error.message, "HOLDFAST_CONFIG"));
  write_file(path, "{}");
  ck_assert_int_eq(hf_config_load(path, &config, NULL), 0); /* a path given comes first */
  hf_config_free(&config);
  ck_assert_int_eq(setenv("HOLDFAST_CONFIG", path, 1), 0);
  ck_assert_int_eq(hf_config_load(NULL, &config, NULL), 0);
  ck_assert_str_eq(hf_config_path(config), path);
  hf_config_free(&config);
  ck_assert_int_eq(hf_config_load("/nonexistent/c.json", &config, &error), HF_ECONFIG);
  ck_assert_int_eq(hf_config_load(folder, &config, &error), HF_ECONFIG); /* a folder */
  ck_assert_int_eq(unlink(path), 0);
  ck_assert_int_eq(mkfifo(path, 0666), 0);
  ck_assert_int_eq(hf_config_load(path, &config, &error), HF_ECONFIG); /* does not hang */
}
END_TEST

START_TEST(too_long) {
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  for (int i = 0; i < 1024 * 1024 + 1; i++)
    fputc(' ', file);
  ck_assert_int_eq(fclose(file), 0);
  hf_config *config = NULL;
  ck_assert_int_eq(hf_config_load(path, &config, NULL), HF_ECONFIG);
}
END_TEST

static int no_open(const hf_locker_open_args *args, void **ret_state, hf_error *reterr) {
  (void)args, (void)ret_state, (void)reterr;
  return HF_EBACKEND;
}

static int any_options(const char *options_json, hf_error *reterr) {
  (void)options_json, (void)reterr;
  return HF_OK;
}

/* A program's own locker may be configured, its options verbatim. */
START_TEST(a_programs_own_locker) {
  static hf_locker_ops own;
  own = *hf_locker_find("none");
  own.scheme = "own";
  own.open = no_open;
  own.check_options = any_options;
  ck_assert_int_eq(hf_locker_register(&own, NULL), 0);
  hf_config *config = load("{\"filesystems\":{\"nfs\":\"own\"},"
                           "\"lockers\":{\"own\":{\"n\": 9007199254740993, \"x\":[{}]}}}");
  ck_assert_str_eq(hf_config_locker_for(config, "nfs"), "own");
  ck_assert_str_eq(hf_config_locker_options(config, "own"),
                   "{\"n\": 9007199254740993, \"x\":[{}]}");
  hf_config_free(&config);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("config");
  TCase *tcase = tcase_create("config");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, the_defaults);
  tcase_add_test(tcase, the_built_in_table);
  tcase_add_test(tcase, the_files_table_comes_first);
  tcase_add_test(tcase, everything_that_may_stand);
  tcase_add_test(tcase, redis_url_of_the_environment);
  tcase_add_loop_test(tcase, refused_by_name, 0, sizeof refusals / sizeof refusals[0]);
  tcase_add_test(tcase, broken_json_has_a_place);
  tcase_add_test(tcase, no_secret_in_an_error);
  tcase_add_test(tcase, where_it_is_looked_for);
  tcase_add_test(tcase, too_long);
  tcase_add_test(tcase, a_programs_own_locker);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
