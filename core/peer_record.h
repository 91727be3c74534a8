/* The result of doctor --peer, kept: the member "peer" of a store's manifest, or, where no store is
 * yet, the file holdfast.peer.json, {"peer":{...},"crc":"..."}, which hf_init takes over. */
#ifndef HF_CORE_PEER_RECORD_H
#define HF_CORE_PEER_RECORD_H

#include <holdfast/holdfast.h>

#include "manifest.h"

#define HF_PEER_LOBBY "doctor-peer"
#define HF_PEER_FILE "holdfast.peer.json"

/* Reads the file into manifest->peer. 1, 0 (there is none), or negative: HF_EDAMAGED (say: run it
 * again), HF_EIO. */
int hf_peer_file_read(int root_fd, hf_manifest *manifest, hf_error *reterr);

/* May a store with this locker be made here, by what is recorded? On a filesystem that is not known
 * to be local a result must be there, of two hosts or more; where one is there, it must allow the
 * locker. HF_OK, or HF_ECONFIG with what to do. */
int hf_peer_allows(const char *path, const hf_fs *fs, const hf_manifest *manifest,
                   hf_error *reterr);

/* 1: the recorded result names flock as the locker. */
int hf_peer_shows_flock(const hf_manifest *manifest);

#endif
