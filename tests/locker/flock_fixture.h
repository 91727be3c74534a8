/* A store's folder with a flock in it, for the tests of what is particular to flock. */
#ifndef HF_TESTS_LOCKER_FLOCK_FIXTURE_H
#define HF_TESTS_LOCKER_FLOCK_FIXTURE_H

#include <check.h>
#include <stdint.h>
#include <sys/types.h>

#include <holdfast/locker.h>

extern char store[64];
extern const hf_locker_ops *flocker;

void make_store(void); /* before each test */
void remove_store(void);

void *open_state(void);
const char *lock_path(void);
void write_lock_file(const char *text, size_t count);

/* Acquires and releases; the token. */
uint64_t turn(void *state);

/* A process that holds the lock until it is killed. */
pid_t start_holder(void);
void end_holder(pid_t pid);

int run_suite(const char *name, TCase *tcase);

#endif
