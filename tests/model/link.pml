/* Who stands under the name that was linked? (docs/PROTOCOL.md, what is believed; core/publish.c)
 *
 * One owner has a staged file and gives it the first number that is free; another takes numbers before it, and a packer frees some of
 * them. The mount may lie: it answers 0 and has done nothing, for the name existed (once); an answer is lost, and the request is
 * repeated; a request that was given up is done later, once, at whatever time.
 *
 *   safe   the owner says "mine" of a number only if its file has that name
 *
 *   (sound)      0 errors: after an answer of 0 to the first try the number of the file's names is believed, else the name is read
 *   -DANYTRY     the number is believed after later tries, too (the planted bug COUNT_ANY_TRY)
 *   -DTRUST      0 is believed as it is (TRUST_LINK) */
#define N 3
#define ME 1
#define OTHERS 2

byte name[N + 1];     /* log/<n>: 0 free */
byte late = 0;        /* a request of the owner's that is still under way: to which name; 0: none */
bit lied = 0;
byte names = 1;       /* how many the owner's file has: stage/<id> is one */

/* At the server. */
inline link_at_server(n, result) {
  if
  :: name[n] == 0 -> name[n] = ME; names++; result = 0
  :: name[n] != 0 && !lied -> lied = 1; result = 0 /* it lies */
  :: name[n] != 0 -> result = 1                    /* EEXIST */
  fi
}

active proctype Owner() {
  byte n = 1; byte tries = 0; byte result; bool mine;
  do
  :: n <= N ->
     atomic {
       tries++;
       if
       :: late == 0 -> late = n /* sent twice: the second one comes when it likes */
       :: true
       fi;
       link_at_server(n, result)
     };
     atomic {
       mine = false;
       if
#ifdef TRUST
       :: result == 0 -> mine = true
#else
#ifdef ANYTRY
       :: result == 0 && names >= 2 -> mine = true
#else
       :: result == 0 && tries == 1 && names == 2 -> mine = true
#endif
#endif
       :: else -> mine = (name[n] == ME) /* read back */
       fi;
       if
       :: mine -> assert(name[n] == ME); break
       :: else -> n++
       fi
     }
  :: else -> break
  od
}

active proctype Late() {
  byte result;
  end: late != 0;
  atomic {
    if
    :: name[late] == 0 -> name[late] = ME; names++
    :: else
    fi
  }
}

active proctype Others() {
  byte n = 1;
  do
  :: n <= N && name[n] == 0 -> atomic { if :: name[n] == 0 -> name[n] = OTHERS :: else fi }; n++
  :: n <= N && name[n] != 0 -> n++
  :: n > N -> break
  :: true -> break
  od
}

/* Frees names of others' records that a tile holds. */
active proctype Packer() {
  byte n = 1;
  do
  :: n <= N -> atomic { if :: name[n] == OTHERS -> name[n] = 0 :: true fi }; n++
  :: n > N -> break
  od
}
