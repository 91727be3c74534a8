/* The Lua scripts of the redis locker (redis_*.lua): each is one round trip, and one indivisible
 * step at the server. What they take and answer stands at their beginning. */
#ifndef HF_LOCKERS_REDIS_SCRIPTS_H
#define HF_LOCKERS_REDIS_SCRIPTS_H

/* X(name): the file redis_<name>.lua */
#define HF_REDIS_SCRIPT_LIST(X)                                                                    \
  X(acquire) X(renew) X(counter) X(release) X(cancel) X(describe) X(break) X(repairs)

typedef enum hf_redis_script_name {
#define HF_REDIS_SCRIPT_ENUM(name) HF_REDIS_SCRIPT_##name,
  HF_REDIS_SCRIPT_LIST(HF_REDIS_SCRIPT_ENUM)
#undef HF_REDIS_SCRIPT_ENUM
} hf_redis_script_name;

typedef struct hf_redis_script {
  const char *name;
  const char *sha1; /* 40 hex digits: what EVALSHA calls it by */
  const char *text;
} hf_redis_script;

/* In the order of hf_redis_script_name. */
extern const hf_redis_script hf_redis_scripts[];

#endif
