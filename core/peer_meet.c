/* How the peers find each other, and how they leave.
 *
 * Each lists the lobby, opened afresh, again and again, and makes a change in it now and then, so
 * that no client takes its memory of the folder for the present. Mails that grow have live owners.
 * Lines of the meeting:
 *
 *     hello {...}         who it is, and how many peers it wants
 *     offer ROUND ID...   the lowest of these ids wants to begin with them
 *     off ROUND           it does not any more
 *     join ID ROUND       this peer takes part in ID's offer, and in no other, until
 *     part ID ROUND       it gives up waiting for it
 *     go ROUND            the one who offered has seen everybody join: the session begins
 *
 * Of two offers that want the same peer the lower id's wins: the other is taken back. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "file.h"
#include "id.h"
#include "peer.h"
#include "sys.h"

#include "banned.h"

enum {
  CANDIDATES_MAX = 64,
  MEET_STEP_US = 50000,
  BUMP_MS = 500,
  MAKE_ROUNDS_MAX = 100,
  SHOW_MS = 2000,
  IDS_BYTES = HF_PEERS_MAX * (HF_ID_CHARS + 1) + 1
};

/* Somebody whose mail is in the lobby. */
typedef struct candidate {
  hf_peer_mail mail;
  hf_peer_report who;    /* of its hello */
  int64_t wants;         /* so many peers; 0: it has not said hello yet */
  int is_gone;           /* its mail is */
  int is_busy;           /* in a session, or done */
  char offer[IDS_BYTES]; /* "": none is open */
  unsigned offer_round;
  char joined[HF_ID_CHARS + 1]; /* "": nobody's */
  unsigned joined_round;
} candidate;

typedef struct meeting {
  hf_peer_run *run;
  candidate *others;
  size_t count;
  int64_t bumped_ms;
  unsigned round;        /* of one's own offers */
  char offer[IDS_BYTES]; /* one's own; "": none */
  candidate *leader;     /* whose offer was joined; NULL: nobody's */
  unsigned leader_round;
} meeting;

/* ---- the lobby ---- */

static int open_lobby(hf_peer_run *run, hf_error *reterr) {
  hf_fd_cleanup(&run->lobby_fd);
  return hf_dir_make(run->root_fd, HF_PEER_LOBBY, &run->lobby_fd, NULL, reterr);
}

static int add_hello(hf_peer_run *run, hf_buf *text, hf_error *reterr) {
  hf_peer_report who = run->members[run->self].report;
  (void)hf_buf_printf(text, "%zu ", run->wanted);
  return hf_peer_report_encode(&who, text, reterr);
}

/* Whoever leaves may remove the lobby just now: it is made again. */
static int enter(hf_peer_run *run, hf_error *reterr) {
  hf_autobuf hello = {0};
  hf_id id;
  int status = add_hello(run, &hello, reterr);
  if (status == HF_OK)
    status = hf_id_make(&id, reterr);
  if (status != HF_OK)
    return status;
  hf_id_format(&id, run->id);
  for (int i = 0; i < MAKE_ROUNDS_MAX; i++) {
    hf_error why = HF_ERROR_INIT;
    status = open_lobby(run, &why);
    if (status == HF_OK)
      status = hf_peer_mail_begin(run, "hello", hello.data, &why);
    if (status == HF_OK)
      return HF_OK;
    if (reterr != NULL)
      *reterr = why;
    if (why.sys_errno != ENOENT && why.sys_errno != ESTALE)
      break;
  }
  return status;
}

static int bump(meeting *meet, hf_error *reterr) {
  char name[HF_ID_CHARS + 8];
  int64_t now_ms = hf_monotonic_ms();
  if (now_ms - meet->bumped_ms < BUMP_MS)
    return HF_OK;
  meet->bumped_ms = now_ms;
  (void)snprintf(name, sizeof name, "%s.new", meet->run->id);
  int status = hf_file_create(meet->run->lobby_fd, name, "", 0, 0, reterr);
  (void)hf_sys_unlink(meet->run->lobby_fd, name, 0);
  return status == HF_EEXIST ? HF_OK : status; /* a request that was repeated */
}

static int add_name(void *context, const char *name, hf_error *reterr) {
  meeting *meet = context;
  hf_id id;
  (void)reterr;
  if (strlen(name) != HF_ID_CHARS || hf_id_parse(name, HF_ID_CHARS, &id) != 0 ||
      strcmp(name, meet->run->id) == 0 || meet->count == CANDIDATES_MAX)
    return HF_OK;
  for (size_t i = 0; i < meet->count; i++)
    if (strcmp(meet->others[i].mail.id, name) == 0)
      return HF_OK;
  (void)snprintf(meet->others[meet->count++].mail.id, sizeof meet->others[0].mail.id, "%s", name);
  return HF_OK;
}

/* ---- what the others say ---- */

static void hear_offer(candidate *from, const char *text) {
  char *ids = NULL;
  from->offer_round = (unsigned)strtoul(text, &ids, 10);
  (void)snprintf(from->offer, sizeof from->offer, "%s", ids);
}

static void hear_line(candidate *from) {
  const char *kind = from->mail.kind;
  const char *text = hf_peer_mail_text(&from->mail);
  if (strcmp(kind, "hello") == 0) {
    char *rest = NULL;
    from->wants = strtol(text, &rest, 10);
    if (hf_peer_report_decode(rest, strlen(rest), &from->who, NULL) != HF_OK)
      from->is_busy = 1; /* of another version, with which nobody can work */
  } else if (strcmp(kind, "offer") == 0)
    hear_offer(from, text);
  else if (strcmp(kind, "off") == 0)
    from->offer[0] = '\0';
  else if (strcmp(kind, "join") == 0) {
    (void)snprintf(from->joined, sizeof from->joined, "%.*s", HF_ID_CHARS, text);
    from->joined_round =
        strlen(text) > HF_ID_CHARS ? (unsigned)strtoul(text + HF_ID_CHARS, NULL, 10) : 0;
  } else if (strcmp(kind, "part") == 0)
    from->joined[0] = '\0';
  else
    from->is_busy = 1;
}

static int is_meeting_line(const char *kind) {
  return strcmp(kind, "hello") == 0 || strcmp(kind, "offer") == 0 || strcmp(kind, "off") == 0 ||
         strcmp(kind, "join") == 0 || strcmp(kind, "part") == 0;
}

/* Takes what belongs to the meeting; what follows belongs to the session. */
static int hear_candidate(meeting *meet, candidate *one, hf_error *reterr) {
  int got = hf_peer_mail_look(meet->run, &one->mail, reterr);
  if (got == HF_ENOTFOUND)
    one->is_gone = 1;
  else if (got < 0)
    return got;
  while (!one->is_busy && hf_peer_mail_peek(&one->mail)) {
    if (one->mail.text.failed != 0)
      return hf_err_nomem(reterr);
    if (is_meeting_line(one->mail.kind))
      (void)hf_peer_mail_take(&one->mail);
    hear_line(one);
  }
  return HF_OK;
}

static int is_alive(const meeting *meet, const candidate *one) {
  return !one->is_gone && one->mail.has_grown && one->wants > 0 &&
         hf_monotonic_ms() - one->mail.grew_ms <= meet->run->silence_ms;
}

static int look_around(meeting *meet, hf_error *reterr) {
  hf_autofd int fd = -1;
  int status = bump(meet, reterr);
  if (status == HF_OK)
    status = hf_dir_open(meet->run->root_fd, HF_PEER_LOBBY, &fd, reterr);
  if (status == HF_OK)
    status = hf_dir_each(fd, HF_PEER_LOBBY, add_name, meet, reterr);
  for (size_t i = 0; i < meet->count && status == HF_OK; i++)
    if (!meet->others[i].is_gone)
      status = hear_candidate(meet, &meet->others[i], reterr);
  return status;
}

/* ---- offering and joining ---- */

static int names(const char *offer, const char *id) {
  return strstr(offer, id) != NULL;
}

static candidate *find(meeting *meet, const char *id) {
  for (size_t i = 0; i < meet->count; i++)
    if (strcmp(meet->others[i].mail.id, id) == 0)
      return &meet->others[i];
  return NULL;
}

static int take_back(meeting *meet, hf_error *reterr) {
  char text[16];
  if (meet->offer[0] == '\0')
    return HF_OK;
  meet->offer[0] = '\0';
  (void)snprintf(text, sizeof text, "%u", meet->round);
  return hf_peer_say(meet->run, "off", text, reterr);
}

static int join(meeting *meet, candidate *leader, hf_error *reterr) {
  char text[HF_ID_CHARS + 16];
  int status = take_back(meet, reterr);
  if (status != HF_OK)
    return status;
  meet->leader = leader;
  meet->leader_round = leader->offer_round;
  (void)snprintf(text, sizeof text, "%s %u", leader->mail.id, leader->offer_round);
  return hf_peer_say(meet->run, "join", text, reterr);
}

/* The lowest of those who offer, below one's own id. */
static candidate *best_offer(meeting *meet) {
  candidate *best = NULL;
  for (size_t i = 0; i < meet->count; i++) {
    candidate *one = &meet->others[i];
    if (is_alive(meet, one) && !one->is_busy && names(one->offer, meet->run->id) &&
        (best == NULL || strcmp(one->mail.id, best->mail.id) < 0))
      best = one;
  }
  return best;
}

static int by_id(const void *a, const void *b) {
  return strcmp((*(const candidate *const *)a)->mail.id, (*(const candidate *const *)b)->mail.id);
}

/* Offers to the lowest that are free, if there are enough and all are above oneself. */
static int offer(meeting *meet, hf_error *reterr) {
  const candidate *free_ones[CANDIDATES_MAX];
  size_t count = 0;
  char text[IDS_BYTES + 16];
  for (size_t i = 0; i < meet->count; i++)
    if (is_alive(meet, &meet->others[i]) && !meet->others[i].is_busy &&
        meet->others[i].joined[0] == '\0')
      free_ones[count++] = &meet->others[i];
  if (count + 1 < meet->run->wanted)
    return HF_OK;
  qsort(free_ones, count, sizeof free_ones[0], by_id);
  if (strcmp(free_ones[0]->mail.id, meet->run->id) < 0)
    return HF_OK;
  meet->round++;
  size_t used = 0;
  for (size_t i = 0; i + 1 < meet->run->wanted; i++)
    used += (size_t)snprintf(meet->offer + used, sizeof meet->offer - used, " %s",
                             free_ones[i]->mail.id);
  (void)snprintf(text, sizeof text, "%u%s", meet->round, meet->offer);
  return hf_peer_say(meet->run, "offer", text, reterr);
}

/* 1: everybody has joined. 0: not yet. -1: somebody never will. */
static int have_joined(meeting *meet) {
  int all = 1;
  for (size_t i = 0; i < meet->count; i++) {
    const candidate *one = &meet->others[i];
    if (!names(meet->offer, one->mail.id))
      continue;
    int joined = strcmp(one->joined, meet->run->id) == 0 && one->joined_round == meet->round;
    if (!is_alive(meet, one) || one->is_busy ||
        (one->joined[0] != '\0' && !joined && strcmp(one->joined, meet->run->id) != 0))
      return -1;
    all = all && joined;
  }
  return all;
}

/* ---- what a peer does with what it sees. 1: the session begins; 0: not yet ---- */

static int follow(meeting *meet, hf_error *reterr) {
  candidate *leader = meet->leader;
  int is_open = names(leader->offer, meet->run->id) && leader->offer_round == meet->leader_round;
  if (is_open && leader->is_busy && strcmp(leader->mail.kind, "go") == 0)
    return 1;
  if (is_open && !leader->is_busy && is_alive(meet, leader))
    return 0;
  meet->leader = NULL;
  return hf_peer_say(meet->run, "part", leader->mail.id, reterr);
}

static int lead(meeting *meet, hf_error *reterr) {
  char text[16];
  int joined = have_joined(meet);
  if (joined < 0)
    return take_back(meet, reterr);
  if (joined == 0)
    return 0;
  (void)snprintf(text, sizeof text, "%u", meet->round);
  int status = hf_peer_say(meet->run, "go", text, reterr);
  return status == HF_OK ? 1 : status;
}

static int decide(meeting *meet, hf_error *reterr) {
  if (meet->leader != NULL)
    return follow(meet, reterr);
  candidate *best = best_offer(meet);
  if (best != NULL)
    return join(meet, best, reterr);
  return meet->offer[0] != '\0' ? lead(meet, reterr) : offer(meet, reterr);
}

static int check_wants(const meeting *meet, size_t *ret_alive, hf_error *reterr) {
  *ret_alive = 1;
  for (size_t i = 0; i < meet->count; i++) {
    const candidate *one = &meet->others[i];
    if (!is_alive(meet, one) || one->is_busy)
      continue;
    if (one->wants != (int64_t)meet->run->wanted)
      return hf_err(reterr, HF_EINVAL, meet->run->path,
                    "the peer on %s (pid %lld) waits for %lld peers, this one for %zu: give the "
                    "same --peers everywhere",
                    one->who.host, (long long)one->who.pid, (long long)one->wants,
                    meet->run->wanted);
    *ret_alive += 1;
  }
  return HF_OK;
}

/* ---- the session's members ---- */

static int take_member(hf_peer_run *run, size_t *at, candidate *one, hf_error *reterr) {
  if (one == NULL || *at == run->wanted)
    return hf_err(reterr, HF_EVERSION, run->path,
                  "the peers do not agree on who takes part; run the same version everywhere");
  hf_peer_member *member = &run->members[(*at)++];
  member->mail = one->mail;
  member->report = one->who;
  memset(&one->mail, 0, sizeof one->mail);
  return HF_OK;
}

static int member_by_id(const void *a, const void *b) {
  return strcmp(((const hf_peer_member *)a)->mail.id, ((const hf_peer_member *)b)->mail.id);
}

/* members[0] is oneself until now; then all of them, by id. */
static int take_members(meeting *meet, hf_error *reterr) {
  hf_peer_run *run = meet->run;
  const char *ids = meet->leader != NULL ? meet->leader->offer : meet->offer;
  size_t at = 1;
  char id[HF_ID_CHARS + 1];
  int status = HF_OK;
  (void)snprintf(run->members[0].mail.id, sizeof run->members[0].mail.id, "%s", run->id);
  for (; ids[0] == ' ' && strlen(ids) > HF_ID_CHARS && status == HF_OK; ids += HF_ID_CHARS + 1) {
    (void)snprintf(id, sizeof id, "%.*s", HF_ID_CHARS, ids + 1);
    if (strcmp(id, run->id) != 0)
      status = take_member(run, &at, find(meet, id), reterr);
  }
  if (meet->leader != NULL && status == HF_OK)
    status = take_member(run, &at, meet->leader, reterr);
  if (status == HF_OK && at != run->wanted)
    status = take_member(run, &at, NULL, reterr);
  if (status != HF_OK)
    return status;
  run->count = run->wanted;
  qsort(run->members, run->count, sizeof run->members[0], member_by_id);
  for (size_t i = 0; i < run->count; i++)
    if (strcmp(run->members[i].mail.id, run->id) == 0)
      run->self = i;
  return HF_OK;
}

/* The session's folder, by the first one, who made it before anybody could look for it. */
static int make_session(hf_peer_run *run, hf_error *reterr) {
  char name[HF_ID_CHARS + 8];
  (void)snprintf(name, sizeof name, "%s.d", run->id);
  return hf_dir_make(run->lobby_fd, name, &run->session_fd, NULL, reterr);
}

static int open_session(hf_peer_run *run, hf_error *reterr) {
  char name[HF_ID_CHARS + 8];
  int64_t now_ms = hf_monotonic_ms();
  for (size_t i = 0; i < run->count; i++)
    run->members[i].mail.grew_ms = now_ms;
  run->is_leader = run->self == 0;
  run->until_ms = now_ms + HF_PEER_SESSION_MS_MAX;
  (void)snprintf(name, sizeof name, "%s.d", run->members[0].mail.id);
  hf_fd_cleanup(&run->session_fd);
  return hf_dir_open(run->lobby_fd, name, &run->session_fd, reterr);
}

static int nobody(const meeting *meet, size_t alive, hf_error *reterr) {
  return hf_err(
      reterr, HF_ENOTFOUND, meet->run->path,
      "%zu of %zu peers came within the time; run holdfast doctor DIR --peer on the other "
      "host meanwhile, on the same folder",
      alive, meet->run->wanted);
}

/* Those who want another number see this one, too, before it leaves. */
static void show_oneself(meeting *meet) {
  int64_t until_ms = hf_monotonic_ms() + SHOW_MS;
  while (hf_monotonic_ms() < until_ms && hf_peer_tick(meet->run, NULL) == HF_OK)
    hf_peer_sleep_us(MEET_STEP_US);
}

static int wait_for_others(meeting *meet, int64_t deadline_ms, hf_error *reterr) {
  const hf_peer_options *options = meet->run->options;
  for (;;) {
    size_t alive = 1;
    int status = look_around(meet, reterr);
    if (status == HF_OK)
      status = check_wants(meet, &alive, reterr);
    if (status == HF_EINVAL)
      show_oneself(meet);
    if (status == HF_OK)
      status = decide(meet, reterr);
    if (status == 1)
      return HF_OK;
    if (status == HF_OK)
      status = hf_peer_tick(meet->run, reterr);
    if (status == HF_OK && options->progress != NULL &&
        options->progress(options->progress_context, "peers", alive, meet->run->wanted) != 0)
      status = hf_err(reterr, HF_ECANCELLED, meet->run->path, "stopped before the peers had come");
    if (status != HF_OK)
      return status;
    if (hf_monotonic_ms() > deadline_ms && meet->leader == NULL)
      return nobody(meet, alive, reterr);
    hf_peer_sleep_us(MEET_STEP_US);
  }
}

int hf_peer_meet(hf_peer_run *run, hf_error *reterr) {
  meeting meet = {.run = run};
  int64_t timeout_ms = run->options->timeout_ms;
  int64_t deadline_ms = hf_deadline_ms(timeout_ms >= 0 ? timeout_ms : HF_PEER_TIMEOUT_MS_DEFAULT);
  int status = enter(run, reterr);
  if (status == HF_OK)
    status = make_session(run, reterr);
  if (status != HF_OK)
    return status;
  meet.others = calloc(CANDIDATES_MAX, sizeof *meet.others);
  if (meet.others == NULL)
    return hf_err_nomem(reterr);
  status = wait_for_others(&meet, deadline_ms, reterr);
  if (status == HF_OK)
    status = take_members(&meet, reterr);
  for (size_t i = 0; i < CANDIDATES_MAX; i++)
    hf_peer_mail_free(&meet.others[i].mail);
  free(meet.others);
  return status == HF_OK ? open_session(run, reterr) : status;
}
