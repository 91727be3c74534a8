/* Stands in for export_sqlite.c where the build has no SQLite. */
#include "errors.h"
#include "export_job.h"

int hf_cli_has_sqlite(void) {
  return 0;
}

int hf_cli_export_sqlite(hf_cli_export_job *job, const char *path) {
  (void)path;
  return hf_cli_usage(job->cli, "--format", "this program was built without SQLite");
}
