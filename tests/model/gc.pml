/* gc, writers and readers without a lock (docs/PROTOCOL.md, retire and gc; core/gc.c, core/gc_blob.c, core/blob.c, core/judge.c).
 *
 * Blobs: two writers save the same large document, a gc finds that nothing refers to its blob. A writer stages, puts its own file
 * into blob/ (in the place of one that stands there), links its record if its staged file is there still, marks it, looks
 * for the blob once more, answers. Everyone may stop anywhere, for ever. An hour passes at any instant: what lies in stage/ and
 * blob/ then is old. With -DJOURNAL a writer holds the lock from before it puts its blob there until it has appended, nothing is
 * swept under its hands, and a lock goes with its holder.
 *
 *   a record that was committed has its blob, once gc is not between taking it aside and putting it back (who is killed there
 *   leaves it aside, and the next gc puts it back); so has an answer
 *
 * Documents (-DDROP): a gc drops the document of the key's current revision by a record, and writes its tile anew; a keeper pins it
 * (a baseline, a retirement taken back) by a record, unless it is dropped; a writer saves the same document again.
 *
 *   what is pinned is not dropped; who is answered "it is there" can read it then; nobody loses the document of a record of his own
 *
 *   (sound)        0 errors; so with -DJOURNAL, with -DDROP
 *   -DKEEPOLD      a writer leaves a blob that stands there as it is
 *   -DNOSWEEP      gc takes old blobs, and lets old staged files be
 *   -DNOINODE      it does not look whether it took the file aside that it had looked at
 *   -DNOBARRIER    it reads the log again, and does not commit before (what is linked and not marked is not seen)
 *   -DNOPUTBACK    it does not put back what a record names (the planted bug GC_BLOB_NOT_PUT_BACK)
 *   -DUNJUDGED     the record is committed though the log has pinned the document since (with DROP; GC_PLAN_UNJUDGED)
 *   -DRECORDLATE   the tile is written anew before the record (with DROP; GC_NO_RECORD)
 *   -DDEDUPE       a save is answered by a revision whose document is dropped (with DROP; DEDUPE_BY_DROPPED) */
#ifndef DROP

byte blob = 9;      /* whose file stands in blob/; 0: none. 9: of somebody whose snapshot was dropped */
bool blob_old = true;
byte aside = 0;
bool busy = false;  /* gc is between taking aside and putting back */
bool staged[3], staged_old[3];
bool linked[3], marked[3], acked[3];
bool locked = false;
byte hours = 0;

#define NAMED (linked[1] || linked[2])
#define CHECK assert(busy || !NAMED || blob != 0); assert(busy || !(acked[1] || acked[2]) || blob != 0)
#define STOP if :: true -> goto stop :: true fi

proctype Writer(byte me) {
#ifdef JOURNAL
  atomic { !locked -> locked = true };
#else
  atomic { staged[me] = true; staged_old[me] = false };
#endif
  STOP;
#ifdef KEEPOLD
  atomic { if :: blob == 0 -> blob = me; blob_old = false :: else fi };
#else
  atomic { blob = me; blob_old = false };
#endif
  STOP;
  atomic {
#ifdef JOURNAL
    linked[me] = true; locked = false
#else
    if :: staged[me] -> linked[me] = true :: else -> goto end fi
#endif
  };
  if :: true -> atomic { CHECK; goto end } :: true fi; /* stops here: the record stands */
  marked[me] = true;
  atomic { if :: blob == 0 -> blob = me; blob_old = false :: else fi };
  atomic { acked[me] = true; CHECK };
  goto end;
stop:
#ifdef JOURNAL
  locked = false; /* the kernel's doing; one who is only slow keeps it, and gc waits */
#endif
end: skip
}

proctype Hour() { /* at any instant */
  do
  :: hours < 2 -> atomic { hours++; blob_old = true; staged_old[1] = staged[1]; staged_old[2] = staged[2] }
  :: break
  od
}

proctype Gc() {
  byte seen = 0; byte was_old = 0; bool old = false;
  atomic { /* ages are judged by the time at which the sweep began */
    was_old = (blob_old -> blob : 0);
#if !defined(NOSWEEP) && !defined(JOURNAL)
    if :: staged_old[1] -> staged[1] = false :: else fi;
    if :: staged_old[2] -> staged[2] = false :: else fi
#endif
  };
  atomic { seen = blob; old = (seen == was_old) };
  if :: marked[1] || marked[2] || seen == 0 || !old -> goto end :: else fi;
  atomic { busy = true; aside = blob; blob = 0 };
#ifndef NOINODE
  if :: aside != seen -> goto back :: else fi;
#endif
#ifndef NOBARRIER
#ifdef JOURNAL
  atomic { !locked -> marked[1] = linked[1]; marked[2] = linked[2] };
#else
  atomic { marked[1] = linked[1]; marked[2] = linked[2] };
#endif
#endif
#ifndef NOPUTBACK
  if :: marked[1] || marked[2] -> goto back :: else fi;
#endif
  atomic { aside = 0; busy = false; CHECK };
  goto end;
back:
  atomic { if :: blob == 0 -> blob = aside :: else fi; aside = 0; busy = false; CHECK };
end: skip
}

init { atomic { run Writer(1); run Writer(2); run Hour(); run Gc() } }

#else

bool physical = true; /* the tile holds the document */
bool dropped = false; /* a record says that it goes */
bool pinned = false;  /* a record says that it stays */
byte pins = 0;        /* records of that kind */
bool again = false;   /* the document was saved once more, with a record of its own */

proctype Gc() {
  byte planned_at; bool go = false;
  atomic { planned_at = pins; go = !pinned && !dropped };
  if :: !go && !dropped -> goto end :: else fi;
#ifdef RECORDLATE
  physical = false;
#endif
  atomic {
    if
    :: dropped -> skip
#ifdef UNJUDGED
    :: !dropped -> dropped = true
#else
    :: !dropped && pins == planned_at -> dropped = true
    :: !dropped && pins != planned_at -> goto end
#endif
    fi;
    assert(!(pinned && dropped))
  };
  if :: true -> goto end :: true fi; /* killed: another one finishes */
  if :: physical = false :: physical = true; physical = false fi; /* one that slept brings it back for a while */
end: skip
}

proctype Keeper() { /* pins by a record, which is judged as every other */
  atomic { if :: !dropped -> pinned = true; pins++; assert(physical) :: else fi };
  if :: true -> skip :: true -> atomic { pinned = false } fi
}

proctype Writer() { /* the same document again */
  atomic {
    if
#ifdef DEDUPE
    :: true -> assert(!dropped && physical)
#else
    :: dropped -> again = true
    :: !dropped -> assert(physical) /* "it is there" */
#endif
    fi
  }
}

init { atomic { run Gc(); run Gc(); run Keeper(); run Writer() } }

#endif
