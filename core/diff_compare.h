/* Whether two snapshots are comparable, and in words why not. */
#ifndef HF_CORE_DIFF_COMPARE_H
#define HF_CORE_DIFF_COMPARE_H

#include <holdfast/diff.h>

#include "json_tree.h"

/* Fills comparable, differs and reason of the summary. HF_OK or HF_ENOMEM. */
int hf_diff_comparable(const hf_record *a, const hf_record *b, const hf_json_tree *a_doc,
                       const hf_json_tree *b_doc, hf_diff_summary *summary, hf_error *reterr);

#endif
