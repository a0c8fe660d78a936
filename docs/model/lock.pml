/*
 * The protocol of the lock: one key, its queue, and up to three clients.  docs/model.md says what
 * is modelled and what is not, and tests/project/test_model.py lets SPIN walk through all of it.
 * Files are named from consul_lock/_protocol.
 *
 * A process of this model may stop between any two atomic steps for as long as it likes: that is a
 * pause of a client, or a message that takes its time.  Time is counted in ticks.  All numbers are
 * small, but in the order of the real ones.
 */

#define DELAY 3             /* the lock-delay */
#define MARGIN 1            /* limits.py, safety_margin: a clock loses one tick at most (`skips`) */
#define DEADLINE (DELAY - MARGIN)   /* session/session.py, Session.deadline */
#define COUNTS 1            /* hold/confirmation.py: so long a hand-over counts unconfirmed, */
#define CONFIRM_AFTER 1     /* so old may be the proof that it is not confirmed before it counts, */
#define TAKE_OVER 2         /* and after this time the next waiter takes over */
#define OLD 3               /* an age that matters no more */

mtype = { nothing, admitted, done, refused, delayed };  /* a request, and its answer */
mtype = { no, unconfirmed, confirmed };                 /* how a client holds the lock */
mtype = { unknown, absent, unchanged, changed };        /* the key, against the last read of it */

/* ------------------------------------------------------------------ Consul: one Raft log */

byte owner;                 /* the session on the key, 0: none */
bit exists;                 /* released in order, the key is deleted; at a death it stays */
bit handed;                 /* its value says: handed over, and not confirmed */
byte hint;                  /* its value says: this entry is the next in the queue */
byte token;                 /* its fencing token: the Raft index of the write that granted it */
byte index;                 /* the Raft index, which only such writes move on */
byte delay;                 /* ticks of the lock-delay that are left */
byte queue[3];              /* the waiters whose session lives, in order */
bit sign;                   /* the key that says that somebody waits */
byte entries[4];            /* how often a client has joined: tells its entries apart */
bit session[4] = 1;

/* ------------------------------------------------------------------ clients 1 to 3 */

mtype answer[4] = nothing;
mtype held[4] = no;
mtype known[4] = unknown;
byte age[4] = OLD;          /* since the sending of the last proof: of life while it holds, of not */
                            /* holding while it waits.  By its own clock, as is the next one */
byte timer[4] = OLD;        /* since the request under way was sent, or the key was seen idle */
byte my_token[4];
byte ahead[4];              /* the entry before its own */
byte next[4], after[4];     /* whom to hand over to, and who comes then */
bit first[4];               /* it believes that it is the first in the queue */
bit joined[4];              /* it has asked to join with this session */
bit fresh[4];               /* it has read the queue for this release */
bit same_sign[4];           /* the sign is as it read it */
bit waits[4];               /* it waits, and knows the newest state of the key unless `known` */
bit crashed[4], over[4];

byte newest;                /* the highest token that was believed */
byte crashes, ends, gives, rounds, polls, skips, verifies;  /* how many of these may come */
byte calm;                  /* 1: a holder verifies in time;  2: besides, no session ends;  3: no */
                            /* time passes, either */
byte started;

/* Where no session ends, all locks are watched: confirmed before they count. */
#define NEW (calm == 2 -> OLD : 0)

#define believes(c) (!crashed[c] \
    && ((held[c] == confirmed && (calm || age[c] < DEADLINE)) \
        || (held[c] == unconfirmed && age[c] < COUNTS)))
#define entry(c) (c + 4 * entries[c])
#define client_of(e) (e & 3)
#define in_queue(c) (queue[0] == c || queue[1] == c || queue[2] == c)
#define is_there(e) (entries[client_of(e)] == e / 4 && in_queue(client_of(e)))
#define as_seen(c) ((known[c] == absent && !exists) || known[c] == unchanged)

/* ------------------------------------------------------------------ the invariants
 *
 * Each protects a sentence of docs/guarantees.md, which stands above it between quotes.
 */

/* "At most one holder believes that it holds the lock, at any time, as long as clocks *run* at the
 * same rate within the margin (5 %), nobody deletes the key by hand, and Consul enforces the
 * lock-delay." */
#define EXCLUSION(c) assert(!(c != 1 && believes(1)) && !(c != 2 && believes(2)) \
    && !(c != 3 && believes(3)))

/* "Fencing tokens only increase." */
#define TOKENS(c) assert(my_token[c] > newest)

/* "A lock that was handed over is taken over from no holder that believes in it: unconfirmed, it
 * counts for 4 s only, and nobody takes over before 4.5 s." */
#define CONFIRMED assert(!owner || !believes(owner))

/* "A release hands the lock to the first waiter of the queue; only a death, a loss or a pause lets
 * a later one pass." */
#define ORDER(c) assert(queue[0] == c)

/* "No waiter is forgotten: each gets the lock, gives up or dies."  While it waits, it stands in
 * the queue, or finds out that it does not; */
#define missing(c) (waits[c] && session[c] && known[c] == unchanged && first[c] && !in_queue(c))
#define IN_QUEUE assert(!missing(1) && !missing(2) && !missing(3))
/* and every run ends, as everything is bounded: then all have ended, and nothing is left. */
#define gone(c) (over[c] || crashed[c])
#define FORGOTTEN assert(gone(1) && gone(2) && gone(3) && !owner && !queue[0])

/* ------------------------------------------------------------------ what Consul does */

inline key_changed() {
    known[1] = (known[1] == unchanged -> changed : known[1]);
    known[2] = (known[2] == unchanged -> changed : known[2]);
    known[3] = (known[3] == unchanged -> changed : known[3]);
}
inline leave_queue(c) {
    if
    :: queue[0] == c -> queue[0] = queue[1]; queue[1] = queue[2]; queue[2] = 0
    :: queue[1] == c -> queue[1] = queue[2]; queue[2] = 0
    :: queue[2] == c -> queue[2] = 0
    :: else
    fi
}
inline grant() { index = (calm == 3 -> 1 : index + 1); token = index }
inline free_key() { owner = 0; handed = 0; hint = 0; token = 0; key_changed() }
inline delete_key() { free_key(); exists = 0 }

/* Behaviour `release`: the key stays, without a session. */
inline end_session(c) {
    session[c] = 0;
    leave_queue(c);
    if :: owner == c -> free_key(); delay = DELAY :: else fi
}

/* lock/acquire.py, _taking: [the key is as it was read, unlock, lock, delete the own entry and
 * those before it].  The lock-delay is checked before, when the leader admits the request. */
inline carry_out_take(c) {
    if
    :: session[c] && as_seen(c) ->
        CONFIRMED;
        owner = c; exists = 1; handed = 0; hint = 0;
        grant(); my_token[c] = token;
        key_changed();
        do
        :: !first[c] && in_queue(c) && queue[0] != c -> leave_queue(queue[0])
        :: else -> break
        od;
        leave_queue(c);
        answer[c] = done
    :: else -> answer[c] = refused
    fi
}

/* client/confirm.py, confirm: [check-index, lock]; the token stays that of the hand-over. */
inline carry_out_confirm(c) {
    if
    :: session[c] && as_seen(c) && (!owner || owner == c) && !delay ->
        owner = c; exists = 1; handed = 0; hint = 0; token = my_token[c]; key_changed();
        answer[c] = done
    :: else -> answer[c] = refused
    fi
}

#define has_traces(c) (owner == c || in_queue(c) || answer[c] == admitted)

/* The TTL, a node that leaves, an operator: a session may end at any time.  In calm scenes only
 * that of a waiter: there the clock of who holds it stands still. */
#define may_end(c) (session[c] && (crashed[c] || (ends && (calm -> in_queue(c) : has_traces(c)))))

proctype consul() {
    do
    :: d_step { answer[1] == admitted -> carry_out_take(1) }
    :: d_step { answer[2] == admitted -> carry_out_take(2) }
    :: d_step { answer[3] == admitted -> carry_out_take(3) }
    :: d_step { may_end(1) -> ends = ends - !crashed[1]; end_session(1) }
    :: d_step { may_end(2) -> ends = ends - !crashed[2]; end_session(2) }
    :: d_step { may_end(3) -> ends = ends - !crashed[3]; end_session(3) }
    od
}

inline crash(c) {
    crashes--; crashed[c] = 1;
    age[c] = OLD; timer[c] = OLD; waits[c] = 0; held[c] = no
}
proctype killer() {
    do
    :: d_step { crashes && has_traces(1) -> crash(1) }
    :: d_step { crashes && has_traces(2) -> crash(2) }
    :: d_step { crashes && has_traces(3) -> crash(3) }
    od
}

/* ------------------------------------------------------------------ time */

inline pass(c) {
    age[c] = (age[c] < OLD -> age[c] + 1 : OLD);
    timer[c] = (timer[c] < OLD -> timer[c] + 1 : OLD);
    if
    :: held[c] == no && age[c] >= CONFIRM_AFTER -> age[c] = OLD
    :: held[c] == unconfirmed && age[c] >= COUNTS -> age[c] = OLD
    :: else
    fi
}
#define runs(c) (age[c] < OLD || timer[c] < OLD)

/* One tick for everybody, but for a clock that is slow.  It ticks only while somebody looks. */
proctype clock() {
    byte slow;
    do
    :: atomic { calm != 3 && (delay || runs(1) || runs(2) || runs(3)) ->
        if
        :: slow = 0
        :: skips && runs(1) -> slow = 1
        :: skips && runs(2) -> slow = 2
        :: skips && runs(3) -> slow = 3
        fi;
        if :: slow != 1 -> pass(1) :: else fi;
        if :: slow != 2 -> pass(2) :: else fi;
        if :: slow != 3 -> pass(3) :: else fi;
        skips = (slow -> skips - 1 : skips); slow = 0;
        delay = (delay -> delay - 1 : 0) }
    od
}

/* ------------------------------------------------------------------ a client */

/* primitive/acquire.py, _begin; hold/hold.py, Hold.counts. */
inline begin(c, how) {
    EXCLUSION(c);
    TOKENS(c);
    newest = (calm == 3 -> 0 : my_token[c]);
    held[c] = how
}
inline send(c) { timer[c] = (calm -> OLD : 0) }
/* session/session.py, mark_alive: a proof counts from its sending, not from its answer. */
inline proved(c) {
    age[c] = (calm -> OLD : timer[c]);
    timer[c] = OLD; answer[c] = nothing; known[c] = unknown
}
inline wait_no_more(c) { ahead[c] = 0; first[c] = 0; joined[c] = 0; waits[c] = 0 }
inline forget(c) {
    wait_no_more(c);
    known[c] = unknown; held[c] = no; answer[c] = nothing; age[c] = OLD; timer[c] = OLD;
    my_token[c] = 0; next[c] = 0; after[c] = 0; fresh[c] = 0; same_sign[c] = 0;
    queued = 0; contended = 0; barred = 0; gives_up = 0; idle = 0
}

proctype client(byte c) provided (!crashed[c]) {
    bit queued;             /* it believes that its entry is in the queue */
    bit contended;          /* somebody may wait */
    bit barred;             /* the lock-delay was on the key */
    bit gives_up;
    bit idle;               /* the key is free, or handed over and not confirmed */

    /* Clients are all alike: that they begin in this order is no restriction.  A calm scene begins
     * with a holder, and the others know that the lock is contended. */
    atomic {
        started == c - 1 -> started = c;
        if
        :: calm && c == 1 ->
            owner = 1; exists = 1; token = 1; index = 1; my_token[1] = 1; held[1] = confirmed; goto holding
        :: calm && c != 1 -> goto looking
        :: else
        fi
    };
newcomer:                   /* lock/acquire.py, contend: nothing is known, so it is tried at once */
    atomic { if :: calm -> goto looking :: else -> known[c] = absent; goto taking fi };

taking:                     /* lock/acquire.py, _take; Consul's leader admits it, or does not */
    atomic {
        waits[c] = 0; idle = 0; send(c);
        if
        :: calm >= 2 -> carry_out_take(c)
        :: calm < 2 -> answer[c] = (delay -> delayed : admitted)
        fi
    };
    atomic {
        if
        :: answer[c] == done ->
            proved(c); contended = queued; queued = 0; wait_no_more(c);
            if
            :: calm || age[c] < DEADLINE -> begin(c, confirmed); goto holding
            :: else -> goto losing
            fi
        :: answer[c] == refused -> answer[c] = nothing; timer[c] = OLD; goto looking
        :: answer[c] == delayed ->      /* lock/acquire.py, _refused */
            answer[c] = nothing;
            if
            :: !queued -> goto joining
            :: queued && first[c] -> timer[c] = 0; goto retrying
            :: queued && !first[c] -> timer[c] = OLD; barred = 1; goto waiting
            fi
        fi
    };
retrying:                   /* lock/acquire.py, _DELAY_RETRY */
    atomic { timer[c] > 0 -> timer[c] = OLD; goto looking };

joining:                    /* lock/queue.py, join */
    atomic {
        timer[c] = OLD;
        if
        :: session[c] && (!joined[c] || as_seen(c)) ->
            age[c] = (joined[c] -> age[c] : NEW);
            leave_queue(c);
            entries[c]++;
            if
            :: !queue[0] -> queue[0] = c; first[c] = 1; ahead[c] = 0
            :: queue[0] && !queue[1] -> queue[1] = c; first[c] = 0; ahead[c] = entry(queue[0])
            :: queue[1] -> queue[2] = c; first[c] = 0; ahead[c] = entry(queue[1])
            fi;
            sign = 1; same_sign[1] = 0; same_sign[2] = 0; same_sign[3] = 0;
            queued = 1; joined[c] = 1
        :: else
        fi;
        known[c] = unknown
    };

looking:                    /* lock/queue.py, look; lock/decision.py, decide */
    atomic {
        barred = 0; idle = 0; waits[c] = 0; timer[c] = OLD;
        if
        :: !session[c] -> goto losing
        :: session[c] && owner == c ->
            known[c] = unchanged; my_token[c] = token; next[c] = hint; goto accepting
        :: session[c] && owner != c && gives_up -> goto finished
        :: session[c] && owner != c && !gives_up ->
            age[c] = (joined[c] -> NEW : age[c]);
            if
            :: !owner && (!queued || first[c]) ->
                known[c] = (exists -> unchanged : absent); goto taking
            :: owner && !queued -> known[c] = unchanged; goto joining
            :: owner && queued && first[c] && known[c] != unchanged ->
                /* lock/queue.py, _may_be_passed_over */
                known[c] = unchanged; goto placing
            :: else ->
                known[c] = (exists -> unchanged : absent);
                idle = (!owner || handed);
                timer[c] = (idle -> 0 : OLD);
                goto waiting
            fi
        fi
    };

waiting:                    /* lock/queue.py, wait_for_turn */
    atomic {
        waits[c] = 1;
        if
        :: !session[c] -> goto losing
        :: session[c] && (known[c] == changed || (known[c] == absent && exists)) -> goto looking
        :: ahead[c] && !is_there(ahead[c]) ->               /* _watch_ahead */
            if
            :: owner == client_of(ahead[c]) ->
                first[c] = 1; ahead[c] = 0; known[c] = unchanged; goto looking
            :: else -> goto placing
            fi
        :: !first[c] && !ahead[c] -> goto placing
        :: idle && !barred && timer[c] >= (first[c] -> TAKE_OVER : TAKE_OVER + 1) ->
            goto taking                                     /* overdue */
        :: polls && age[c] > 0 -> polls--; goto looking     /* _NEAR_POLL */
        :: gives -> gives--; goto leaving
        fi
    };

placing:                    /* lock/queue.py, _find_place */
    atomic {
        waits[c] = 0;
        if
        :: queue[0] == c -> first[c] = 1; ahead[c] = 0
        :: queue[1] == c -> first[c] = 0; ahead[c] = entry(queue[0])
        :: queue[2] == c -> first[c] = 0; ahead[c] = entry(queue[1])
        :: else -> first[c] = 0; ahead[c] = 0; queued = 0
        fi;
        goto looking
    };

leaving:                    /* lock/queue.py, give_up and leave */
    atomic {
        waits[c] = 0; queued = 0;
        if
        :: in_queue(c) -> leave_queue(c); goto finished
        :: else -> gives_up = 1; goto looking
        fi
    };

accepting:                  /* lock/queue.py, accept.  First a pause, if need be */
    skip;
    atomic {
        if
        :: age[c] < CONFIRM_AFTER ->
            contended = 1; queued = 0; wait_no_more(c); begin(c, unconfirmed); goto holding
        :: send(c); carry_out_confirm(c)
        fi
    };
    atomic {
        if
        :: answer[c] == done ->
            proved(c); contended = 1; queued = 0; wait_no_more(c);
            if
            :: calm || age[c] < DEADLINE -> begin(c, confirmed); goto holding
            :: else -> goto losing
            fi
        :: answer[c] == refused ->
            answer[c] = nothing; timer[c] = OLD; next[c] = 0; my_token[c] = 0; goto looking
        fi
    };

holding:                    /* client/watchdog.py, client/confirm.py, client/keeper.py */
    atomic {
        if
        :: !believes(c) -> goto losing
        :: believes(c) && held[c] == unconfirmed -> send(c); carry_out_confirm(c); goto proving
        :: believes(c) && held[c] == confirmed && verifies ->
            verifies--; send(c); answer[c] = (owner == c -> done : refused); goto proving
        :: believes(c) -> goto releasing
        fi
    };
proving:
    atomic {
        if
        :: !believes(c) -> goto losing
        :: believes(c) && answer[c] == done -> held[c] = confirmed; proved(c); goto holding
        :: believes(c) && answer[c] == refused -> goto losing
        :: believes(c) && held[c] == confirmed -> goto releasing
        fi
    };

releasing:                  /* lock/release.py, let_go */
    atomic {
        held[c] = no; answer[c] = nothing; known[c] = unknown; age[c] = OLD; timer[c] = OLD;
        my_token[c] = 0;
        if
        :: contended && next[c] -> goto handing             /* by the hint: no read */
        :: contended && !next[c] -> goto listing
        :: !contended -> goto freeing
        fi
    };
listing:                    /* _known_queue */
    atomic {
        next[c] = (queue[0] -> entry(queue[0]) : 0);
        after[c] = (queue[1] -> entry(queue[1]) : 0);
        fresh[c] = 1; same_sign[c] = sign;
        if
        :: next[c] -> goto handing
        :: !next[c] -> goto freeing
        fi
    };
handing:                    /* _hand_over */
    atomic {
        if
        :: owner != c || delay -> goto losing
        :: owner == c && !delay && is_there(next[c]) && (!fresh[c] || after[c] || same_sign[c]) ->
            IN_QUEUE;
            ORDER(client_of(next[c]));
            owner = client_of(next[c]); handed = 1; hint = after[c];
            grant();
            key_changed();
            leave_queue(owner);
            if :: fresh[c] && !after[c] -> sign = 0 :: else fi;
            goto finished
        :: else -> goto listing
        fi
    };
freeing:                    /* _plain */
    atomic {
        if
        :: owner != c -> goto losing
        :: owner == c && (same_sign[c] || !sign) ->
            ORDER(0);
            delete_key();
            sign = 0;
            goto finished
        :: else -> contended = 1; goto listing
        fi
    };

finished:
    atomic {
        forget(c);
        if
        :: rounds && (calm == 3 || c == 1) -> rounds--; goto newcomer
        :: goto end
        fi
    };

losing:                     /* primitive/release.py, end_all; session/pool.py, destroy: it releases */
    atomic {                /* before it ends */
        forget(c);
        leave_queue(c);
        if :: owner == c -> delete_key() :: else fi
    };
    d_step { end_session(c); over[c] = 1 };
end:
    over[c] = 1
}

/* When nothing can happen any more. */
proctype judge() { timeout -> FORGOTTEN }

init {
    atomic {
        if  /* the scenes: what is too many together is looked at in turn */
        :: over[3] = 1; verifies = 1; polls = 1; skips = 1; crashes = 1
        :: over[3] = 1; verifies = 1; polls = 1; skips = 1; ends = 1
        :: calm = 1; crashes = 1
        :: calm = 1; ends = 1
        :: calm = 2; rounds = 1
        :: calm = 3; gives = 1; rounds = 1
        fi;
        run client(1); run client(2);
        if :: over[3] :: else -> run client(3) fi;
        run consul(); run killer(); run clock(); run judge()
    }
}
