/* The built-in rules, and all that are in force as text. docs/asking/diff.md has the table; a test
 * compares them. */
#include "diff_rules.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "err.h"

#include "banned.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LEAVE_OUT(pattern)                                                                         \
  { (pattern), 1, NULL }
#define SET(pattern)                                                                               \
  { (pattern), 1, NULL }
#define CRITICAL(pattern)                                                                          \
  { (pattern), HF_SEVERITY_CRITICAL, NULL }
#define MAJOR(pattern)                                                                             \
  { (pattern), HF_SEVERITY_MAJOR, NULL }
#define MINOR(pattern)                                                                             \
  { (pattern), HF_SEVERITY_MINOR, NULL }
#define NONE(pattern)                                                                              \
  { (pattern), HF_SEVERITY_NONE, NULL }

/* What every run has of its own: which one it is, when and where it ran, where its files lie. */
static const hf_rule leave_out[] = {
    LEAVE_OUT("run_id"),       LEAVE_OUT("*_run_id"),     LEAVE_OUT("run_name"),
    LEAVE_OUT("snapshot_seq"), LEAVE_OUT("snapshot_id"),  LEAVE_OUT("job_id"),
    LEAVE_OUT("*_job_id"),     LEAVE_OUT("timestamp"),    LEAVE_OUT("timestamps"),
    LEAVE_OUT("*_timestamp"),  LEAVE_OUT("created_at"),   LEAVE_OUT("updated_at"),
    LEAVE_OUT("saved_at"),     LEAVE_OUT("started_at"),   LEAVE_OUT("finished_at"),
    LEAVE_OUT("ended_at"),     LEAVE_OUT("completed_at"), LEAVE_OUT("generated_at"),
    LEAVE_OUT("host"),         LEAVE_OUT("hostname"),     LEAVE_OUT("pid"),
    LEAVE_OUT("path"),         LEAVE_OUT("paths"),        LEAVE_OUT("*_path"),
    LEAVE_OUT("*_paths"),      LEAVE_OUT("*_dir"),        LEAVE_OUT("*_directory"),
    LEAVE_OUT("cwd"),
};

/* Whose order says nothing, and how often a value stands in them neither. */
static const hf_rule sets[] = {
    SET("features"),     SET("feature_names"),  SET("feature_set"),
    SET("feature_list"), SET("input_features"), SET("selected_features"),
    SET("symbols"),      SET("tickers"),        SET("targets"),
    SET("tags"),         SET("warnings"),
};

static const hf_rule severities[] = {
    /* how long it took, and on what */
    NONE("duration*"),
    NONE("*_duration"),
    NONE("elapsed*"),
    NONE("runtime_*"),
    NONE("wall_time*"),
    NONE("cpu_time*"),
    NONE("peak_memory*"),
    /* leakage, also where an evaluation has found it */
    CRITICAL("leak"),
    CRITICAL("leaks"),
    CRITICAL("leak_*"),
    CRITICAL("*leakage*"),
    /* what came out: the feature set of a stage that selects it, and else metrics, whatever their
     * names are */
    CRITICAL("/outputs/features"),
    CRITICAL("/outputs/**/selected_features"),
    MINOR("/outputs"),
    MINOR("/results"),
    MINOR("metrics"),
    MINOR("*_metrics"),
    MINOR("scores"),
    /* splits */
    CRITICAL("split"),
    CRITICAL("splits"),
    CRITICAL("split_*"),
    CRITICAL("*_split"),
    CRITICAL("*_splits"),
    CRITICAL("cv"),
    CRITICAL("cross_validation"),
    CRITICAL("fold*"),
    CRITICAL("n_folds"),
    CRITICAL("purge*"),
    CRITICAL("embargo*"),
    CRITICAL("holdout*"),
    /* targets */
    CRITICAL("target"),
    CRITICAL("targets"),
    CRITICAL("target_*"),
    CRITICAL("label"),
    CRITICAL("labels"),
    CRITICAL("label_column"),
    CRITICAL("horizon*"),
    CRITICAL("task_signature"),
    /* the feature set */
    CRITICAL("features"),
    CRITICAL("n_features"),
    CRITICAL("feature_names"),
    CRITICAL("feature_set"),
    CRITICAL("feature_list"),
    CRITICAL("feature_fingerprint"),
    CRITICAL("feature_signature"),
    CRITICAL("input_features"),
    CRITICAL("selected_features"),
    /* time ranges: of the data, not of the run. start_time alone may be when a run began, and a
     * lookback_period or a cutoff of the process is a hyperparameter */
    CRITICAL("date_*"),
    CRITICAL("*_date"),
    CRITICAL("*_dates"),
    CRITICAL("*date_range*"),
    CRITICAL("*time_range*"),
    CRITICAL("as_of"),
    CRITICAL("cutoff_time"),
    CRITICAL("time_cutoff"),
    CRITICAL("data_cutoff"),
    CRITICAL("train*_cutoff"),
    CRITICAL("train_start"),
    CRITICAL("train_end"),
    CRITICAL("train_from"),
    CRITICAL("train_to"),
    CRITICAL("train*_period"),
    CRITICAL("train*_window"),
    CRITICAL("valid*_start"),
    CRITICAL("valid*_end"),
    CRITICAL("valid*_from"),
    CRITICAL("valid*_to"),
    CRITICAL("valid*_period"),
    CRITICAL("valid*_window"),
    CRITICAL("test_start"),
    CRITICAL("test_end"),
    CRITICAL("test_from"),
    CRITICAL("test_to"),
    CRITICAL("test*_period"),
    CRITICAL("test*_window"),
    CRITICAL("eval*_period"),
    CRITICAL("eval*_window"),
    CRITICAL("backtest_start"),
    CRITICAL("backtest_end"),
    CRITICAL("backtest_period"),
    CRITICAL("backtest_window"),
    CRITICAL("data_start"),
    CRITICAL("data_end"),
    CRITICAL("data_period"),
    CRITICAL("window_start"),
    CRITICAL("window_end"),
    CRITICAL("period_start"),
    CRITICAL("period_end"),
    CRITICAL("/**/train/start"),
    CRITICAL("/**/train/end"),
    CRITICAL("/**/train/from"),
    CRITICAL("/**/train/to"),
    CRITICAL("/**/valid*/start"),
    CRITICAL("/**/valid*/end"),
    CRITICAL("/**/valid*/from"),
    CRITICAL("/**/valid*/to"),
    CRITICAL("/**/test/start"),
    CRITICAL("/**/test/end"),
    CRITICAL("/**/test/from"),
    CRITICAL("/**/test/to"),
    CRITICAL("/**/backtest/start"),
    CRITICAL("/**/backtest/end"),
    CRITICAL("/**/backtest/from"),
    CRITICAL("/**/backtest/to"),
    CRITICAL("/**/range/start"),
    CRITICAL("/**/range/end"),
    CRITICAL("/**/range/from"),
    CRITICAL("/**/range/to"),
    CRITICAL("/**/*window/start*"),
    CRITICAL("/**/*window/end*"),
    CRITICAL("/**/*window/from"),
    CRITICAL("/**/*window/to"),
    CRITICAL("/**/*windows/*/start*"),
    CRITICAL("/**/*windows/*/end*"),
    CRITICAL("/**/*windows/*/from"),
    CRITICAL("/**/*windows/*/to"),
    CRITICAL("/**/*period/start*"),
    CRITICAL("/**/*period/end*"),
    CRITICAL("/**/*period/from"),
    CRITICAL("/**/*period/to"),
    CRITICAL("/**/*periods/*/start*"),
    CRITICAL("/**/*periods/*/end*"),
    CRITICAL("/**/*periods/*/from"),
    CRITICAL("/**/*periods/*/to"),
    CRITICAL("/inputs/**/start"),
    CRITICAL("/inputs/**/end"),
    CRITICAL("/inputs/**/start_time"),
    CRITICAL("/inputs/**/end_time"),
    CRITICAL("/inputs/**/since"),
    CRITICAL("/inputs/**/until"),
    CRITICAL("/inputs/**/period"),
    CRITICAL("/inputs/**/cutoff"),
    /* metrics that stand by themselves */
    MINOR("accuracy"),
    MINOR("*_accuracy"),
    MINOR("auc"),
    MINOR("*_auc"),
    MINOR("f1"),
    MINOR("precision"),
    MINOR("recall"),
    MINOR("loss"),
    MINOR("*_loss"),
    MINOR("logloss"),
    MINOR("error"),
    MINOR("*_error"),
    MINOR("mae"),
    MINOR("mse"),
    MINOR("rmse"),
    MINOR("r2"),
    MINOR("ic"),
    MINOR("score"),
    MINOR("*_score"),
    /* hyperparameters, versions, sampling, and whatever is not known to matter less */
    MAJOR("/**"),
};

void hf_rules_of(const hf_compare *compare, hf_rules *ret_rules) {
  static const hf_compare nothing = {0};
  const hf_compare *own = compare != NULL ? compare : &nothing;
  *ret_rules = (hf_rules){.tolerance = own->tolerance != NULL ? own->tolerance
                                                              : HF_COMPARE_TOLERANCE_DEFAULT};
  hf_rule_list *lists = ret_rules->lists;
  for (int kind = 0; kind < HF_RULE_KINDS; kind++) {
    lists[kind].own = own->rules[kind];
    lists[kind].own_count = own->counts[kind];
  }
  if (!own->no_defaults) {
    lists[HF_RULE_LEAVE_OUT].built_in = leave_out;
    lists[HF_RULE_LEAVE_OUT].built_in_count = COUNT(leave_out);
    lists[HF_RULE_SET].built_in = sets;
    lists[HF_RULE_SET].built_in_count = COUNT(sets);
    lists[HF_RULE_SEVERITY].built_in = severities;
    lists[HF_RULE_SEVERITY].built_in_count = COUNT(severities);
  }
  for (size_t i = 0; i < own->counts[HF_RULE_LEAVE_OUT]; i++)
    ret_rules->can_keep |= own->rules[HF_RULE_LEAVE_OUT][i].is == 0;
}

void hf_compare_free(hf_compare *compare) {
  for (int kind = 0; kind < HF_RULE_KINDS; kind++) {
    for (size_t i = 0; i < compare->counts[kind]; i++) {
      free((char *)compare->rules[kind][i].pattern);
      free((char *)compare->rules[kind][i].tolerance);
    }
    free(compare->rules[kind]);
  }
  free(compare->tolerance);
  *compare = (hf_compare){0};
}

/* ---- as text ---- */

static void add_pattern(hf_buf *out, const char *pattern) {
  (void)hf_json_add_string(out, pattern, strlen(pattern));
}

/* The patterns of one kind with this `is`. */
static void add_patterns(hf_buf *out, const char *name, const hf_rule_list *list, int is) {
  (void)hf_buf_printf(out, ",\"%s\":[", name);
  int first = 1;
  for (size_t i = 0; i < hf_rules_count(list); i++) {
    if (hf_rules_at(list, i)->is != is)
      continue;
    (void)hf_buf_add_text(out, first ? "" : ",");
    add_pattern(out, hf_rules_at(list, i)->pattern);
    first = 0;
  }
  (void)hf_buf_add_text(out, "]");
}

static void add_pairs(hf_buf *out, const char *name, const hf_rule_list *list, int tolerances) {
  (void)hf_buf_printf(out, ",\"%s\":[", name);
  for (size_t i = 0; i < hf_rules_count(list); i++) {
    const hf_rule *rule = hf_rules_at(list, i);
    (void)hf_buf_printf(out, "%s{\"pattern\":", i > 0 ? "," : "");
    add_pattern(out, rule->pattern);
    if (tolerances)
      (void)hf_buf_printf(out, ",\"tolerance\":%s}", rule->tolerance);
    else
      (void)hf_buf_printf(out, ",\"severity\":\"%s\"}", hf_severity_name((hf_severity)rule->is));
  }
  (void)hf_buf_add_text(out, "]");
}

int hf_diff_rules(const hf_config *config, char **ret_text, size_t *ret_bytes, hf_error *reterr) {
  hf_rules rules;
  hf_rules_of(config != NULL ? &config->compare : NULL, &rules);
  hf_autobuf out = {0};
  (void)hf_buf_add_text(&out, "{\"defaults\":false");
  add_patterns(&out, "keep", &rules.lists[HF_RULE_LEAVE_OUT], 0);
  add_patterns(&out, "leave_out", &rules.lists[HF_RULE_LEAVE_OUT], 1);
  add_patterns(&out, "lists", &rules.lists[HF_RULE_SET], 0);
  add_patterns(&out, "sets", &rules.lists[HF_RULE_SET], 1);
  (void)hf_buf_printf(&out, ",\"tolerance\":%s", rules.tolerance);
  add_pairs(&out, "tolerances", &rules.lists[HF_RULE_TOLERANCE], 1);
  add_pairs(&out, "severity", &rules.lists[HF_RULE_SEVERITY], 0);
  (void)hf_buf_add_text(&out, "}");
  if (out.failed != 0)
    return hf_err_nomem(reterr);
  *ret_bytes = out.used;
  *ret_text = hf_buf_take(&out);
  return HF_OK;
}
