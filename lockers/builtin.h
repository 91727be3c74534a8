/* The lockers that Holdfast brings along. Each is one const table; registry.c lists them. */
#ifndef HF_LOCKERS_BUILTIN_H
#define HF_LOCKERS_BUILTIN_H

#include <holdfast/locker.h>

extern const hf_locker_ops hf_locker_flock;
extern const hf_locker_ops hf_locker_none;
#ifdef HF_WITH_REDIS
extern const hf_locker_ops hf_locker_redis;
#endif

#endif
