/* Holdfast: what differs between two snapshots.
 *
 *     hf_diff               compares two records by the rules of a configuration
 *       hf_diff_summary_of  comparable? how grave? how many?
 *       hf_diff_next        one change after the other
 *     hf_diff_free
 *
 *     hf_diff_patch         the whole difference of two documents, as an RFC 6902 patch
 *
 * Documents are compared as values: the order of members is no difference; of a member that stands
 * twice the last one counts; numbers are compared exactly, as decimals (1e2 is 100.0,
 * 9007199254740993 is not 9007199254740992), and shown as they were written; strings are compared
 * decoded ("\u0041" is "A").
 *
 * Rules. They say what is left out of a comparison, how far two numbers may lie apart, which lists
 * are sets, and how grave a change is, each by patterns:
 *
 *     /inputs/features      a JSON Pointer (RFC 6901: ~0 for '~', ~1 for '/')
 *     /outputs/metrics/d*   '*' stands for any characters of one name, or none
 *     /models/ ** /seed     '**' (without the blanks) for any number of names, or none
 *     *_path                without '/' before it: a member's name, wherever it stands
 *
 * A pattern stands for what it names and everything below that. Those of the configuration
 * ("compare", see docs/ASKING.md) come before the built-in ones; the first that fits counts.
 * hf_diff_rules tells all that are in force.
 *
 * Nothing here touches a store: any number of threads may compare the same records. One result is
 * used by one thread at a time.
 */
#ifndef HOLDFAST_DIFF_H
#define HOLDFAST_DIFF_H

#include <holdfast/holdfast.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How grave a change is; a higher number is graver. */
typedef enum hf_severity {
  HF_SEVERITY_NONE,    /* it differs, and does not matter */
  HF_SEVERITY_MINOR,   /* metrics */
  HF_SEVERITY_MAJOR,   /* hyperparameters, versions, sampling */
  HF_SEVERITY_CRITICAL /* splits, targets, the feature set, leakage, time ranges */
} hf_severity;

/* Where a change belongs, by the first name of its pointer. The order in which changes are told. */
typedef enum hf_section {
  HF_SECTION_INPUTS,
  HF_SECTION_PROCESS,
  HF_SECTION_OUTPUTS,
  HF_SECTION_OTHER
} hf_section;

enum { HF_SEVERITIES = 4, HF_SECTIONS = 4 };

typedef enum hf_change_kind {
  HF_CHANGE_ADDED,   /* only in b */
  HF_CHANGE_REMOVED, /* only in a */
  HF_CHANGE_CHANGED,
  /* only where hf_diff_options.all asks for them; their severity is HF_SEVERITY_NONE */
  HF_CHANGE_SAME,    /* equal */
  HF_CHANGE_CLOSE,   /* two numbers that differ, within the tolerance */
  HF_CHANGE_LEFT_OUT /* left out of the comparison by a rule; the values may differ or be absent */
} hf_change_kind;

/* "none", "minor", "major", "critical"; "inputs", "process", "outputs", "other"; "added",
 * "removed", "changed", "same", "close", "left-out". Static. */
HF_API const char *hf_severity_name(hf_severity severity);
HF_API const char *hf_section_name(hf_section section);
HF_API const char *hf_change_kind_name(hf_change_kind kind);

/* The severity of this name: 1, or 0 where there is none. */
HF_API int hf_severity_by_name(const char *name, hf_severity *ret_severity);

/* One change. The texts belong to the result and live until the next call for it. */
typedef struct hf_change {
  hf_change_kind kind;
  hf_section section;
  hf_severity severity;
  /* where: a JSON Pointer into b; of what was removed, into a. NUL-terminated: a NUL in a name is
   * U+FFFD in it, as a lone surrogate is */
  const char *pointer;
  /* where the old value stands in a: another one than pointer where elements of a list have moved;
   * NULL where there is none */
  const char *old_pointer;
  /* the values, as JSON texts, verbatim (objects and lists too); not NUL-terminated. NULL where
   * there is none */
  const char *old_text;
  size_t old_bytes;
  const char *new_text;
  size_t new_bytes;
  /* two numbers: new - old, exact, in the canonical form ("-0.0125"); NULL: they are not two
   * numbers, or the difference has too many digits (1e400 - 1) */
  const char *delta;
  /* two numbers: 1 (new > old), -1, 0 (equal, or not two numbers) */
  int direction;
  /* 1: percent is (new - old) / |old| * 100, computed in doubles, and finite. 0: they are not two
   * numbers, or old is 0, or it is too large for a double */
  int has_percent;
  double percent;
} hf_change;

/* Why two records are not comparable: bits of hf_diff_summary.differs. */
enum hf_differs {
  HF_DIFFERS_STAGE = 1 << 0,
  HF_DIFFERS_DIMS = 1 << 1,
  HF_DIFFERS_GROUP = 1 << 2,    /* other groups, or one has none */
  HF_DIFFERS_NO_GROUP = 1 << 3, /* neither has a group: comparable with nothing */
  HF_DIFFERS_NOT_RUN = 1 << 4   /* both are of the same run */
};

enum { HF_DIFF_REASON_BYTES = 2048 }; /* including the terminating NUL */

typedef struct hf_diff_summary {
  int comparable;   /* 1: the same group, stage and dims, and another run_id */
  unsigned differs; /* why not; 0: comparable */
  /* for people: which parts differ, with their values, and of groups the members of the documents'
   * /comparison_group that differ; "": comparable. One line of UTF-8 */
  char reason[HF_DIFF_REASON_BYTES];
  hf_severity severity; /* of the gravest change; NONE too where there is no change */
  uint64_t changes;     /* added, removed and changed */
  uint64_t by_severity[HF_SEVERITIES];
  uint64_t by_section[HF_SECTIONS];
  uint64_t close;    /* pairs of numbers that differ within their tolerance: not counted above */
  uint64_t left_out; /* values that a rule leaves out and that differ: not counted above */
  int identical;     /* 1: the documents are equal, whatever the rules say */
} hf_diff_summary;

typedef struct hf_diff_options {
  const hf_config *config; /* NULL: the built-in rules; must live as long as the result */
  /* 1: hf_diff_next tells every value, also those that are the same, close or left out */
  int all;
} hf_diff_options;

/* What hf_diff has found. */
typedef struct hf_diff_result hf_diff_result;

/* Compares two snapshots with their documents (as hf_get_seq gives them, or a hf_cursor with
 * with_documents). a is the older one, b the newer. Records that are not comparable are compared
 * all the same: the summary tells. An object that only one side has is told member by member; a
 * list, or an element of one, as a whole. options may be NULL. The caller frees *ret_result, before
 * the records.
 *
 * Lists: what both begin and end with, and in between the longest common subsequence, decide which
 * elements belong together; others are laid side by side. That needs a table of all pairs in
 * between: where they are more than HF_DIFF_LIST_PAIRS_MAX, or the lists of one comparison together
 * have more than 64 times that, two stretches of one length are laid side by side and a list with
 * others is one change as a whole. Of a list that is a set only the elements that one side alone
 * has are told, each once.
 *
 * Two numbers are close if |a - b| is less than their tolerance, exactly, as decimals: by default
 * 0.000001, so they differ if it is one in the sixth decimal place or more (0.1 and 0.100001
 * differ, 0.1 and 0.1000009 do not). Tolerance 0: any difference counts.
 *
 * Time and memory grow as the documents' sizes do (some 24 bytes for a value, and as much for a
 * change as its path needs), whatever the nesting is; that of one list with its pairs.
 * Errors: HF_ENOTFOUND (a record that is no snapshot, or whose document was not asked for or is not
 * kept any more; the message names the seq), HF_EDOC, HF_ELIMIT (a document that is no JSON object,
 * or nested too deeply; place: line and column), HF_EINVAL, HF_ENOMEM. */
HF_API int hf_diff(const hf_record *a, const hf_record *b, const hf_diff_options *options,
                   hf_diff_result **ret_result, hf_error *reterr);

enum { HF_DIFF_LIST_PAIRS_MAX = 1024 * 1024 };

/* Frees *result and sets it to NULL; accepts NULL and a pointer to NULL. */
HF_API void hf_diff_free(hf_diff_result **result);

/* Owned by result. */
HF_API const hf_diff_summary *hf_diff_summary_of(const hf_diff_result *result);

/* The next change: by section, in each in the order of a's document, what b adds behind it. 1; 0 at
 * the end (the next call begins anew); HF_ENOMEM. */
HF_API int hf_diff_next(hf_diff_result *result, hf_change *ret_change, hf_error *reterr);

/* Goes back to before the first change. */
HF_API void hf_diff_rewind(hf_diff_result *result);

/* The JSON Patch (RFC 6902) that makes document a into document b: one JSON array of "add",
 * "remove" and "replace", "[]" where they are equal. It covers the whole documents: no rule leaves
 * anything out of it, no tolerance applies, no list is a set. Applied to a it gives b: the same
 * values, with the number texts of b (one that is only spelled otherwise, as 1e2 and 100, is
 * replaced, too). What it does not keep: the order of members, and members that stand twice: the
 * last one counts, and it does not say so where a program that applies it counts another.
 *
 * Values stand in it verbatim. A program that turns numbers into doubles when it applies a patch
 * (cJSON_Utils does) gives doubles; it is not used here for that reason: see core/diff_patch.c.
 *
 * Texts are RFC 8259 JSON, any value. The caller frees *ret_text (free); it is NUL-terminated.
 * Thread-safe.
 * Errors: HF_EDOC, HF_ELIMIT (nesting; place: line and column; the message says which of the two),
 * HF_EINVAL, HF_ENOMEM. */
HF_API int hf_diff_patch(const char *a, size_t a_bytes, const char *b, size_t b_bytes,
                         char **ret_text, size_t *ret_bytes, hf_error *reterr);

/* The rules in force, as one JSON object that "compare" of a configuration could hold ("defaults"
 * is false in it: nothing is added to it). config may be NULL. The caller frees *ret_text (free).
 */
HF_API int hf_diff_rules(const hf_config *config, char **ret_text, size_t *ret_bytes,
                         hf_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
