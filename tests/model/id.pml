/* Attempts that share an id (save --id ID, retried while the first may still be under way) and resolve ID.
 *
 * Owners A and B carry the same id X. Each reads the log to its head (core/log.c, hf_log_refresh), judges (core/judge.c: X stands
 * in the log: its seq; a record ends X: not saved), and links at head + 1, which never replaces (core/publish.c). A reply
 * may get lost: the request then takes effect at any later instant, if its name is still free, while the owner has
 * given up as HF_EUNSURE. The resolver R reads, and where X is not found commits a record that ends X (core/save.c,
 * hf_resolve), and only then says "not saved, and never will be". W is any other writer. Everyone may stop anywhere.
 *
 *   (sound)      0 errors
 *   -DREVIVE     owners do not look for records that end X: saved after "never"
 *   -DNORECORD   the resolver says "never" without a record: saved after "never"
 *   -DNOLOOK     owners do not look for X in the log: the retry is saved twice
 *
 * So staging under stage/<id> with a look at who else has staged it is not what makes a retry exactly once: the log is. */
#ifndef N
#define N 5
#endif
#define EMPTY 0
#define SAVE 1 /* X */
#define END 2  /* ends X */
#define OTHER 3

byte slot[N + 2];
byte saved = 0;     /* how often X stands in the log */
bool said_never = false; /* somebody was told so */
byte late[2];       /* requests under way whose owners no longer wait: the name that each wants */

inline commit(n, what, ok) {
  atomic {
    ok = false;
    if
    :: slot[n] == EMPTY ->
       slot[n] = what; ok = true;
       if
       :: what == SAVE -> saved++; assert(saved == 1); assert(!said_never)
       :: else
       fi
    :: else
    fi
  }
}

proctype Owner(byte me) {
  byte n = 1; bool ok;
read:
  if :: n > N -> goto fin :: else fi;
  if :: true :: goto fin fi; /* stops here for ever */
  if
#ifndef NOLOOK
  :: slot[n] == SAVE -> goto fin /* answers n */
#endif
#ifndef REVIVE
  :: slot[n] == END -> atomic { assert(saved == 0); said_never = true }; goto fin /* answers: not saved */
#endif
  :: slot[n] == EMPTY -> skip
  :: else -> n++; goto read
  fi;
  if
  :: commit(n, SAVE, ok);
     if :: ok -> goto fin :: else -> goto read fi
  :: late[me] = n; goto fin /* the reply is lost: HF_EUNSURE */
  fi;
fin: skip
}

proctype Network() { /* a request may come to the server at any time, or never */
  bool ok; byte i;
  do
  :: late[0] != 0 -> commit(late[0], SAVE, ok); late[0] = 0
  :: late[1] != 0 -> commit(late[1], SAVE, ok); late[1] = 0
  :: break
  od
}

proctype Resolver() {
  byte n = 1; bool ok;
read:
  if :: n > N -> goto fin :: else fi;
  if
  :: slot[n] == SAVE -> goto fin /* answers n */
  :: slot[n] == END -> goto said
  :: slot[n] == EMPTY -> skip
  :: else -> n++; goto read
  fi;
#ifndef NORECORD
  commit(n, END, ok);
  if :: ok -> skip :: else -> goto read fi;
#endif
said:
  atomic { assert(saved == 0); said_never = true };
fin: skip
}

proctype Writer() {
  byte n = 1; bool ok;
  do
  :: n <= N && slot[n] != EMPTY -> n++
  :: n <= N && slot[n] == EMPTY -> commit(n, OTHER, ok)
  :: break
  od
}

init {
  atomic { run Owner(0); run Owner(1); run Network(); run Resolver(); run Resolver(); run Writer() }
}
