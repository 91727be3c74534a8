/* Journal mode ends and begins again within a tile (docs/PROTOCOL.md, journal mode; core/part.c, core/part_read.c).
 *
 * The part's first record ends the mode. Loose files follow: one of two records, 2 and 3 (its name is that of 2; there is none of 3), and one
 * of 4, which begins the mode again. Whoever appends copies 2 to 4 into the part before his record, where nothing was appended behind them yet
 * or another boot did so; he may be killed at every step, and the copying may end half-way. The power may go once, in every state: of what was not
 * fdatasynced each line is there, or is not, or is torn, and the mark, which nobody fsyncs, is as long as it was at any time before. A reader
 * looks at the mark, and later whether the boot was told of, in every state; whoever appends looks, too, and appends behind what he has read.
 *
 *   I3, I4, I7  what was acknowledged is found, in this boot and in the next      I2  nothing is appended in the place of another record
 *
 *   (sound)       0 errors
 *   -DREADCOPIES  the copies are read as the part's own records (the planted bug JOURNAL_READS_COPIES)
 *   -DTOLDMEANWHILE  a reader who sees that the boot was told of trusts his earlier look at the mark (JOURNAL_TOLD_MEANWHILE)
 *   -DTELLFIRST   whoever appends tells of his boot before what stands beyond the mark is on the disk and marked */
#ifndef N
#define N 3         /* who append */
#endif
#define LAST 6      /* 5 and 6 are appended */
#define ENDS 1      /* the record that ends the mode */
#define BEGINS 4    /* the one that begins it again */
#define TORN 2
#define HOLE 0

byte cache[LAST + 1], disk[LAST + 1]; /* the part's lines: HOLE, 1: whole, TORN */
byte mark = BEGINS; /* publish mode has extended it so far */
byte acked = BEGINS;
byte boot = 1, told = 1;
bit busy = 0;       /* the part's lock */

/* The head, as one finds it who reads from the first record on: hf_log_refresh, hf_part_read. */
inline read_log(head, upto, beyond) {
  d_step {
    head = 0;
    at = 1; /* something was found */
    do
    :: at == 1 && head < LAST ->
       at = 0;
       if
       :: head == ENDS -> head = 3; at = 1 /* the file of 2 and 3 */
       :: head == 3 -> head = BEGINS; at = 1
       :: else -> /* the part, up to the mark; to its end for who holds it, and in another boot */
          do
          :: head < LAST && cache[head + 1] == 1 && (beyond || head < upto) ->
             head++;
             at = 1;
#ifndef READCOPIES
             if :: head == ENDS -> break :: else fi
#endif
          :: else -> break
          od
       fi
    :: else -> break
    od;
    at = 0
  }
}

inline fdatasync() {
  d_step {
    at = 1;
    do :: at <= LAST -> disk[at] = cache[at]; at++ :: else -> break od;
    at = 0
  }
}

#define MAYDIE if :: goto out :: mine == boot fi /* with the power, or by itself */

proctype appender() {
  byte n; byte at; byte k; byte mine;
  atomic { busy == 0 -> busy = 1; mine = boot };
  read_log(n, 0, 1);
  if :: mine != boot || n < BEGINS || n == LAST -> goto out :: else fi;
  if
  :: n == BEGINS || told != boot -> /* copy_loose */
     k = 2;
     do :: k <= BEGINS -> atomic { MAYDIE; cache[k] = 1; k++ } :: else -> break od
  :: else
  fi;
  if
  :: told != boot -> /* prove, hf_journal_settle: what is beyond the mark is written anew, and marked; what is no record is cut off */
     atomic { MAYDIE; k = n + 1; do :: k <= LAST -> cache[k] = HOLE; k++ :: else -> break od; k = 0 };
#ifdef TELLFIRST
     atomic { MAYDIE; told = boot };
#endif
     atomic { MAYDIE; fdatasync() };
     atomic { MAYDIE; if :: mark < n -> mark = n :: else fi };
     atomic { MAYDIE; told = boot }
  :: else
  fi;
  atomic {
    MAYDIE;
    assert(n + 1 > acked); /* I2 */
    cache[n + 1] = 1
  };
  atomic { MAYDIE; fdatasync() };
  atomic {
    MAYDIE;
    if :: mark < n + 1 -> mark = n + 1 :: else fi;
    if :: acked < n + 1 -> acked = n + 1 :: else fi
  };
out:
  atomic { if :: mine == boot -> busy = 0 :: else fi }
}

proctype power() {
  byte k = 1;
  atomic {
    do
    :: k <= LAST && cache[k] != disk[k] -> if :: disk[k] = cache[k] :: disk[k] = TORN :: true fi; k++
    :: k <= LAST && cache[k] == disk[k] -> k++
    :: else -> break
    od;
    k = 1;
    do :: k <= LAST -> cache[k] = disk[k]; k++ :: else -> break od;
    do :: mark > 0 -> mark-- :: break od;
    boot = 2;
    busy = 0
  }
}

proctype reader() {
  byte n; byte at; byte seen; byte mine; byte want;
  atomic { want = acked; mine = boot };
look: /* at log/mark: hf_log_look_at_mark */
  seen = mark;
  atomic { /* hf_part_read_beyond: is this boot told of? */
    if :: mine != boot -> goto out :: else fi; /* the power took him */
#ifndef TOLDMEANWHILE
    if :: told == boot && mark != seen -> goto look :: else fi; /* look_again */
#endif
    read_log(n, seen, (told != boot));
    assert(n >= want) /* I3, I4, I7 */
  };
out:
  skip
}

init {
  atomic {
    cache[ENDS] = 1;
    disk[ENDS] = 1;
    run appender();
#if N > 2
    run appender();
#endif
    run appender();
    run reader();
    run power()
  }
}
