/* Packing without a lock (docs/PROTOCOL.md, tiles; core/tile_pack.c, core/tile_free.c, core/publish.c, core/log.c).
 *
 * Two owners commit two records each, two packers pack tiles of T records and free what others left (one of them is in the handle of the
 * first owner, and takes from memory what that one has committed, core/own_lines.c), a reader that begins after an
 * acknowledgement looks at any one record. Everyone may be as slow
 * as he likes at every step: whoever has stopped, or was killed, is one who is slow for ever. With -DPOWER the power goes at any instant,
 * and nobody reads.
 *
 *   I1  no id is acknowledged or shown at two seqs, and none is left out below what was acknowledged
 *   I2  what was acknowledged or shown at a seq stays there, whatever file carries it (-DPOWER: after a power loss, too, which is I3)
 *   I7  a reader that begins after an acknowledgement sees it
 *   and the log's mark is never behind the tiles'
 *
 *   (sound)         0 errors; so with -DFOREIGN, with -DPOWER -DN=2, with -DPOWER -DALONE, each of them but N=2 with -DTOGETHER
 *   -DFOREIGN       something else stands where tile 0 belongs
 *   -DTOGETHER      one of the packers takes both tiles through each step together (core/tile_pack.c, group)
 *   -DALONE         one owner commits all
 *   -DNOTILE        an owner does not look for a tile after its link (the planted bug IGNORE_TILE)
 *   -DACKEARLY      it answers before log/mark is extended (ACK_BEFORE_MARK)
 *   -DLOOSEWINS     a reader takes the loose file where it finds one (TILE_NOT_PREFERRED)
 *   -DONELOOK       it looks at tile/mark before the loose name, and not after it
 *   -DNOCOMPARE     a packer compares nothing (FREE_WITHOUT_COMPARE; with FOREIGN)
 *   -DCOMPARELATE   it compares only after the tile counts (with FOREIGN)
 *   -DKEEPTRIED     memory holds what its handle tried to link, not what it committed (KEEP_TRIED)
 *   -DFREEEARLY     names are freed before the tile's name and its mark are durable (FREE_BEFORE_TILE_DURABLE; with POWER)
 *   -DMARKEARLY     the mark is extended before the tile's name is durable (with POWER)
 *   -DLEFTEARLY     what a killed packer left is freed though its mark may not be durable yet (with POWER) */
#define T 2
#ifndef N
#define N 4
#endif
#define OTHER 9 /* what FOREIGN stands for */

byte loose[N + 1];   /* log/<n>: whose record; 0: the name is free */
byte tile[N + 1];    /* the lines of the tiles, by seq */
bit named[N / T];    /* tile/000/<i>.jsonl exists */
byte mark = 0;       /* the length of tile/mark */
byte log_mark = 0;   /* the length of log/mark */
byte acked = 0;      /* the highest seq that was acknowledged */
byte hist[N + 1];    /* ghost: what was acknowledged or shown */
byte own[N + 1];     /* what the first owner's handle keeps, by seq */
#ifdef POWER
byte disk[N + 1];    /* log/ as its last fsync left it */
bit tile_dur[N / T]; /* the tile's name is durable */
byte mark_dur = 0;   /* the length of tile/mark that is durable */
#endif

#define KEEP(n, id) if :: first == 1 && own[n] == 0 -> own[n] = id :: else fi
#define COVERED(n) (((n) - 1) / T < mark)

#ifdef POWER
#define FSYNC_LOG atomic { k = 1; do :: k <= N -> disk[k] = loose[k]; k++ :: else -> break od; k = 0 };
#else
#define FSYNC_LOG
#endif

inline shown(n, id) { /* acknowledged, or given to somebody */
  d_step {
    assert(hist[n] == 0 || hist[n] == id); /* I2 */
    k = 1;
    do :: k <= N -> assert(k == n || hist[k] != id); k++ :: else -> break od; /* I1 */
    hist[n] = id;
    k = 0
  }
}

/* A save: core/turn.c, core/publish.c. m: read so far; it never links but behind what it has read. */
proctype Owner(byte first; byte saves) {
  byte id = first; byte m = 0; byte r; byte k; bool ok;
again:
  atomic { if :: m == N || id == first + saves -> goto fin :: else fi };
  r = loose[m + 1];                                     /* read_next: the loose name, */
  atomic {
    if :: COVERED(m + 1) -> r = tile[m + 1] :: else fi; /* then, found or not, tile/mark */
    if
    :: r == id -> goto done
    :: r != 0 && r != id -> m++; goto again
    :: else
    fi
  };
#ifdef KEEPTRIED
  KEEP(m + 1, id);
#endif
  atomic { ok = (loose[m + 1] == 0); if :: ok -> loose[m + 1] = id :: else fi }; /* step 4: link */
  if :: !ok -> goto again :: else fi;                   /* EEXIST: read it */
  FSYNC_LOG                                          /* step 5, */
#ifndef NOTILE
  atomic {                                              /* and a look for a tile */
    if
    :: COVERED(m + 1) && tile[m + 1] != id -> goto back
    :: else
    fi
  };
#endif
  goto done;
back:
  loose[m + 1] = 0;                                     /* unlink, and again with the same file */
  goto again;
done:
  FSYNC_LOG
  atomic {
    m++;
#ifndef ACKEARLY
    if :: log_mark < m -> log_mark = m :: else fi;      /* step 6 */
#endif
    shown(m, id);                                        /* step 7: the answer */
    if :: acked < m -> acked = m :: else fi;
#ifndef KEEPTRIED
    KEEP(m, id);
#endif
    id++
  };
  goto again;
fin: skip
}

/* hf_pack, and the thread of core/packer.c. */
proctype Packer(bool sweeps) {
  byte i; byte k; byte n; byte r; byte c[T];
  /* ---- core/tile_free.c, of any one name ---- */
  if
  :: sweeps && mark > 0 ->
     atomic {
       n = 1;
       do :: n < mark * T -> n++ :: break od;
       r = loose[n];
       if :: r == 0 || r != tile[n] -> goto again :: else fi
     };
#if defined(POWER) && !defined(LEFTEARLY)
     atomic { if :: mark_dur < mark -> mark_dur = mark :: else fi }; /* hf_tile_mark_secure */
#endif
     loose[n] = 0
  :: true
  fi;
again:
  atomic { n = 0; r = 0; i = mark; if :: i == N / T -> goto fin :: else fi };
  /* ---- read_log in core/pack.c: read to the head, durable, marked ---- */
  do
  :: atomic { log_mark < (i + 1) * T && loose[log_mark + 1] != 0 -> FSYNC_LOG log_mark++ }
  :: log_mark >= (i + 1) * T -> break /* hf_tiles_settled */
  :: log_mark < (i + 1) * T && loose[log_mark + 1] == 0 -> goto fin
  od;
  /* ---- core/tile_pack.c: build ---- */
  c[0] = (sweeps && own[i * T + 1] != 0 -> own[i * T + 1] : loose[i * T + 1]);
  c[1] = (sweeps && own[i * T + 2] != 0 -> own[i * T + 2] : loose[i * T + 2]);
  atomic { if :: i < mark -> goto again :: else fi };   /* a tile counts by now: another was faster */
  /* ---- publish: link, then the folders ---- */
  atomic {
    if :: c[0] == 0 || c[1] == 0 -> goto fin :: else fi;
    if
    :: !named[i] -> named[i] = 1; tile[i * T + 1] = c[0]; tile[i * T + 2] = c[1]
    :: else
    fi
  };
#ifdef FREEEARLY
  loose[i * T + 1] = 0; loose[i * T + 2] = 0;
#endif
#if defined(POWER) && !defined(MARKEARLY)
  tile_dur[i] = 1;
#endif
#if !defined(NOCOMPARE) && !defined(COMPARELATE)
  atomic { if :: tile[i * T + 1] != c[0] || tile[i * T + 2] != c[1] -> goto fin :: else fi };
#endif
  /* ---- the marks ---- */
  atomic { if :: log_mark < (i + 1) * T -> log_mark = (i + 1) * T :: else fi };
  atomic { if :: mark < i + 1 -> mark = i + 1 :: else fi; assert(log_mark >= mark * T) };
#ifdef POWER
#ifdef MARKEARLY
  atomic { if :: mark_dur < mark -> mark_dur = mark :: else fi };
  tile_dur[i] = 1;
#else
  atomic { if :: mark_dur < mark -> mark_dur = mark :: else fi };
#endif
#endif
#ifndef NOCOMPARE
  atomic { if :: tile[i * T + 1] != c[0] || tile[i * T + 2] != c[1] -> goto fin :: else fi };
#endif
  /* ---- the loose names ---- */
  loose[i * T + 1] = 0;
  loose[i * T + 2] = 0;
  goto again;
fin: skip;
  d_step { i = 0; n = 0; r = 0; k = 0; c[0] = 0; c[1] = 0 }
}

#ifdef TOGETHER
/* Both tiles, if both are settled: each step for all of them, then the next. */
proctype Group() {
  byte j; byte k; byte c[N];
  do
  :: atomic { log_mark < N && loose[log_mark + 1] != 0 -> FSYNC_LOG log_mark++ }
  :: log_mark == N -> break
  :: log_mark < N && loose[log_mark + 1] == 0 -> goto fin
  od;
  j = 0;
  do :: j < N -> c[j] = loose[j + 1]; atomic { j++; if :: j % T == 0 && (j - 1) / T < mark -> goto fin :: else fi } /* build */
     :: else -> break od;
  atomic { j = 0; do :: j < N -> if :: c[j] == 0 -> goto fin :: else fi; j++ :: else -> break od };
  j = 0;
  do :: j < N / T -> atomic { /* publish */
          if :: !named[j] -> named[j] = 1; tile[j * T + 1] = c[j * T]; tile[j * T + 2] = c[j * T + 1] :: else fi; j++ }
     :: else -> break od;
#ifdef FREEEARLY
  j = 0; do :: j < N -> loose[j + 1] = 0; j++ :: else -> break od;
#endif
#if defined(POWER) && !defined(MARKEARLY)
  j = 0; do :: j < N / T -> atomic { tile_dur[j] = 1; j++ } :: else -> break od;
#endif
#if !defined(NOCOMPARE) && !defined(COMPARELATE)
  j = 0; do :: j < N -> atomic { if :: tile[j + 1] != c[j] -> goto fin :: else fi; j++ } :: else -> break od;
#endif
  atomic { if :: log_mark < N -> log_mark = N :: else fi };
  atomic { if :: mark < N / T -> mark = N / T :: else fi; assert(log_mark >= mark * T) };
#ifdef POWER
  atomic { if :: mark_dur < mark -> mark_dur = mark :: else fi };
#ifdef MARKEARLY
  j = 0; do :: j < N / T -> atomic { tile_dur[j] = 1; j++ } :: else -> break od;
#endif
#endif
#ifndef NOCOMPARE
  j = 0; do :: j < N -> atomic { if :: tile[j + 1] != c[j] -> goto fin :: else fi; j++ } :: else -> break od;
#endif
  j = 0; do :: j < N -> loose[j + 1] = 0; j++ :: else -> break od;
fin: skip;
  d_step { j = 0; k = 0; do :: k < N -> c[k] = 0; k++ :: else -> break od; k = 0 }
}
#endif

/* core/log.c, from a handle that is opened now. */
#ifndef POWER
proctype Reader() {
  byte n = 1; byte r; byte k; byte want; bool looked;
  atomic {
    acked != 0 -> want = acked;
    assert(want <= log_mark || want <= mark * T); /* I7: on a shared filesystem it goes by the marks */
    do :: n < N -> n++ :: break od /* any one of them */
  };
#ifdef ONELOOK
  looked = COVERED(n);
  r = loose[n];
  atomic { if :: looked -> r = tile[n] :: else fi };
#else
  r = loose[n];
#ifdef LOOSEWINS
  atomic { if :: r == 0 && COVERED(n) -> r = tile[n] :: else fi };
#else
  atomic { if :: COVERED(n) -> r = tile[n] :: else fi };
#endif
#endif
  if
  :: r == 0 -> assert(n > want) /* I7 */
  :: else ->
     FSYNC_LOG /* make_durable */
     shown(n, r)
  fi;
  d_step { n = 0; r = 0; want = 0; looked = 0 }
}

#else
/* At any instant; what the disk may have kept must do. It changes nothing here: the run goes on as if it had not come. */
proctype Power() {
  byte n; byte r; byte m; byte line;
  atomic {
    m = mark_dur;
    do :: m < mark -> m++ :: break od; /* more than what was fsynced, perhaps */
    n = 1;
    do
    :: n <= N ->
       if :: r = loose[n] :: r = disk[n] fi;
       line = tile[n];
       if :: tile_dur[(n - 1) / T] -> skip :: !tile_dur[(n - 1) / T] -> line = 0 :: true -> skip fi;
       if :: (n - 1) / T < m -> r = line :: else fi;
       assert(hist[n] == 0 || r == hist[n]); /* I2, I3 */
       n++
    :: else -> break
    od
  }
}
#endif

init {
  atomic {
#ifdef FOREIGN
    named[0] = 1; tile[1] = OTHER; tile[2] = OTHER;
#ifdef POWER
    tile_dur[0] = 1;
#endif
#endif
#ifdef ALONE
    run Owner(1, N);
#else
    run Owner(1, 2);
    run Owner(3, 2);
#endif
    run Packer(true);
#ifdef TOGETHER
    run Group();
#else
    run Packer(false);
#endif
#ifdef POWER
    run Power();
#else
    run Reader();
#endif
  }
}
