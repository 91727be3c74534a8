/* A change of locker by a record, with writers at work (docs/PROTOCOL.md, core/turn.c, core/store_locker.c, core/set_locker.c).
 *
 * Two writers, each with a handle of its own; one of them saves twice. One who sets locker B. (-DSETTERS: instead of the second writer
 * one who sets locker A again.)
 * A writer knows the log as far as it has read it (v) and with it which locker the store has (mine). A handle reads the log when it is
 * opened, and after that only inside a turn: acquire the locker that it knows (hf_store_use_locker), read (at least what is marked,
 * perhaps more), look whether the locker has changed (has_moved), link at v + 1, which never replaces; on EEXIST read that name and look again.
 * Where the locker cannot be had it reads the log and tries the one that it finds there (has_left), else it gives up.
 * Locks are taken away from their holders (a lease that ran out, lock break, a holder that died), locker A may go away for ever, a
 * request may take effect late, and everyone may be as slow as he likes: whoever has stopped is one who is slow for ever.
 *
 *   A record is committed under the locker that the records before it tell.
 *   Nobody gives up on a locker that the store had left, by an acknowledged change, before his call began.
 *   A change whose setter was not stopped has been told to the manifest, and an older one never stands there in the end.
 *
 *   (sound)      0 errors
 *   -DIGNORE     a writer does not look for a change after it has read (the planted bug IGNORE_MODE)
 *   -DONCE       it looks when its turn begins, and not after EEXIST
 *   -DSTALE      it gives up where its locker cannot be had, without reading the log
 *   -DMANIFEST   a change is told to the manifest alone: who has read it before goes on under the old locker
 *   -DHINT       the manifest, which a handle has read when it was opened, wins over the log
 *   -DTELLONCE   who has told the manifest does not look whether a later change has come meanwhile */
#ifndef N
#define N 4
#endif
#define EMPTY 0
#define SAVE 1
#define SET_A 2
#define SET_B 3
#define A 0
#define B 1

byte slot[N + 2];
bit eff[N + 2];      /* ghost: the locker that the records before this seq tell */
byte marked = 0;     /* the log's mark: acknowledged records are below */
byte holder[2];      /* of the lockers: 0 nobody */
bool away = false;   /* locker A cannot be reached */
byte acked = 0;      /* ghost: the seq of the last change that was acknowledged */
bit manifest = A;    /* what it says, */
byte told = 0;       /* and by which record */
bool untold = false; /* ghost: a change that its setter has not told to the manifest: he stopped, or failed */
byte late_n = 0; byte late_what; bit late_under; /* a request under way whose owner no longer waits */

inline link(n, what, under, ok) {
  atomic {
    ok = false;
    if
    :: slot[n] == EMPTY ->
       slot[n] = what; ok = true;
#ifdef MANIFEST
       assert(under == manifest);
#else
       assert(under == eff[n]); /* nobody commits behind a change with the old locker's grant */
#endif
       eff[n + 1] = (what == SET_A -> A : (what == SET_B -> B : eff[n]))
    :: else
    fi
  }
}

inline read_one() {
  v++;
  if
#ifndef HINT
  :: slot[v] == SET_A -> mine = A; mode = v
  :: slot[v] == SET_B -> mine = B; mode = v
#else
  :: slot[v] == SET_A || slot[v] == SET_B -> mode = v
#endif
  :: else
  fi
}

/* What is marked is read for certain; what is there beyond it may be. In one step: records never change, and nobody sees how far
 * another has read. */
inline read_log() {
  atomic {
    do
    :: v < N && v < marked -> read_one()
    :: v < N && v >= marked && slot[v + 1] != EMPTY -> read_one()
    :: v >= marked || v == N -> break
    od
  }
}

inline release() {
  atomic { if :: holder[under] == me -> holder[under] = 0 :: else fi }
}

/* One call: a save, or a change. Jumps to fin where it fails or the log is full. done: it was acknowledged. */
inline commit(what) {
  d_step { done = false; began = acked }
turn:
  under = mine;
  if
  :: atomic { (under == B || !away) && holder[under] == 0 -> holder[under] = me }
  :: under == A && away ->
#ifndef STALE
     read_log();
     if :: mine != under -> goto turn :: else fi;
#endif
     assert(mode >= began || mine == B); /* it gives up: "the lock's backend cannot be reached" */
     goto fin
  fi;
  read_log();
again:
  if :: v >= N -> release(); goto fin :: else fi;
#ifndef IGNORE
  if :: mine != under -> release(); goto turn :: else fi; /* has_moved */
#endif
  if
  :: (what == SET_A && mine == A) || (what == SET_B && mine == B) -> release(); goto called /* already */
  :: else
  fi;
#ifdef ONCE
onward:
  if :: v >= N -> release(); goto fin :: else fi;
#endif
  if
  :: link(v + 1, what, under, ok)
  :: atomic { late_n == 0 && what == SAVE -> late_n = v + 1; late_what = what; late_under = under }; goto fin
  fi;
  if
  :: !ok ->
     atomic { read_one() };
#ifdef ONCE
     goto onward
#else
     goto again
#endif
  :: else
  fi;
  atomic { /* the mark; the release */
    if :: marked < v + 1 -> marked = v + 1 :: else fi;
    read_one();
    release();
    done = true
  }
called: skip
}

inline forget() { /* what is over makes no difference any more */
  d_step { v = 0; mode = 0; mine = A; under = A; ok = false; done = false; began = 0 }
}

#define HANDLE byte v = 0; byte mode = 0; bit mine = A; bit under = A; bool ok; bool done; byte began = 0

proctype Writer(byte me; byte calls) {
  HANDLE;
  mine = manifest;
  read_log();
call:
  commit(SAVE);
  calls--;
  if :: calls > 0 -> goto call :: else fi;
fin:
  release();
  forget()
}

proctype Setter(byte me; byte what) {
  HANDLE;
  byte now;
  mine = manifest;
  read_log();
#ifdef MANIFEST
  manifest = (what == SET_A -> A : B);
  goto fin;
#endif
  commit(what);
  atomic { if :: done && acked < mode -> acked = mode :: else fi };
tell:
  now = mode;
  if
  :: now > told -> skip; /* the file is read, then replaced: another may do so in between */
     if
     :: atomic { manifest = mine; told = now }
     :: untold = true; goto fin
     fi
  :: else
  fi;
#ifndef TELLONCE
  read_log();
  if :: mode > now -> goto tell :: else fi;
#endif
  goto out;
fin:
  untold = true;
out:
  release();
  forget()
}

proctype World() { /* leases end, A goes away, requests take effect, at any time or never */
  bool ok; byte takes = 0;
  do
  :: atomic { takes < 2 && holder[A] != 0 -> holder[A] = 0; takes++ }
  :: atomic { takes < 2 && holder[B] != 0 -> holder[B] = 0; takes++ }
  :: !away -> away = true
  :: late_n != 0 && late_n <= N -> link(late_n, late_what, late_under, ok); late_n = N + 1
  :: break
  od
}

init {
  atomic {
    run Writer(1, 2);
    run Setter(3, SET_B);
#ifdef SETTERS
    run Setter(4, SET_A);
#else
    run Writer(2, 1);
#endif
    run World()
  };
  (_nr_pr == 1);
#ifndef MANIFEST
  byte n = N; /* the last change in the log */
  do :: n > 0 && (slot[n] == SAVE || slot[n] == EMPTY) -> n-- :: else -> break od;
  assert(untold || told == n)
#endif
}
