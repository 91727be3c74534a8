/* Journal mode (docs/PROTOCOL.md, journal mode; core/journal.c, core/journal_flush.c, core/part.c, core/part_read.c).
 *
 * Three writers append one record each to parts of T records, under the part's lock, and wait for durability outside of it; the third
 * one's record changes the mode, and a publisher goes on behind it with a file of its own. A reader that begins after an acknowledgement
 * looks at any record. Everyone may be slow, or be killed, at every step (the kernel frees the lock); an append may end half-way; one
 * fdatasync may fail: what it did not write stays in memory as if it were written, an error is told once to each descriptor that was
 * open, and memory may be dropped, so that the old content is read again. The power may go in every state: what was acknowledged or
 * shown must be on the disk then, and every record before it, too.
 *
 *   I1, I2  no two records at one seq, none is replaced      I3  acknowledged and shown records are durable
 *   I4, I7  what begins after an acknowledgement finds it    and nobody appends behind a change of mode
 *
 *   (sound)      0 errors; so with -DFAIL (nobody reads then), with -DMODE
 *   -DMARKEARLY  the mark is extended before fdatasync (the planted bug JOURNAL_MARK_EARLY)
 *   -DENDLATE    what fdatasync covered is looked up after it
 *   -DTORNTAIL   a torn line is left, and appended behind (JOURNAL_TORN_TAIL)
 *   -DNEXTEARLY  a tile is begun before the last one is durable (JOURNAL_NEXT_TILE_EARLY)
 *   -DSHOWALL    a reader is shown what the mark does not cover (JOURNAL_SHOW_UNPROVEN)
 *   -DNOPROOF    whoever opens a part does not write anew what the mark does not cover (with FAIL)
 *   -DNOREADBACK a mark that another raised is believed without a look at one's own line (with FAIL)
 *   -DAGAIN      a descriptor whose fdatasync failed is used again (with FAIL)
 *   -DMODEEARLY  a change of mode is obeyed before the mark covers it (with MODE) */
#define N 4
#define T 2
#define NW 3
#define F(n) (((n) - 1) / T)
#define TORN 9
#define PUBLISHER 8
#define WHOLE(x) ((x) != 0 && (x) != TORN)

byte cache[N + 1];   /* what every process reads: the record at a seq, TORN, or nothing */
byte disk[N + 1];    /* what a power loss leaves */
bit dirty[N + 1];
byte loose = 0;      /* the publisher's seq; durable at once */
byte lock[N / T];    /* the parts' */
byte mark = 0;       /* the length of log/mark */
byte acked = 0;      /* the highest seq that was acknowledged */
byte hist[N + 1];    /* ghost: acknowledged, or shown */
byte isopen[NW + 1]; /* which part a writer has open, + 1 */
bit err[NW + 1];     /* an error that its descriptor has not told yet */
bit failed = 0;

#define AT(n) (loose == (n) -> PUBLISHER : cache[n])
#define ON_DISK(n) (loose == (n) -> PUBLISHER : disk[n])
#define KEPT(n) (hist[n] == 0 || ON_DISK(n) == hist[n])
#define BEFORE(n) (hist[n] == 0 || ((n < 2 || WHOLE(ON_DISK(1))) && (n < 3 || WHOLE(ON_DISK(2))) && (n < 4 || WHOLE(ON_DISK(3)))))
#define SOUND (KEPT(1) && KEPT(2) && KEPT(3) && KEPT(4) && BEFORE(2) && BEFORE(3) && BEFORE(4))

inline shown(n, id) {
  d_step {
    assert(hist[n] == 0 || hist[n] == id); /* I2 */
    hist[n] = id;
    assert(SOUND) /* I3: the power may go now; and in every later state, where the disk only changes in the inlines below */
  }
}

/* One fdatasync of part f: flush() of core/journal_flush.c. */
inline fdatasync(f, ok) {
  d_step {
    k = 1;
    if
    :: err[me] -> err[me] = 0; ok = 0
    :: else ->
       ok = 1;
       do :: k <= N -> if :: F(k) == f && dirty[k] -> disk[k] = cache[k]; dirty[k] = 0 :: else fi; k++ :: else -> break od
    fi;
    k = 0;
    assert(SOUND)
  }
}

/* The same, and it fails: nothing was written, and it seems so nowhere. */
inline fdatasync_fails(f) {
  d_step {
    failed = 1;
    k = 1;
    do :: k <= N -> if :: F(k) == f -> dirty[k] = 0 :: else fi; k++ :: else -> break od;
    k = 1;
    do :: k <= NW -> if :: isopen[k] == f + 1 && k != me -> err[k] = 1 :: else fi; k++ :: else -> break od;
    k = 0
  }
}

inline head(n) { d_step { n = 1; do :: n <= N && WHOLE(AT(n)) -> n++ :: else -> break od; skip } } /* the first free seq */

#define MAYDIE if :: goto die :: true fi

proctype writer(byte me) {
  byte n; byte k; byte e; byte f; bit ok; byte tries = 0;
again:
  tries++;
  if :: tries > 3 -> goto fin :: else fi;
#ifdef NEXTEARLY
  head(n);
#else
  n = mark + 1; /* the log is read up to the mark; what is beyond it is read of the part that is held */
#endif
  if :: n > N -> goto fin :: else fi;
  f = F(n);
  d_step { isopen[me] = f + 1; err[me] = 0 }; /* hf_part_open */
  atomic { lock[f] == 0 -> lock[f] = me };    /* lock_part */
#ifndef NOPROOF
  d_step { /* hf_part_prove: what the mark does not cover is written anew */
    k = mark + 1;
    do :: k <= N && F(k) <= f -> if :: F(k) == f && WHOLE(cache[k]) && loose != k -> dirty[k] = 1 :: else fi; k++ :: else -> break od;
    k = 0
  };
#endif
  head(n);
#ifdef MODE
  d_step { /* is_ours: the log says another mode */
    k = 1; ok = 1;
    do :: k <= N -> if :: AT(k) == NW -> ok = 0 :: else fi; k++ :: else -> break od;
    k = 0
  };
  if
  :: !ok -> lock[f] = 0; goto fin
  :: else
  fi;
#endif
  if
  :: n > N || F(n) != f -> /* full: leave_part */
#ifndef NEXTEARLY
     if
     :: mark < (f + 1) * T ->
        fdatasync(f, ok);
        if :: !ok -> lock[f] = 0; goto fin :: else fi;
        if :: mark < (f + 1) * T -> mark = (f + 1) * T :: else fi
     :: else
     fi;
#endif
     lock[f] = 0;
     goto again
  :: else
  fi;
#ifdef TORNTAIL
  do :: n <= N && cache[n] == TORN -> n++ :: else -> break od;
  if :: n > N || F(n) != f -> lock[f] = 0; goto fin :: else fi;
#else
  d_step { /* cut: what is no record */
    k = n;
    do :: k <= N && F(k) == f -> if :: cache[k] != 0 || disk[k] != 0 -> cache[k] = 0; dirty[k] = 1 :: else fi; k++ :: else -> break od;
    k = 0
  };
#endif
  MAYDIE;
  d_step { cache[n] = TORN; dirty[n] = 1 }; /* hf_part_append, half of it */
  MAYDIE;
  d_step { cache[n] = (cache[n] == TORN -> me : TORN); dirty[n] = 1; assert(loose != n) }; /* the first half may be gone by now */
  MAYDIE;
  atomic { assert(lock[f] == me); lock[f] = 0 };
  MAYDIE;
sync: skip; /* hf_journal_finish */
  if
  :: mark >= n -> goto ack
  :: true
  fi;
#ifndef ENDLATE
  d_step { e = n; do :: e < N && F(e + 1) == f && WHOLE(cache[e + 1]) -> e++ :: else -> break od; skip };
#endif
#ifdef MARKEARLY
  d_step { if :: e > mark -> mark = e :: else fi };
#endif
  MAYDIE;
#ifdef FAIL
  if
  :: !failed ->
     fdatasync_fails(f);
#ifdef AGAIN
     goto sync
#else
     goto fin /* HF_EUNSURE */
#endif
  :: true
  fi;
#endif
  fdatasync(f, ok);
  if :: !ok -> goto fin :: else fi;
#ifdef ENDLATE
  d_step { e = n; do :: e < N && F(e + 1) == f && WHOLE(cache[e + 1]) -> e++ :: else -> break od; skip };
#endif
  MAYDIE;
  d_step { if :: e > mark -> mark = e :: else fi };
  goto mine; /* after a flush of one's own the line stands: the kernel would have told of an error */
ack: skip;
#ifndef NOREADBACK
  if :: cache[n] != me -> goto fin :: else fi; /* stands_there */
#endif
mine: skip;
  shown(n, me);
  d_step { if :: n > acked -> acked = n :: else fi };
  goto fin;
die: skip;
  d_step { f = 0; do :: f < N / T -> if :: lock[f] == me -> lock[f] = 0 :: else fi; f++ :: else -> break od; f = 0 };
fin:
  isopen[me] = 0
}

/* Reads the log up to its mark, finds that the mode is publish, and commits a file at head + 1. */
proctype publisher() {
  byte n; byte k;
  d_step {
    n = 0; k = 1;
#ifdef MODEEARLY
    do :: k <= N -> if :: cache[k] == NW -> n = k :: else fi; k++ :: else -> break od;
#else
    do :: k <= mark -> if :: cache[k] == NW -> n = k :: else fi; k++ :: else -> break od;
#endif
    k = 0
  };
  if :: n == 0 || n == N -> goto out :: else fi;
  d_step { assert(cache[n + 1] == 0 || cache[n + 1] == TORN); loose = n + 1 }; /* nobody has appended behind the change */
  shown(n + 1, PUBLISHER);
out:
  skip
}

proctype reader() {
  byte n; byte from = acked;
  if :: n = 1 :: n = 2 :: n = 3 :: n = 4 fi;
#ifdef SHOWALL
  if :: WHOLE(AT(n)) -> shown(n, AT(n)) :: else fi
#else
  atomic {
    if
    :: n <= mark -> assert(WHOLE(AT(n))); shown(n, AT(n))
    :: else -> assert(n > from || n == loose) /* I7 */
    fi
  }
#endif
}

#ifdef FAIL
/* Memory that seems to be written is dropped, and read again from the disk; or it is written without being asked for. */
proctype evictor() {
  byte k = 1;
  do
  :: k <= N -> d_step { if :: !dirty[k] && cache[k] != disk[k] -> cache[k] = disk[k] :: else fi }; k++
  :: k <= N -> d_step { if :: dirty[k] -> disk[k] = cache[k]; dirty[k] = 0; assert(SOUND) :: else fi }; k++
  :: k <= N -> k++
  :: else -> break
  od
}
#endif

init {
  atomic {
    run writer(1);
    run writer(2);
    run writer(3);
#ifndef FAIL
    run reader();
#endif
#ifdef MODE
    run publisher();
#endif
#ifdef FAIL
    run evictor()
#endif
  }
}
